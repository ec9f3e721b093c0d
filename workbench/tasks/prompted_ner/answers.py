r"""The grammar by which a written answer is read as entities, and where each is in its sentence.

lines  = "none" | line {newline line}            up to the first empty line
line   = type ":" ("none" | string {";" string} [";"])
json   = one object on one line, type -> list of strings; no type twice, {} for no entity
marked = the sentence once more, space aside, each entity as "[" string "](" type ")"

A type is a word of the prompt. Types and "none" are read without regard to case, and space around
strings is no part of them. An answer that says anything else is unparsed: it gives no entity, and
nothing of it is guessed.

A marked answer shows which words it means. Of the others each string, in their order, takes the
first place in the sentence that no entity before it touches: so the second time a string is written
it takes its second place. Places are runs of whole words, letter for letter, or where there is none
without regard to case.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from workbench.data.entities import NAMES
from workbench.record.iob import Span, spans

Format = Literal["lines", "json", "marked"]
Words = Mapping[str, str]
"""Entity types of the data -> their words in a prompt."""
STOPS: dict[Format, str] = {"lines": "\n\n", "json": "\n", "marked": "\n"}
"""What ends an answer."""
PLACED = {
    "exact": "strings found in the sentence letter for letter",
    "other_case": "strings found in the sentence in other letter case only",
}
DROPPED = {
    "not_in_text": "strings that are not in the sentence, dropped",
    "boundary": "strings that are in the sentence as parts of words only, dropped",
    "repeated": "strings written more often than they are in the sentence, dropped",
    "overlapping": "strings that share words with an entity written before, dropped",
}
"""What becomes of a written string."""


@dataclass(frozen=True)
class Mention:
    """An entity as an answer names it."""

    kind: str
    text: str
    start: int | None = None
    """Characters of the sentence before it, space not counted, where the answer shows that."""


@dataclass(frozen=True)
class MatchOutcome:
    """What became of a written entity: a key of PLACED or DROPPED."""

    written: Mention
    outcome: str
    span: Span | None = None
    ambiguous: bool = False
    """Whether more places were left than times that the string was still to come."""


def words_of(types: Sequence[str]) -> dict[str, str]:
    """Each type's word in a prompt, the known types first.

    >>> words_of(["LOC", "PER", "tvshow"])
    {'PER': 'person', 'LOC': 'location', 'tvshow': 'tvshow'}
    """
    known = {kind: word for kind, word in NAMES.items() if kind in types}
    found = known | {kind: kind.lower() for kind in types if kind not in known}
    return found if len(set(found.values())) == len(found) else {kind: kind for kind in types}


def sentence(words: Sequence[str]) -> str:
    """A sentence's words, joined by spaces on one line."""
    return " ".join(map(_spaced, words))


def write(words: Sequence[str], tags: Sequence[str], form: Format, kinds: Words) -> str:
    r"""The answer that names the entities of IOB2 tags, as it follows a prompt.

    >>> write(["Ada", "likes", "Rome"], ["B-PER", "O", "B-LOC"], "lines", words_of(["LOC", "PER"]))
    '\nperson: Ada\nlocation: Rome'
    """
    found = sorted(spans(tags), key=lambda span: span[1])
    if form == "marked":
        shown = list(map(_spaced, words))
        for kind, start, end in found:
            shown[start] = f"[{shown[start]}"
            shown[end - 1] += f"]({kinds[kind]})"
        return f" {' '.join(shown)}"
    named = {
        word: [sentence(words[start:end]) for kind, start, end in found if kind == own]
        for own, word in kinds.items()
    }
    named = {word: texts for word, texts in named.items() if texts}
    if form == "json":
        return f" {json.dumps(named, ensure_ascii=False)}"
    lines = [f"{word}: {'; '.join(texts)}" for word, texts in named.items()]
    return "\n" + ("\n".join(lines) or "none")


def read_part(answer: str, form: Format) -> str:
    """The part of an answer that is read: all before what ends it."""
    return answer.partition(STOPS[form])[0]


def parse(answer: str, words: Sequence[str], form: Format, kinds: Words) -> list[Mention] | None:
    """The entities that an answer to a sentence names, in its order; None for one that is unparsed.

    >>> parse(" Ada in [Rome](location)", ["Ada", "in", "Rome"], "marked", words_of(["LOC"]))
    [Mention(kind='LOC', text='Rome', start=5)]
    """
    types = {word.casefold(): kind for kind, word in kinds.items()}
    text = read_part(answer, form).strip()
    if form == "marked":
        return _marked(text, words, types)
    return _json(text, types) if form == "json" else _lines(text, types)


def _lines(text: str, types: Words) -> list[Mention] | None:
    if text.casefold() == "none":
        return []
    found = []
    for line in text.split("\n"):
        name, colon, rest = line.partition(":")
        kind = types.get(name.strip().casefold())
        if kind is None or not colon:
            return None
        if _spaced(rest).casefold() == "none":
            continue
        texts = [_spaced(part) for part in rest.strip().removesuffix(";").split(";")]
        if "" in texts:
            return None
        found += [Mention(kind, part) for part in texts]
    return found


