"""Text out of bytes: UTF-8, UTF-16, Latin-1 lines, and Chinese in GB18030 or Big5.

Nothing in a file says which encoding it has. How its bytes are distributed does, for texts of one
sentence on; the rules below were measured against `charset_normalizer`, which takes short German
for Chinese and short Chinese for something else.
"""

import codecs
import re
from collections import Counter

from workbench.core.errors import DataError

UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""First bytes of a text in UTF-16."""
CODECS = {"Big5": "big5hkscs", "GB18030": "gb18030"}
"""Chinese encodings, each with the codec that has all its characters; GB18030 holds GBK, GB2312."""
SAMPLE_BYTES = 1_000_000
"""What the encoding is guessed from."""
PAIR = re.compile(rb"[\x81-\xfe][\x30-\x39\x40-\x7e\x80-\xfe]")
"""A character of either encoding, or half of one of GB18030's rare ones of four bytes."""
RUN = re.compile(rb"[\x80-\xff]+")
NOT_WESTERN = re.compile(rb"[\x81-\x83\x87-\x90\x98\x9a\x9d-\x9f]")
"""Bytes that are no character of cp1252 or a rare one, and frequent in Shift-JIS."""


def decode(raw: bytes, counts: Counter[str], where: object, *, latin: bool = True) -> str:
    """Text of UTF-8 bytes; lines that are none are read as Latin-1, or the whole as Chinese.

    UTF-16 is known by its first bytes. Where most lines with other than ASCII characters are no
    UTF-8, the text may be in GB18030 or Big5. `counts` gets the `lines`, how many were `recoded`
    (read as Latin-1), and `in GB18030` or `in Big5` one more. Raises DataError, which names
    `where`, for text that is in none of these encodings; without `latin` UnicodeDecodeError where
    a line would be read as Latin-1.
    """
    if raw.startswith(UTF16):
        return raw.decode("utf-16", errors="replace")
    raw = raw.removeprefix(codecs.BOM_UTF8).removesuffix(b"\n")
    lines, odd = [], []
    for line in raw.split(b"\n"):
        try:
            lines.append(line.decode("utf-8"))
        except UnicodeDecodeError:
            lines.append(line.decode("latin-1"))
            odd.append(line)
    counts["lines"] += len(lines)
    # One broken line makes no other encoding of a file in UTF-8.
    if 2 * len(odd) > sum(not line.isascii() for line in lines):
        text, broken = "", 0
        if encoding := _chinese(raw[:SAMPLE_BYTES]):
            text = raw.decode(CODECS[encoding], "replace")
            broken = text.count("\ufffd")
        if encoding and not broken:
            counts[f"in {encoding}"] += 1
            return text
        if broken and 20 * broken > sum(not character.isascii() for character in text):
            encoding = ""  # too many for a file that is damaged here and there
        if not _is_western(b"\n".join(odd)[:SAMPLE_BYTES]):
            raise _unknown(len(odd), encoding, where)
    if odd and not latin:
        raw.decode("utf-8")
    counts["recoded"] += len(odd)
    return "\n".join(lines)


def notes(counts: Counter[str]) -> list[str]:
    """How files were read that are in Chinese encodings, in words."""
    found = {name: counts[f"in {name}"] for name in CODECS}
    return [
        f"{number} file{'s are' if number > 1 else ' is'} in {name}, not in UTF-8, and read as that"
        for name, number in found.items()
        if number
    ]


def _chinese(raw: bytes) -> str:
    """The Chinese encoding that the distribution of the pairs of bytes fits; "" for none.

    In Big5 frequent characters begin with A4 to C6, and some 40 % of all end below 7F. In GB18030
    those of GB2312 begin with B0 to D7, by the alphabet, and end above A0; a traditional character
    has a lower byte at one of the two places. Korean (EUC-KR) has nothing from C9 on, Japanese
    (EUC-JP) as many pairs that begin with A4 or A5, and both have no byte below A1.
    """
    pairs = [(first, second) for first, second in PAIR.findall(raw)]
    if len(pairs) < 2:
        return ""
    low = sum(second < 0x7F for _, second in pairs)
    frequent = sum(0xA1 <= first <= 0xC6 for first, _ in pairs)
    if frequent >= 0.8 * len(pairs) and low >= 0.05 * len(pairs):
        return "Big5"
    high = [first for first, second in pairs if second > 0xA0]
    frequent = sum(first in (0xA1, 0xA3) or 0xB0 <= first <= 0xD7 for first in high)
    extended = len(pairs) - len(high)
    late = sum(0xC9 <= first <= 0xD7 for first in high)
    shares = (frequent, frequent + extended, late)
    if all(n >= least * len(pairs) for n, least in zip(shares, (0.4, 0.8, 0.05), strict=True)):
        return "GB18030"
    return ""


def _is_western(raw: bytes) -> bool:
    """Whether these lines may be Latin-1: its accented letters are few, or stand alone.

    A tenth of the bytes is more than French or Finnish has, and than the signs have that tweets
    lost to a wrong encoding.
    """
    runs = RUN.findall(raw)
    long = sum(len({*run}) > 2 for run in runs)
    alone = 2 * long < len(runs) and 4 * len(NOT_WESTERN.findall(raw)) < len(runs)
    return alone or 10 * sum(map(len, runs)) < len(raw)


def _unknown(lines: int, encoding: str, where: object) -> DataError:
    what = f"{where}: {lines:,} lines are no UTF-8"
    if encoding:
        return DataError(
            f"{what}; most is {encoding}, but some bytes are no character of it",
            expected="text in UTF-8, or all of it in one encoding",
            do=f"leave out what is broken: iconv -c -f {encoding.upper()} -t UTF-8 OLD > NEW",
        )
    return DataError(
        f"{what}, and neither Latin-1 nor Chinese in GB18030 or Big5",
        expected="text in UTF-8",
        do="save it as UTF-8, such as by: iconv -f GB18030 -t UTF-8 OLD > NEW (or -f BIG5, "
        "SHIFT_JIS, EUC-KR, CP1251, as the file has it)",
    )
