"""The grammar by which a written answer is read as a label, or as none.

answer  = [lead-in] word-of-a-label [rest]
lead-in = ["the"] ("answer" | "sentiment" | "label" | "class" | "type") [of] ["is"] [article]
        | ("it" | "this" | ("the" | "this") kind) "is" [article]
        | article
of      = "of" ("this" | "the") kind
kind    = "tweet" | "text" | "name" | "sentence" | "review"
article = "a" | "an" | "the"
rest    = whatever holds the word of no other label, up to the end of the sentence

Only the first line counts, or the first two where the first is a lead-in and no more; without case,
and without punctuation at the ends of words. What later sentences say is not read.
"""

import re
from collections.abc import Mapping, Sequence

from workbench.record.metric import UNPARSED

LEAD_IN = re.compile(
    r"(?:(?:the )?(?:answer|sentiment|label|class|type) "
    r"(?:of (?:this|the) (?:tweet|text|name|sentence|review) )?(?:is )?"
    r"|(?:it|this|(?:the|this) (?:tweet|text|name|sentence|review)) is )?(?:an? |the )?"
)
SENTENCE_END = re.compile(r"(?<=[.!?])\s")
PUNCTUATION = ".,:;!?\"'`()[]{}<>*_#\u201c\u201d\u2018\u2019\u00ab\u00bb"


def parse(answer: str, words: Mapping[str, str]) -> str:
    """The label that an answer names, or `unparsed`: it is never guessed.

    `words` gives each label's word.

    >>> words = {"positive": "positive", "negative": "negative"}
    >>> [parse(text, words) for text in (" Positive.", "The answer is: negative", "not negative")]
    ['positive', 'negative', 'unparsed']
    >>> [parse(text, words) for text in ("Positive. Not negative.", "Positive or negative.")]
    ['positive', 'unparsed']
    """
    whole = read_part(answer)
    text = f"{normalise(whole)} "
    end = len(normalise(SENTENCE_END.split(whole, maxsplit=1)[0]))
    by_word: dict[str, list[str]] = {}
    for label, word in words.items():
        by_word.setdefault(f"{normalise(word)} ", []).append(label)
    # The longest first: "very good" is not "very" with a rest.
    for word in sorted(by_word, key=len, reverse=True):
        for start in (0, _lead_in_end(text)):
            if word.strip() and text.startswith(word, start):
                rest = f" {text[start + len(word) : max(end, start + len(word))]} "
                others = [other for other in by_word if other != word and f" {other}" in rest]
                return UNPARSED if others or len(by_word[word]) > 1 else by_word[word][0]
    return UNPARSED


def vote(answers: Sequence[str]) -> str:
    """What more than half of the answers to one item say, or `unparsed`.

    >>> vote(["positive", "positive", "unparsed"]), vote(["positive", "negative", "unparsed"])
    ('positive', 'unparsed')
    """
    for answer in answers:
        if 2 * answers.count(answer) > len(answers):
            return answer
    return UNPARSED


def read_part(answer: str) -> str:
    r"""The part of an answer that is read, on one line.

    >>> read_part("\nThe answer is:\n\nneutral\n\nTweet: ...")
    'The answer is: neutral'
    """
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    if len(lines) > 1 and LEAD_IN.fullmatch(f"{normalise(lines[0])} "):
        return " ".join(lines[:2])
    return lines[0] if lines else ""


def normalise(text: str) -> str:
    """Words in lower case, without punctuation at their ends, one space between them."""
    words = (word.strip(PUNCTUATION) for word in text.casefold().split())
    return " ".join(word for word in words if word)


def _lead_in_end(text: str) -> int:
    found = LEAD_IN.match(text)
    return found.end() if found else 0
