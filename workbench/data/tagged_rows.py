"""Tagged sentences out of rows: lists of words and tags, spans of characters, or a word a row."""

from bisect import bisect_left, bisect_right
from collections import Counter
from pathlib import Path
from typing import Any

from workbench.core.errors import DataError
from workbench.data import records
from workbench.data.records import TEXTS, TOKENS, Record, column
from workbench.data.words import words
from workbench.record.iob import TAG

TAGS = ("ner tags", "tags", "labels")
SPANS = ("entities", "spans", "ner", "label", "labels", "annotations")
START = ("start", "start offset", "begin", "startoffset")
END = ("end", "end offset", "stop", "endoffset")
TYPE = ("label", "labels", "type", "tag", "entity", "entity group", "category")
WORDS = ("word", "token", "words", "tokens", "form")
WORD_TAGS = ("tag", "ner tag", "ner", "iob", "bio", "label", "entity", *TAGS)
SENTENCES = ("sentence", "sentence id", "sentence idx", "sentence number", "sent id", "sent")
HEADS = (WORDS, WORD_TAGS, SENTENCES)
"""What a table of a word a row has."""
DOCUMENTS = ("document", "document id", "doc id", "doc")
Found = tuple[str, int, int]
"""Type, start and end of an entity in characters, the end not included."""


def read(path: Path, counts: Counter[str]) -> list[Record]:
    """Return rows with `tokens`, `ner_tags` as they stand, `document`, and `split` if given.

    Spans become the words they touch (see `data.words`): each text is a document, each of its
    lines a sentence. `counts` gets `spans`, those `widened` to whole words and those `overlapping`
    another, which are left out. Raises DataError, with the file and the row from 0, for columns or
    cells of another form.
    """
    rows = records.read(path, counts, HEADS)
    names = _names(rows)
    tokens, tags = column(names, TOKENS), column(names, TAGS)
    if tokens and tags and any(isinstance(row.get(tokens), list) for row in rows):
        found = [
            {**_whole(row.get(tokens), row.get(tags), f"{path}, row {at}"), **_place(row, at)}
            for at, row in enumerate(rows)
        ]
    elif "annotations" in names and any(isinstance(row.get("data"), dict) for row in rows):
        rows = [_from_label_studio(row, f"{path}, row {at}") for at, row in enumerate(rows)]
        found = _from_spans(rows, "text", "spans", path, counts)
    elif (text := column(names, TEXTS)) and (spans := column(names, SPANS)):
        found = _from_spans(rows, text, spans, path, counts)
    elif all(column(names, known) for known in HEADS):
        found = _from_words(rows, names, path)
    else:
        raise DataError(
            f"{path} has the columns {', '.join(names)}",
            expected="tokens (or words) and ner_tags (or tags, labels), as lists; or text and "
            "entities, as spans of characters; or sentence, word and tag, a word a row",
        )
    return found


