"""Charts of results: each gives a Figure whose caption is made from the result's numbers."""

from collections.abc import Callable
from typing import Any

from workbench import facade


def __getattr__(name: str) -> Callable[..., Any]:
    return facade.load("figures", name)


def __dir__() -> list[str]:
    return sorted(facade.homes("figures"))
