"""What each named data set holds: its family, which says how it is read and by which tasks."""

TEXTS, TAGGED, TEXT = "labelled texts", "tagged sentences", "running text"
QUESTIONS, PRICES = "questions with answers", "daily prices"
EVENTS, PAIRS = "events of users and items", "sentences with translations"
FAMILIES: dict[str, str] = {
    "brand_tweets": TEXTS,
    "conll2003": TAGGED,
    "dialogs": QUESTIONS,
    "intents_de": TEXTS,
    "intents_en": TEXTS,
    "intents_zh": TEXTS,
    "movielens100k": EVENTS,
    "nasdaq": PRICES,
    "news_sample": TEXT,
    "parallel_en_zh": PAIRS,
    "peoples_daily": TAGGED,
    "sp500": PRICES,
    "tiny_films": EVENTS,
    "tiny_market": PRICES,
    "tiny_ner": TAGGED,
    "tiny_questions": QUESTIONS,
    "tiny_reviews": TEXTS,
    "vix": PRICES,
    "wiki_sample": TEXT,
    "wnut16": TAGGED,
    "zh_reviews": TEXTS,
}
"""Name of a data set -> its family."""


def named(family: str) -> list[str]:
    """The data sets of a family, in the order of the alphabet."""
    return sorted(name for name, found in FAMILIES.items() if found == family)
