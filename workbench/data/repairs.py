"""Texts as they were meant: encoding, HTML entities and literal escapes repaired, and counted."""

import re
from collections import Counter
from collections.abc import Iterable

import ftfy
from ftfy.badness import is_bad

from workbench.core.unspaced import FIRST

REPAIR = ftfy.TextFixerConfig(uncurl_quotes=False)
WIDE = REPAIR._replace(fix_character_width=False)
"""Where a text has characters that are written without spaces: its punctuation is wide."""
ESCAPED = re.compile(r"(?:\\[nrt]){2,}|\\[nrt](?![a-z\"'])|\\(?=\$)")
"""Line breaks, tabs and dollar signs written as in program code: see `unescape`."""


def repair(texts: Iterable[str], counts: Counter[str]) -> list[str]:
    """Texts with encoding, HTML entities and literal escapes repaired where that can be done.

    Counts `escaped` texts (see `unescape`), `repaired` ones and those that still look `garbled`.
    """
    repaired = []
    for text in texts:
        if text.isascii() and text.isprintable() and not {"&", "\\"} & {*text}:
            repaired.append(text.strip())  # ftfy would leave it as it is, and take its time
            continue
        plain = unescape(text)
        fixed = ftfy.fix_text(plain, WIDE if FIRST.search(plain) else REPAIR).strip()
        counts["escaped"] += plain != text
        counts["repaired"] += fixed != plain.strip()
        counts["garbled"] += is_bad(fixed)
        repaired.append(fixed)
    return repaired


def unescape(text: str) -> str:
    r"""Turn a literal `\n`, `\r` or `\t` into white space and `\$` into `$`.

    One such pair directly before a small letter or a quotation mark stays, as it may be part of a
    path, a formula or program code; of two or more in a row all are turned.

    >>> unescape(r"I'm sick.\nShe wants \$5")
    "I'm sick.\nShe wants $5"
    >>> print(unescape(r"C:\new, \nu and print('x\n')"))
    C:\new, \nu and print('x\n')
    """
    return ESCAPED.sub(lambda found: re.sub(r"\\(.?)", _unescaped, found[0]), text)


def _unescaped(pair: re.Match[str]) -> str:
    return {"n": "\n", "r": "\n", "t": "\t"}.get(pair[1], "")
