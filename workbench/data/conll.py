"""Strict reader of CoNLL column files: one word a line with its tag last, blank lines between.

Format: the CoNLL-2003 shared task (Tjong Kim Sang and De Meulder 2003, section 2.2). Columns are
separated by spaces or tabs; `-DOCSTART-` lines start a document and are not words. Files whose
first column counts the words of a sentence, as in CoNLL-U, are read as well: that column is no
word, lines that begin with `#` are comments (`# newdoc` starts a document), and lines numbered
`3-4` or `3.1` are left out.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from workbench.core.errors import DataError
from workbench.data import encodings
from workbench.record.iob import BARE, TAG, misfit, scheme_of, to_iob2

DOCUMENT_MARK = "-DOCSTART-"
COMMENT, NEW_DOCUMENT = "#", ["#", "newdoc"]
BETWEEN = re.compile(r"\d+[-.]\d+")
Line = tuple[int, list[str]]
"""Line number from 1, and the columns."""


@dataclass
class ConllFile:
    """What one file holds: parallel lists over sentences, and how many tags were rewritten."""

    tokens: list[list[str]] = field(default_factory=list)
    tags: list[list[str]] = field(default_factory=list)
    columns: list[list[list[str]]] = field(default_factory=list)
    """The columns between word and tag: of each sentence, a list a word."""
    documents: list[int] = field(default_factory=list)
    """Number of each sentence's document; without marks each sentence is its own."""
    lines: list[int] = field(default_factory=list)
    """Line number of each sentence's first word, from 1."""
    rewritten_tags: int = 0
    """Tags changed to IOB2 from another scheme, or repaired, as an I- tag began an entity."""
    scheme: str = "IOB"
    """The scheme that the tags had: a key of `iob.SCHEMES`, or `iob.BARE`."""


def read(
    path: Path,
    *,
    types: tuple[str, ...] = (),
    tagged: bool = True,
    counts: Counter[str] | None = None,
) -> ConllFile:
    """Read one file into sentences with IOB2 tags; not `tagged`, into sentences of words alone.

    The tag stands in the last column that holds any. `types` are the entity types that may occur;
    empty means any. Raises DataError with file and line for a wrong number of columns, an unknown
    tag, an encoding that is neither UTF-8 nor Chinese (see `encodings`), or no sentence. `counts`
    gets what `encodings.decode` counts. A byte order mark, CRLF line ends and a missing last
    newline are accepted.
    """
    lines = [
        (number, re.split(r"[ \t]+", line.rstrip(" \t")) if line.strip(" \t") else [])
        for number, line in enumerate(_lines(path, Counter() if counts is None else counts), 1)
    ]
    first = int(_is_indexed(lines, 2 + tagged))
    blocks, documents = _blocks(lines, indexed=bool(first))
    if not blocks:
        raise DataError(
            f"{path}: no sentences", expected="lines of a word and its tag, such as 'Paris B-LOC'"
        )
    words = [line for block in blocks for line in block]
    _check_columns(words, first + 1 + tagged, path)
    found = ConllFile(documents=documents, lines=[block[0][0] for block in blocks])
    found.tokens = [[fields[first] for _, fields in block] for block in blocks]
    if tagged:
        tag = _tag_column(words, first)
        found.scheme = _scheme(words, tag, types, path)
        found.columns = [[fields[first + 1 : tag] for _, fields in block] for block in blocks]
        for block in blocks:
            tags, changed = iob2([fields[tag] for _, fields in block], found.scheme)
            found.tags.append(tags)
            found.rewritten_tags += changed
    return found


def is_untagged(path: Path) -> bool:
    """Whether no line has more than one column, so that the words have no tags."""
    return all(len(line.split()) < 2 for line in _lines(path, Counter()))


def iob2(tags: list[str], scheme: str) -> tuple[list[str], int]:
    """Rewrite a sentence's tags of a scheme to IOB2; return them and how many changed."""
    if scheme != BARE:
        return to_iob2(tags)
    found, _ = to_iob2([tag if tag == "O" else f"I-{tag}" for tag in tags])
    return found, sum(tag != "O" for tag in tags)


def _lines(path: Path, counts: Counter[str]) -> list[str]:
    """Decoded lines without line ends; only LF and CRLF end a line, as in the format."""
    try:
        text = encodings.decode(path.read_bytes(), counts, path, latin=False)
    except UnicodeDecodeError as error:
        before, bad = error.object[: error.start], error.object[error.start]
        number, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
        raise DataError(
            f"{path}:{number}: byte 0x{bad:02x} at column {column} is not UTF-8",
            expected="UTF-8 text",
            do="convert the file, for instance: iconv -f latin1 -t utf-8",
        ) from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _is_indexed(lines: list[Line], columns: int) -> bool:
    """Whether the first of at least so many columns counts words, anew in each sentence or on."""
    before, starts, counted = -1, True, False
    for _, fields in lines:
        if not fields or fields[0] == DOCUMENT_MARK:
            starts = True
        elif not fields[0].startswith(COMMENT) and not BETWEEN.fullmatch(fields[0]):
            expected = {str(before + 1), *(("0", "1") if starts else ())}
            if len(fields) < columns or fields[0] not in expected:
                return False
            before, starts, counted = int(fields[0]), False, True
    return counted


def _blocks(lines: list[Line], *, indexed: bool) -> tuple[list[list[Line]], list[int]]:
    """The lines of each sentence, and the number of its document."""
    blocks: list[list[Line]] = []
    documents: list[int] = []
    document, starts = 0, True
    for number, fields in lines:
        comment = indexed and bool(fields) and fields[0].startswith(COMMENT)
        if not fields:
            starts = True
        elif fields[0] == DOCUMENT_MARK or (comment and fields[:2] == NEW_DOCUMENT):
            document += 1
            starts = True
        elif not comment and not (indexed and BETWEEN.fullmatch(fields[0])):
            if starts:
                blocks.append([])
                documents.append(document)
                starts = False
            blocks[-1].append((number, fields))
    return blocks, documents if document else list(range(len(blocks)))


def _check_columns(words: list[Line], least: int, path: Path) -> None:
    columns = max(len(words[0][1]), least)
    for number, fields in words:
        if len(fields) != columns or not fields[0]:
            raise DataError(
                f"{path}:{number}: {len([f for f in fields if f])} columns",
                expected=f"{columns} columns: a word first, its tag last",
            )


def _tag_column(words: list[Line], first: int) -> int:
    """The last column in which any tag stands: annotators may be named after it."""
    last = len(words[0][1]) - 1
    for column in range(last, first, -1):
        if any(TAG.fullmatch(fields[column]) for _, fields in words):
            return column
    return last


def _scheme(words: list[Line], column: int, types: tuple[str, ...], path: Path) -> str:
    tags = [fields[column] for _, fields in words]
    scheme = scheme_of(tags)
    bad = -1 if scheme else misfit(tags)
    if types and bad < 0:
        start = 0 if scheme == BARE else 2
        strange = (at for at, tag in enumerate(tags) if tag != "O" and tag[start:] not in types)
        bad = next(strange, -1)
    if bad >= 0:
        raise unknown_tag(tags[bad], f"{path}:{words[bad][0]}", types)
    return scheme


def unknown_tag(tag: str, where: str, types: tuple[str, ...] = ()) -> DataError:
    """Return the error that a tag is of no scheme, or not of these types."""
    of = f" with a type of {', '.join(types)}" if types else ""
    return DataError(
        f"{where}: unknown tag {tag!r}",
        expected=f"O, B-TYPE or I-TYPE{of}; or throughout the tags of BIOES, BILOU or IO",
    )
