"""Scripts that are written without spaces between words: Chinese and Japanese."""

from collections.abc import Sequence

import regex

UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\u3007\u30fc]"
"""A character of such a script, as a regular expression."""
WIDE_SIGN = r"[\u3001-\u3011\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
"""Punctuation of these scripts, which carries its own space."""
WIDE = rf"(?:{UNSPACED}|{WIDE_SIGN})"
FIRST = regex.compile(WIDE)
BESIDE = regex.compile(rf"(?<={WIDE}) (?=\S)|(?<=\S) (?={WIDE})")


def begins_unspaced(word: str) -> bool:
    """Whether a word begins with a character that needs no space before it.

    >>> begins_unspaced("中"), begins_unspaced("Paris")
    (True, False)
    """
    return bool(FIRST.match(word))


def is_joined(left: str, right: str) -> bool:
    """Whether no space is written between two words."""
    return not BESIDE.sub("", f"{left[-1:]} {right[:1]}").count(" ")


def joined(words: Sequence[str]) -> str:
    """Words as a text to read: spaces between them, but none beside what is written without.

    >>> joined(["Ada", "ran", "."]), joined(["江", "泽", "民", "，", "1998", "年"])
    ('Ada ran .', '江泽民，1998年')
    """
    return BESIDE.sub("", " ".join(words))
