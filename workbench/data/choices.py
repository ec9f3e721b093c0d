"""Choices of multiple-choice questions, in the layouts that people publish, and the right one.

Choices are a list (`choices`, in .csv as JSON; also the object of texts and labels that ARC and
CommonsenseQA have), columns with letters (`A`, `choice_a`, `option_b`) or columns with numbers
(`choice_0`, `option1`). An answer names its choice by letter, by number or by its text; all answers
of a table are read in the one way that fits them all.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from reprlib import repr as short

import pandas

from workbench.core.errors import DataError
from workbench.data import text

LETTERS = "abcdefghij"
ANSWERS = ("answer", "answerkey", "answer_key", "correct", "correct_answer", "correct_option")
LETTERED = re.compile(r"(?:(?:choice|option|answer)[ _-]?)?([a-j])")
NUMBERED = re.compile(r"(?:choice|option|answer)[ _-]?(\d+)")
UNREAD = re.compile(r"(?:distractor|incorrect|wrong|ending|solution|sol|option|choice)[ _-]?\w*")
"""Columns that look like choices in a layout that is not read."""
ARTICLE = re.compile(r"^(a|an|the) ")
FULL_STOP = re.compile(r"(?<=[^\W\d_])[.。]$")
EXPECTED = (
    "the columns question and answer; with choices as well: choices (a list), or a column for each "
    "(A, B, ...; choice_a, ...; option1, ...), and in answer the letter, number or text of the "
    "right one"
)


@dataclass(frozen=True)
class Choices:
    """Choices of a table's rows, the text of each right one, and how both were read."""

    answers: list[str | None]
    """None where a row has no answer, or the choice that it names is missing."""
    choices: list[list[str]]
    layout: str


@dataclass(frozen=True)
class _Row:
    """A row's choices, "" for one that is missing, and their names in the table."""

    texts: list[str]
    names: list[str]


def answer_form(answer: str) -> str:
    """The form in which two answers count as equal: as texts do, without article and full stop.

    >>> answer_form("A gyroscope."), answer_form("The gyroscope"), answer_form("C++")
    ('gyroscope', 'gyroscope', 'c++')
    """
    form = FULL_STOP.sub("", text.normal_form(answer))
    return ARTICLE.sub("", form) or form


def answer_column(frame: pandas.DataFrame, where: str) -> pandas.Series:
    """The column of the answers: `answer`, or one of its other usual names. DataError without."""
    names = {str(name).strip().casefold(): name for name in reversed(frame.columns)}
    for name in ANSWERS:
        if name in names:
            return frame[names[name]].astype(object)
    raise DataError(
        f"{where} has no column 'answer'; its columns: {', '.join(map(str, frame.columns))}",
        expected=EXPECTED,
    )


def read(frame: pandas.DataFrame, where: str) -> Choices | None:
    """Read the choices of a table; None where it has none.

    Raises DataError for choices that are no list, for answers that name no choice, for answers
    that fit two readings which differ, and where the table seems to have choices in a layout that
    is not known.
    """
    answers = [None if missing(answer) else answer for answer in answer_column(frame, where)]
    found = _layout(frame, where)
    if found is None:
        _refuse_unread(frame, answers, where)
        return None
    rows, ways, layout = found
    places, way = _places(answers, rows, ways, where)
    right = [
        None if place is None else row.texts[place] or None
        for row, place in zip(rows, places, strict=True)
    ]
    return Choices(
        answers=right,
        choices=[[choice for choice in row.texts if choice] for row in rows],
        layout=f"choices: {layout}; answers: {way}",
    )


def missing(cell: object) -> bool:
    """Whether a cell holds nothing: None, NA, NaN, or only white space."""
    if cell is None or cell is pandas.NA or cell != cell:  # noqa: PLR0124  so is NaN alone
        return True
    return isinstance(cell, str) and not cell.strip()


Way = Callable[[str, _Row], int | None]


def _by_name(answer: str, row: _Row) -> int | None:
    return row.names.index(answer.casefold()) if answer.casefold() in row.names else None


def _by_letter(answer: str, row: _Row) -> int | None:
    place = LETTERS.find(answer.casefold()) if len(answer) == 1 else -1
    return place if 0 <= place < len(row.texts) else None


def _by_number(first: int) -> Way:
    def way(answer: str, row: _Row) -> int | None:
        whole = answer.removesuffix(".0")
        place = int(whole) - first if whole.isdecimal() and len(whole) < 4 else -1
        return place if 0 <= place < len(row.texts) else None

    return way


def _by_text(answer: str, row: _Row) -> int | None:
    forms = [answer_form(choice) for choice in row.texts]
    return forms.index(answer_form(answer)) if answer_form(answer) in forms else None


LIST_WAYS: dict[str, Way] = {
    "numbers from 0": _by_number(0), "letters": _by_letter, "texts": _by_text,
}  # fmt: skip
NAME_WAYS: dict[str, Way] = {"labels of the choices": _by_name, "texts": _by_text}
LETTER_WAYS: dict[str, Way] = {
    "letters": _by_name, "texts": _by_text,
    "numbers from 0": _by_number(0), "numbers from 1": _by_number(1),
}  # fmt: skip


