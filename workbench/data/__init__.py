"""Data sets by name, each with the module of its family, which has `load(name)`."""

from types import ModuleType

from workbench.data import bitext, corpus, dialogs, interactions, market, ner, text

DATASETS: dict[str, ModuleType] = {
    "brand_tweets": text,
    "conll2003": ner,
    "dialogs": dialogs,
    "intents_de": text,
    "intents_en": text,
    "intents_zh": text,
    "movielens100k": interactions,
    "nasdaq": market,
    "news_sample": corpus,
    "parallel_en_zh": bitext,
    "peoples_daily": ner,
    "sp500": market,
    "tiny_films": interactions,
    "tiny_market": market,
    "tiny_ner": ner,
    "tiny_questions": dialogs,
    "tiny_reviews": text,
    "vix": market,
    "wiki_sample": corpus,
    "wnut16": ner,
    "zh_reviews": text,
}
