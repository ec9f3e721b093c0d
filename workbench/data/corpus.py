"""Running text in documents, to read and not to label."""

import bz2
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import pandas

from workbench.core.described import Described
from workbench.core.errors import DataError
from workbench.core.sources import Source, resolve
from workbench.data import encodings, tables, text, wikitext
from workbench.data.repairs import repair
from workbench.record.result import DataIssue

NAMESPACE = "{http://www.mediawiki.org/xml/export-0.10/}"
MIN_CHARACTERS = 200
"""Shorter pages of the Wikipedia sample are redirects and stubs."""


@dataclass(frozen=True)
class Corpus(Described):
    """Documents of one domain, in a fixed random order: the first n are a sample of all."""

    source: Source
    documents: list[str]
    data_issues: dict[str, DataIssue] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """How the files were read, where that is no matter of course."""

    def describe(self) -> str:
        """Number of documents and bytes, licence, and data issues, with fractions."""
        size = sum(len(document.encode()) for document in self.documents)
        size_line = f"{len(self.documents):,} documents, {size:,} bytes"
        lines = [self.source.describe(), *self.notes, size_line]
        return "\n".join([*lines, *(issue.describe() for issue in self.data_issues.values())])


def load(name: str, *, text_column: str = "text") -> Corpus:
    """Load a corpus: a catalogue name, a .txt file or folder of them, or a table's text column.

    A .txt file's documents are separated by blank lines; in a folder each file is one. Encodings
    are repaired with ftfy. Documents that repeat an earlier one are dropped and counted. Raises
    DataError where no document is left, or for an encoding that is not known.
    """
    source = resolve(name, "dataset")
    counts: Counter[str] = Counter()
    raw = _read(source, text.KNOWN.get(name, (text_column, ""))[0], counts)
    counts["rows"] = len(raw)
    unique: dict[str, str] = {}
    for document in repair(raw, counts):
        if document:
            unique.setdefault(text.digest(document), document)
    if not unique:
        raise DataError(f"{source.name} has no text", expected="at least one document")
    counts["repeated"] = len(raw) - len(unique)
    notes = {
        "recoded": "lines that are no UTF-8, read as Latin-1",
        "short": f"Wikipedia pages under {MIN_CHARACTERS} characters or no article, dropped",
        "markup": "characters of Wikipedia's pages that are markup, tables, templates, references, "
        "captions or lists of sources, dropped",
        "repeated": "empty and repeated documents, dropped",
        "escaped": r"documents with literal \n, \r, \t or \$, turned into what they stand for",
        "repaired": "documents whose encoding or HTML entities were repaired",
        "garbled": "documents that still look wrongly encoded, kept",
    }
    whole = counts["rows"] + counts["short"]
    of = {"recoded": counts["lines"], "markup": counts["characters"]}
    return Corpus(
        source=source,
        documents=[unique[key] for key in sorted(unique)],
        data_issues={
            key: DataIssue(count=counts[key], of=of.get(key, whole), note=note)
            for key, note in notes.items()
            if counts[key] or key == "repeated"
        },
        notes=tuple(encodings.notes(counts)),
    )


def _read(source: Source, column: str, counts: Counter[str]) -> list[str]:
    path = source.path
    if source.name == "wiki_sample":
        return _wikipedia(path / "pages.xml.bz2", counts)
    if source.name == "news_sample":
        return _decoded(path / "texts.txt", counts).splitlines()
    if path.is_file() and path.suffix != ".txt":
        return _column(tables.read_file(path, counts), column, source.name)
    if path.is_file():
        return re.split(r"\n\s*\n", _decoded(path, counts).strip())
    if files := sorted(path.glob("*.txt")):
        return [_decoded(file, counts) for file in files]
    frames = text.read(source, counts)
    return [
        document for frame in frames.values() for document in _column(frame, column, source.name)
    ]


def _column(frame: pandas.DataFrame, column: str, where: str) -> list[str]:
    return list(tables.texts(frame, column, where).fillna("").astype(str))


def _decoded(path: Path, counts: Counter[str]) -> str:
    return tables.decode(path.read_bytes(), counts, path).replace("\r\n", "\n")


def _wikipedia(path: Path, counts: Counter[str]) -> list[str]:
    """Plain text of a dump's articles; counts what is left out: redirects, stubs and markup."""
    documents = []
    with bz2.open(path) as stream:
        root = ElementTree.parse(stream).getroot()  # noqa: S314  verified by sha256
    for page in root.iter(f"{NAMESPACE}page"):
        marked = page.findtext(f"{NAMESPACE}revision/{NAMESPACE}text") or ""
        article = page.findtext(f"{NAMESPACE}ns") == "0"
        redirect = page.find(f"{NAMESPACE}redirect") is not None
        plain = wikitext.plain(marked) if article and not redirect else ""
        if len(plain) >= MIN_CHARACTERS:
            documents.append(plain)
            counts["characters"] += len(marked)
            counts["markup"] += len(marked) - len(plain)
        else:
            counts["short"] += 1
    return documents