def _names(rows: list[Record]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _place(row: Record, at: int) -> Record:
    """The document and the split of a row; without a document each row is one."""
    document = row.get(column(list(row), DOCUMENTS))
    split = row.get("split")
    kept = {"document": at if document in (None, "") else document}
    return kept | ({"split": split} if isinstance(split, str) else {})


def _whole(tokens: Any, tags: Any, where: str) -> Record:
    tokens, tags = tokens or [], tags or []
    if not isinstance(tags, list) or not isinstance(tokens, list):
        raise DataError(f"{where}: words or tags are no list", expected="a list of text each")
    if len(tokens) != len(tags) or not tags or None in tokens:
        raise DataError(
            f"{where}: {len(tokens)} words and {len(tags)} tags",
            expected="one tag a word, and at least one word",
        )
    for word, tag in zip(tokens, tags, strict=True):
        if not isinstance(tag, str):
            raise DataError(
                f"{where}: unknown tag {tag!r}",
                expected="O, B-TYPE or I-TYPE, as text or as a ClassLabel of Parquet",
            )
        _check_word(word, where)
    return {"tokens": tokens, "ner_tags": tags}


def _check_word(word: Any, where: str) -> None:
    if not isinstance(word, str) or "\n" in word:
        raise DataError(
            f"{where}: {str(word)[:40]!r} is no word",
            expected="text without a line end, quotation marks doubled in a CSV file",
        )
    if any("\ud800" <= letter <= "\udfff" for letter in word):
        raise DataError(f"{where}: {word!r} holds half a character", expected="Unicode text")


def _from_words(rows: list[Record], names: list[str], path: Path) -> list[Record]:
    """One row for each word; a sentence goes on while its number stays or is left empty."""
    word, tag = column(names, WORDS), column(names, WORD_TAGS)
    sentence, document = column(names, SENTENCES), column(names, DOCUMENTS)
    found: list[Record] = []
    seen: set[tuple[Any, Any]] = set()
    here: tuple[Any, Any] = (None, None)
    for at, row in enumerate(rows):
        where = f"{path}, row {at}"
        if row.get(sentence) not in (None, "") or not found:
            now = (row.get(document), row.get(sentence))
            if now != here and (now in seen or now[1] in (None, "")):
                raise DataError(
                    f"{where}: sentence {now[1]!r} "
                    + ("comes again" if now[1] else "has no number"),
                    expected="the words of a sentence one after another, under one number",
                )
            if now != here:
                found.append({"tokens": [], "ner_tags": [], **_place(row, len(found))})
                seen.add(now)
                here = now
        if row.get(word) in (None, "") or not isinstance(row.get(tag), str):
            raise DataError(f"{where}: no word or no tag", expected="both in each row")
        _check_word(row[word], where)
        found[-1]["tokens"].append(row[word])
        found[-1]["ner_tags"].append(row[tag])
    return found


def _from_label_studio(row: Record, where: str) -> Record:
    """The text and spans of a task of Label Studio's full export."""
    texts = [value for value in row["data"].values() if isinstance(value, str)]
    given = [each for each in row["annotations"] or [] if not each.get("was_cancelled")]
    if len(texts) != 1 or len(given) > 1:
        raise DataError(
            f"{where}: {len(texts)} texts and {len(given)} annotations of them",
            expected="one text, annotated once",
        )
    results = given[0]["result"] if given else []
    return {"text": texts[0], "spans": [each["value"] for each in results if "value" in each]}


def _from_spans(
    rows: list[Record], text: str, spans: str, path: Path, counts: Counter[str]
) -> list[Record]:
    found = []
    for at, row in enumerate(rows):
        where = f"{path}, row {at}"
        cell = row.get(spans) or []
        if _is_by_type(cell):
            cell = _from_types(cell)
        if not isinstance(row.get(text), str) or not isinstance(cell, list):
            raise DataError(
                f"{where}: {text!r} is no text, or {spans!r} no list of spans",
                expected="a text, and a list of spans with start, end and label",
            )
        given = [_span(each, row[text], where) for each in cell]
        for tokens, tags in tagged(row[text], given, counts):
            for word in tokens:
                _check_word(word, where)
            found.append({"tokens": tokens, "ner_tags": tags, **_place(row, at)})
    return found


def _is_by_type(cell: Any) -> bool:
    """Whether a cell is an object of types, each with entities and the places where they are."""
    return isinstance(cell, dict) and all(
        isinstance(places, list) and all(isinstance(p, list) and len(p) == 2 for p in places)
        for entities in cell.values()
        for places in (entities.values() if isinstance(entities, dict) else [None])
    )


def _from_types(cell: Any) -> list[Record]:
    """Spans of CLUENER's layout, whose end is included in the entity."""
    return [
        {"start": start, "end": end + 1 if type(end) is int else end, "label": kind, "text": entity}
        for kind, entities in cell.items()
        for entity, places in entities.items()
        for start, end in places
    ]


def _span(given: Any, text: str, where: str) -> Found:
    """A span as a list (start, end, type) or an object; DataError unless it is one of the text."""
    values: list[Any] = given if isinstance(given, list) else []
    if isinstance(given, dict):
        values = [given.get(column(list(given), known)) for known in (START, END, TYPE)]
    start, end, kind = [*values, None, None, None][:3]
    if isinstance(kind, list) and len(kind) == 1:
        kind = kind[0]
    whole = type(start) is int and type(end) is int and isinstance(kind, str) and bool(kind.split())
    if not whole or not 0 <= start < end <= len(text):
        raise DataError(
            f"{where}: {str(given)[:80]} is no span of a text of {len(text):,} characters",
            expected="start and end in characters, the end not included, and a label",
        )
    said = given.get("text") if isinstance(given, dict) else None
    if isinstance(said, str) and said.split() != text[start:end].split():
        raise DataError(
            f"{where}: the entity {said[:40]!r} is {text[start:end][:40]!r} in the text",
            expected="offsets in characters of this very text, not in bytes",
        )
    return "-".join(kind.split()), start, end


def tagged(
    text: str, given: list[Found], counts: Counter[str]
) -> list[tuple[list[str], list[str]]]:
    """Words and IOB2 tags of each line of a text, lines joined where an entity spans them."""
    places = words(text)
    starts, ends = [start for start, _ in places], [end for _, end in places]
    tags = ["O"] * len(places)
    counts["spans"] += len(given)
    for kind, start, end in sorted(given, key=lambda each: (each[1] - each[2], each[1])):
        first, last = bisect_right(ends, start), bisect_left(starts, end)
        if first == last or any(tag != "O" for tag in tags[first:last]):
            counts["overlapping"] += 1
            continue
        stripped = text[start:end].strip()
        counts["widened"] += text[starts[first] : ends[last - 1]] != stripped
        tags[first:last] = [f"B-{kind}", *[f"I-{kind}"] * (last - first - 1)]
    lines: list[tuple[list[str], list[str]]] = []
    before = 0
    for (start, end), tag in zip(places, tags, strict=True):
        if not lines or ("\n" in text[before:start] and not tag.startswith("I-")):
            lines.append(([], []))
        lines[-1][0].append(text[start:end])
        lines[-1][1].append(tag)
        before = end
    return lines


def is_tagged(path: Path) -> bool:
    """Whether a table is one that `read` reads, by its columns and where they hold lists."""
    try:
        rows = records.read(path, Counter(), HEADS)
    except DataError:
        return False
    names = _names(rows)
    lists = {
        name
        for row in rows
        for name, cell in row.items()
        if isinstance(cell, list) or (cell and _is_by_type(cell))
    }
    words = column(names, TOKENS) in lists and column(names, TAGS) in lists
    spans = column(names, TEXTS) and column(lists, SPANS)
    return words or bool(spans) or all(column(names, known) for known in HEADS)


def is_untagged(path: Path) -> bool:
    """Whether a table holds texts or words alone: no column of tags or spans has anything."""
    try:
        rows = records.read(path, Counter(), (TEXTS,))
    except DataError:
        return False
    names = _names(rows)
    tags = {name for name in names if records.normal(name) in {*TAGS, *SPANS, *WORD_TAGS}}
    given = any(row.get(name) not in (None, "", [], {}) for row in rows for name in tags)
    return bool(column(names, TEXTS) or column(names, TOKENS)) and not given


def is_header(line: str) -> bool:
    """Whether the first line of a .tsv file names columns of words and tags."""
    names = line.rstrip("\r\n").split("\t")
    tagged = any(TAG.fullmatch(name) for name in names)
    return bool(column(names, WORDS) and column(names, WORD_TAGS)) and not tagged
