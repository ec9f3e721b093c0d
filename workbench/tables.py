"""Tables of results as HTML. Everything that comes from data is escaped."""

from collections.abc import Callable
from typing import Any

from workbench import facade


def __getattr__(name: str) -> Callable[..., Any]:
    return facade.load("tables", name)


def __dir__() -> list[str]:
    return sorted(facade.homes("tables"))
