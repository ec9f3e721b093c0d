"""What a researcher's cell hands to a function, as it is meant: one text for a list of one."""

from collections.abc import Iterable
from typing import Any

from workbench.core.errors import ParameterError


def texts(value: Any, name: str) -> list[str]:
    """Texts as a list; one text is a list of one. ParameterError for anything else.

    >>> texts("Hello", "prompts"), texts(("a", "b"), "prompts")
    (['Hello'], ['a', 'b'])
    """
    found = [value] if isinstance(value, str) else _listed(value, name, "a list of texts")
    for place, each in enumerate(found):
        if not isinstance(each, str):
            raise ParameterError(
                f"{name}[{place}] is {shown(each)}",
                expected=f"{name}: a list of texts (str)",
                do="str(...) makes a text of a number" if isinstance(each, int | float) else "",
            )
    return found


def words(value: Any, name: str) -> list[list[str]]:
    """Sentences as lists of words (or of their tags); ParameterError for anything else.

    >>> words([("Ada", "runs")], "sentences")
    [['Ada', 'runs']]
    """
    wanted = "a list of sentences, each a list of words (str)"
    if isinstance(value, str):
        raise ParameterError(
            f"{name} is the text {value[:60]!r}", expected=f"{name}: {wanted}", do="[text.split()]"
        )
    found = _listed(value, name, wanted)
    for place, each in enumerate(found):
        if isinstance(each, str) or not isinstance(each, Iterable):
            raise ParameterError(
                f"{name}[{place}] is {shown(each)}",
                expected=f"{name}: {wanted}",
                do="[text.split() for text in texts]; for one sentence: [words]",
            )
    return [texts(each, f"{name}[{place}]") for place, each in enumerate(found)]


def texts_or_words(value: Any, name: str) -> tuple[list[str], list[list[str]] | None]:
    """Texts, and their words where they came as lists of words, which are joined by spaces."""
    found = [value] if isinstance(value, str) else _listed(value, name, "a list of texts")
    if not found or isinstance(found[0], str):
        return texts(found, name), None
    split = words(found, name)
    return [" ".join(each) for each in split], split


def shown(value: Any) -> str:
    """What a wrong argument is, in a few words.

    >>> shown(3), shown([1, 2])
    ('3 (int)', '[1, 2] (list)')
    """
    text = repr(value) if isinstance(value, str | int | float | list | tuple | None) else ""
    return f"{text[:60]} ({type(value).__name__})" if text else f"a {type(value).__name__}"


def _listed(value: Any, name: str, wanted: str) -> list[Any]:
    if not isinstance(value, Iterable) or isinstance(value, bytes | dict):
        raise ParameterError(f"{name} is {shown(value)}", expected=f"{name}: {wanted}")
    return list(value)