def _json(text: str, types: Words) -> list[Mention] | None:
    try:
        pairs = json.loads(text, object_pairs_hook=tuple)  # a plain dict hides a type named twice
    except (ValueError, RecursionError):
        return None
    if not isinstance(pairs, tuple):
        return None
    named = [(types.get(name.strip().casefold()), texts) for name, texts in pairs]
    found = []
    for kind, texts in named:
        if kind is None or not isinstance(texts, list):
            return None
        for part in texts:
            if not isinstance(part, str) or not part.strip():
                return None
            found.append(Mention(kind, _spaced(part)))
    return found if len({kind for kind, _ in named}) == len(named) else None


def _marked(text: str, words: Sequence[str], types: Words) -> list[Mention] | None:
    marks = re.compile(rf"\[([^\[\]]*)\]\(({'|'.join(map(re.escape, types))})\)", re.IGNORECASE)
    plain, end, found = "", 0, []
    for mark in marks.finditer(text):
        plain += _solid(text[end : mark.start()])
        if not _solid(mark[1]):
            return None
        found.append(Mention(types[mark[2].casefold()], _spaced(mark[1]), len(plain)))
        plain, end = plain + _solid(mark[1]), mark.end()
    return found if plain + _solid(text[end:]) == _solid("".join(words)) else None


def place(words: Sequence[str], written: Sequence[Mention]) -> list[MatchOutcome]:
    """What becomes of each written entity of a sentence.

    >>> [match.span for match in place(["Oslo", "-", "Oslo"], [Mention("LOC", "Oslo")] * 3)]
    [('LOC', 0, 1), ('LOC', 2, 3), None]
    """
    text, taken, outcomes = sentence(words), dict[range, str](), list[MatchOutcome]()
    to_come = Counter(each.text for each in written)
    for each in written:
        to_come[each.text] -= 1
        if each.start is not None:
            place, outcome, ambiguous = _shown_place(words, each), "exact", False
        else:
            place, outcome, ambiguous = _first_place(
                words, text, each.text, taken, to_come[each.text]
            )
        if place is None:
            outcomes.append(MatchOutcome(each, outcome if outcome in DROPPED else "boundary"))
            continue
        taken[place] = each.text.casefold()
        span = (each.kind, place.start, place.stop)
        outcomes.append(MatchOutcome(each, outcome, span, ambiguous))
    return outcomes


def tags_of(outcomes: Sequence[MatchOutcome], length: int) -> list[str]:
    """IOB2 tags of a sentence of `length` words, from what was placed."""
    tags = ["O"] * length
    for kind, start, end in (match.span for match in outcomes if match.span):
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def _first_place(
    words: Sequence[str], text: str, string: str, taken: Mapping[range, str], to_come: int
) -> tuple[range | None, str, bool]:
    """Words of the first free place of a string, the outcome, and whether it is ambiguous."""
    edges, found = _edges(words), list[range]()
    inside = False
    for outcome in PLACED:
        matches = _matches(text, string, folded=outcome == "other_case")
        inside = inside or bool(matches)
        found = [
            range(edges[0][start], edges[1][end])
            for start, end in matches
            if start in edges[0] and end in edges[1]
        ]
        free = [place for place in found if not any(_touch(place, other) for other in taken)]
        if free:
            return free[0], outcome, len(free) > to_come + 1
    if not found:
        return None, "boundary" if inside else "not_in_text", False
    own = any(taken.get(place) == string.casefold() for place in found)
    return None, "repeated" if own else "overlapping", False


def _shown_place(words: Sequence[str], written: Mention) -> range | None:
    """The words at a place that the answer shows; None where it parts one."""
    starts, ends, length = dict[int, int](), dict[int, int](), 0
    for place, word in enumerate(words):
        starts[length] = place
        length += len(_solid(word))
        ends.setdefault(length, place + 1)
    first = starts.get(written.start or 0)
    last = ends.get((written.start or 0) + len(_solid(written.text)))
    return range(first, last) if first is not None and last is not None else None


def _edges(words: Sequence[str]) -> tuple[dict[int, int], dict[int, int]]:
    """Character at which each word begins -> its place; character after it -> the next place."""
    starts, ends, at = {}, {}, 0
    for place, word in enumerate(map(_spaced, words)):
        starts[at], ends[at + len(word)] = place, place + 1
        at += len(word) + 1
    return starts, ends


def _matches(text: str, string: str, *, folded: bool) -> list[tuple[int, int]]:
    """Start and end of each place of a string in a text, overlapping ones too."""
    places = list(range(len(text) + 1))
    if folded:
        # Without case a letter may be two: ß is ss.
        letters = [letter.casefold() for letter in text]
        places = [at for at, letter in enumerate(letters) for _ in letter] + [len(text)]
        text, string = "".join(letters), string.casefold()
    found, start = [], text.find(string)
    while start >= 0:
        end = start + len(string)
        if all(at == 0 or places[at - 1] != places[at] for at in (start, end)):
            found.append((places[start], places[end]))
        start = text.find(string, start + 1)
    return found


def _touch(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _solid(text: str) -> str:
    return "".join(text.split())
