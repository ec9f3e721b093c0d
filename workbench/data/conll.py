"""Strict reader of CoNLL column files: one word a line with its tag last, blank lines between.

Format: the CoNLL-2003 shared task (Tjong Kim Sang and De Meulder 2003, section 2.2). Columns are
separated by spaces or tabs; `-DOCSTART-` lines start a document and are not words.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from workbench.errors import DataError
from workbench.iob import to_iob2

DOCUMENT_MARK = "-DOCSTART-"
TAG = re.compile(r"O|[BI]-\S+")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
    """Tags changed from IOB1 to IOB2, or repaired, because an I- tag began an entity."""


def read(path: Path, *, types: tuple[str, ...] = ()) -> ConllFile:
    """Read one file into sentences with IOB2 tags.

    `types` are the entity types that may occur; empty means any. Raises DataError with file and
    line for a wrong number of columns, an unknown tag, bytes that are not UTF-8, or no sentence.
    A byte order mark, CRLF line ends and a missing last newline are accepted.
    """
    found = ConllFile()
    columns = 0
    document = 0
    new_sentence = True
    for number, line in enumerate(_lines(path), 1):
        fields = re.split(r"[ \t]+", line.rstrip(" \t")) if line.strip(" \t") else []
        if not fields:
            new_sentence = True
        elif fields[0] == DOCUMENT_MARK:
            document += 1
            new_sentence = True
        else:
            columns = columns or len(fields)
            _check(fields, columns, types, f"{path}:{number}")
            if new_sentence:
                found.tokens.append([])
                found.tags.append([])
                found.columns.append([])
                found.documents.append(document)
                found.lines.append(number)
                new_sentence = False
            found.tokens[-1].append(fields[0])
            found.tags[-1].append(fields[-1])
            found.columns[-1].append(fields[1:-1])
    if document == 0:
        found.documents = list(range(len(found.tokens)))
    if not found.tokens:
        raise DataError(
            f"{path}: no sentences", expected="lines of a word and its tag, such as 'Paris B-LOC'"
        )
    for index, tags in enumerate(found.tags):
        found.tags[index], changed = to_iob2(tags)
        found.rewritten_tags += changed
    return found


def _lines(path: Path) -> list[str]:
    """Decoded lines without line ends; only LF and CRLF end a line, as in the format."""
    raw = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    lines = []
    for number, line in enumerate(raw.split(b"\n"), 1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            bad = line[error.start : error.start + 1].hex()
            raise DataError(
                f"{path}:{number}: byte 0x{bad} at column {error.start + 1} is not UTF-8",
                expected="UTF-8 text",
                do="convert the file, for instance: iconv -f latin1 -t utf-8",
            ) from None
    return lines


def _check(fields: list[str], columns: int, types: tuple[str, ...], where: str) -> None:
    if len(fields) != columns or columns < 2 or not fields[0]:
        raise DataError(
            f"{where}: {len([f for f in fields if f])} columns",
            expected=f"{max(columns, 2)} columns: a word first, its tag last",
        )
    tag = fields[-1]
    if not TAG.fullmatch(tag) or (types and tag != "O" and tag[2:] not in types):
        known = f" with a type of {', '.join(types)}" if types else ""
        raise DataError(f"{where}: unknown tag {tag!r}", expected=f"O, B-TYPE or I-TYPE{known}")