def _layout(frame: pandas.DataFrame, where: str) -> tuple[list[_Row], dict[str, Way], str] | None:
    """Rows of choices, the ways in which answers may name one, and the layout in words."""
    columns = {str(name).strip().casefold(): name for name in reversed(frame.columns)}
    if "choices" in columns:
        cells = list(frame[columns["choices"]])
        rows = [_listed(cell, f"{where}, row {row}") for row, cell in enumerate(cells, 1)]
        named = any(row.names for row in rows)
        return rows, NAME_WAYS if named else LIST_WAYS, f"column {columns['choices']}"
    numbered = {int(m[1]): name for key, name in columns.items() if (m := NUMBERED.fullmatch(key))}
    if len(numbered) > 1:
        order = sorted(numbered)
        if order != list(range(order[0], order[0] + len(order))) or order[0] > 1:
            raise DataError(
                f"{where} has columns of choices with the numbers {', '.join(map(str, order))}",
                expected="numbers one after the other, from 0 or 1 on",
            )
        ways = {f"numbers from {order[0]}": _by_number(order[0])}
        ways |= {"letters": _by_letter, "texts": _by_text}
        return _wide(frame, [numbered[number] for number in order], []), ways, _span(numbered)
    lettered = {m[1]: name for key, name in columns.items() if (m := LETTERED.fullmatch(key))}
    letters = [letter for letter in LETTERS if letter in lettered]
    if len(letters) > 1 and letters == list(LETTERS[: len(letters)]):
        rows = _wide(frame, [lettered[letter] for letter in letters], letters)
        return rows, LETTER_WAYS, _span(lettered)
    return None


def _span(columns: dict) -> str:
    return f"columns {columns[min(columns)]} to {columns[max(columns)]}"


def _wide(frame: pandas.DataFrame, columns: list, names: list[str]) -> list[_Row]:
    cells = frame[columns].astype(object).to_numpy().tolist()
    return [_Row(["" if missing(one) else str(one).strip() for one in row], names) for row in cells]


def _listed(cell: object, where: str) -> _Row:
    """A row's choices: a list, one as JSON text, or an object of texts and labels."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except (ValueError, RecursionError):
            cell = None
    names: list[str] = []
    if isinstance(cell, dict) and {"text", "label"} <= cell.keys():
        names = [str(name).strip().casefold() for name in cell["label"]]
        cell = cell["text"]
    items = cell if isinstance(cell, list) else getattr(cell, "tolist", lambda: None)()
    if not isinstance(items, list) or (names and len(names) != len(items)):
        raise DataError(
            f"{where}: choices are no list: {short(cell)}",
            expected='a list of texts; in a .csv as JSON, such as ["red", "blue"]',
        )
    return _Row(["" if missing(one) else str(one).strip() for one in items], names)


def _places(
    answers: Sequence[object], rows: Sequence[_Row], ways: dict[str, Way], where: str
) -> tuple[list[int | None], str]:
    """The place of each right choice, and the one way of reading that fits all answers."""
    plain = ["" if answer is None else str(answer).strip("(). \t\n") for answer in answers]
    asked = [place for place, answer in enumerate(plain) if answer and any(rows[place].texts)]
    found = {
        name: [
            way(answer, row) if answer else None for answer, row in zip(plain, rows, strict=True)
        ]
        for name, way in ways.items()
    }
    fitting = [name for name, own in found.items() if all(own[one] is not None for one in asked)]
    if not fitting:
        # The first answer that the way which reads most of them can't read.
        best = max(found.values(), key=lambda own: sum(own[one] is not None for one in asked))
        row = next(one for one in asked if best[one] is None)
        raise DataError(
            f"{where}, row {row + 1}: the answer {short(answers[row])} names none of its "
            f"{len(rows[row].texts)} choices",
            expected=f"in all rows the same of: {', '.join(ways)}",
        )
    numbers = [name for name in fitting if name.startswith("numbers")]
    if len(numbers) == 1 and all(type(answers[one]) is not str for one in asked):
        return found[numbers[0]], numbers[0]  # a number that is no text names a place
    for row in asked:
        if len({found[name][row] for name in fitting}) > 1:
            raise DataError(
                f"{where}, row {row + 1}: the answers can be read as {' and as '.join(fitting)}, "
                f"and {short(answers[row])} means different choices then",
                expected="answers that can be read in one way",
                do="write the letters of the right choices: A, B, ...",
            )
    return found[fitting[0]], fitting[0]


def _refuse_unread(frame: pandas.DataFrame, answers: Sequence[object], where: str) -> None:
    """Refuse a table whose columns or answers show that it has choices which were not read."""
    columns = [str(name) for name in frame.columns]
    unread = [name for name in columns if UNREAD.fullmatch(name.strip().casefold())]
    given = {str(answer).strip().casefold() for answer in answers if answer is not None}
    letters = len(given) > 1 and given <= set(LETTERS)
    if unread or letters:
        seen = f"columns {', '.join(unread)}" if unread else "letters as answers"
        raise DataError(
            f"{where} has {seen}, but its choices can't be read; its columns: {', '.join(columns)}",
            expected=EXPECTED,
        )
