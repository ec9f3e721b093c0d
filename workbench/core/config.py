"""Base of every task's parameters: frozen, typed, closed to unknown names.

A field's docstring is one line with its unit and range; help, the parameters cell and error
messages are made from it.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from workbench.core.errors import ParameterError

MAX_SHOWN = 200
"""Characters of a wrong name or value that an error shows."""
MainMeasure = Literal["accuracy", "entity_f1", "bits_per_byte"]


class Config(BaseModel):
    """Parameters of one task. A subclass adds fields and names its task."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )
    task: ClassVar[str]
    sources: ClassVar[dict[str, Literal["model", "dataset"]]] = {
        "model": "model",
        "dataset": "dataset",
    }
    """Fields that name models or data sets, several, comma-separated; a run's id counts their
    content."""
    reads: ClassVar[dict[str, tuple[str, ...]]] = {}
    """Of those that name data the `core.families` that the task can read."""
    validation: ClassVar[dict[str, str]] = {}
    """Metrics that a search may go by -> the training in the run's history whose score they are."""
    right: ClassVar[str] = ""
    """What makes an item right, in words, for comparisons; empty where no item is."""
    main_measure: ClassVar[MainMeasure] = "accuracy"
    """What two runs are compared by on the items they share."""
    test: ClassVar[tuple[str, ...]] = ()
    """Parameters that change the test items or the question: runs that differ in one are no
    settings of one test, so a leaderboard ranks them apart."""
    _directory: Path | None = PrivateAttr(default=None)

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of every random choice."""

    @property
    def directory(self) -> Path | None:
        """Run directory, known after `workbench.start`."""
        return self._directory

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Self:
        """Build from typed values; ParameterError for an unknown name, a wrong type or range."""
        return cls._build(values, strict=True)

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Build from text, as a command line gives it: text stays text, "3" is a number."""
        return cls._build(texts, strict=False)

    @classmethod
    def _build(cls, values: Mapping[str, Any], *, strict: bool) -> Self:
        for name, value in values.items():
            if name not in cls.model_fields:
                raise unknown_parameter(name, cls.model_fields)
            if isinstance(value, str) and not _is_text(value):
                raise ParameterError(
                    f"{name}={_shown(value)} holds a NUL or half a character",
                    expected="text that UTF-8 can hold",
                )
        try:
            if strict:
                return cls.model_validate(dict(values))
            return cls.model_validate_strings(dict(values), strict=False)
        except ValidationError as error:
            raise cls._explain(error.errors()[0]) from None

    @classmethod
    def _explain(cls, problem: ErrorDetails) -> ParameterError:
        said = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            return ParameterError(said)
        name = str(problem["loc"][0])
        return ParameterError(
            f"{name}={_shown(problem['input'])}: {said}",
            expected=f"{name}: {describe(cls.model_fields[name])}",
        )


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False


def _shown(value: object) -> str:
    """A value as an error shows it: its beginning, where it is long."""
    try:
        text = repr(value)
    except ValueError:  # an integer of more digits than Python writes
        text = "a very long number"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def names(text: str) -> list[str]:
    """The names in a parameter that may hold several, comma-separated.

    >>> names("sp500, nasdaq")
    ['sp500', 'nasdaq']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def several(known: Sequence[str]) -> Callable[[str], str]:
    """A validator of names in a text: each once, by name or by what one of `known` alone begins.

    It raises ValueError for anything else, or for none.

    >>> several(["full fine-tuning", "TF-IDF"])("full, TF-IDF, full fine-tuning")
    'full fine-tuning, TF-IDF'
    """

    def check(text: str) -> str:
        found = []
        for name in names(text):
            meant = [each for each in known if each.startswith(name)]
            if len(meant) != 1:
                raise ValueError(f"unknown method {name!r}; known: {', '.join(known)}")
            found += meant
        if not found:
            raise ValueError(f"no method; known: {', '.join(known)}")
        return ", ".join(dict.fromkeys(found))

    return check


def ascending(text: str) -> str:
    """Two or more whole numbers in a text, ascending; ValueError for anything else.

    >>> ascending("32, 8")
    '8, 32'
    """
    found = names(text)
    if not all(part.isdecimal() and int(part) >= 2 for part in found):
        raise ValueError(f"{text!r} is no list of whole numbers from 2 on, such as '8, 32'")
    values = sorted({int(part) for part in found})
    if len(values) < 2:
        raise ValueError(f"{text!r} has fewer than two sizes, which a curve needs")
    return ", ".join(map(str, values))


def describe(field: FieldInfo) -> str:
    """Type, range and meaning of a field in one line.

    >>> describe(Config.model_fields["seed"])
    'int, >= 0, < 4294967296. Seed of every random choice. Default 0'
    """
    limits = []
    for rule in field.metadata:
        for attribute, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
            if (limit := getattr(rule, attribute, None)) is not None:
                limits.append(f"{sign} {limit}")
    annotation: Any = field.annotation
    kind = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    kind = kind.replace("typing.", "")
    return f"{', '.join([kind, *limits])}. {field.description} Default {field.default!r}"


def unknown_parameter(name: str, known: Iterable[str]) -> ParameterError:
    """The error for a name that no field has, with the nearest right one."""
    known = list(known)
    near = difflib.get_close_matches(name[:MAX_SHOWN], known, n=1)
    return ParameterError(
        f"unknown parameter {_shown(name)}",
        expected=f"one of {', '.join(known)}",
        do=f"did you mean {near[0]!r}?" if near else "",
    )
