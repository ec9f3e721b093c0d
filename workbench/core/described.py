"""How notebooks show what says of itself in lines what it is."""

from abc import ABC, abstractmethod
from html import escape
from typing import Any

STYLE = (
    "white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid #8884; "
    "padding: 0.1em 0.9em; margin: 0.3em 0; font-size: 0.93em"
)
"""No colour of its own but a grey that shows on light and on dark. A page has its own style."""


class Described(ABC):
    """Data, a model or a result as the last line of a cell: its description, escaped."""

    max_lines = 30
    """Lines shown of a description."""

    @abstractmethod
    def describe(self) -> str:
        """What it is, in lines."""

    def _repr_html_(self) -> str:
        first, *rest = self.describe().splitlines()
        if len(rest) > self.max_lines:
            rest = [*rest[: self.max_lines], f"... and {len(rest) - self.max_lines:,} more lines"]
        return (
            f'<pre class="wb-shown" style="{STYLE}"><strong>{escape(first)}</strong>\n'
            f"{escape(chr(10).join(rest))}</pre>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Both forms at once, so that nothing else of it is written out, such as all its rows."""
        return {"text/plain": self.describe(), "text/html": self._repr_html_()}
