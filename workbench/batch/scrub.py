"""Secrets out of what a run leaves: known values of the environment, and the shapes of tokens."""

import contextlib
import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nbformat

from workbench.files import write_text

MASK = "***"
MIN_LENGTH = 8
"""Shorter values, such as "true" or a port, would be found in harmless text."""
NAMES = re.compile(
    "(TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE)(?!.*(PATH|FILE|DIR)$)"
    "|(^|_)(KEY|AUTH|DSN)$|_PWD$",  # but PWD, which is where one stands
    re.IGNORECASE,
)
"""Variables whose value is a secret; not those that say where one lies."""
SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{30,}"  # Hugging Face
    r"|gh[oprsu]_[A-Za-z0-9]{36,}|github_pat_\w{22,}|glpat-[\w-]{20,}"  # GitHub, GitLab
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}\b"  # AWS
    r"|sk-[A-Za-z0-9_-]{20,}"  # OpenAI, Anthropic
    r"|AIza[\w-]{35}|xox[abeprs]-[\w-]{10,})"  # Google, Slack
    r'|-----BEGIN [A-Z ]*PRIVATE KEY-----[^"]*?-----END [A-Z ]*PRIVATE KEY-----'
)
TEXT_FILES = {".ipynb", ".json", ".jsonl", ".log"}


class Scrubber:
    """Replace secrets by `***` and count them; the user's home becomes `~`."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.found = 0
        """Replacements so far."""
        # As a file of JSON, Python or HTML holds it; longer ones first, as one may hold another.
        forms = {form for value in values for form in _forms(value)}
        ordered = sorted(filter(None, forms), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None
        home = str(Path.home())
        self._home = re.compile(re.escape(home) + r"(?=/|$)") if len(home) > 1 else None

    def secrets(self, text: str) -> str:
        """The text without secrets.

        >>> Scrubber(["hunter2hunter2"]).secrets("hunter2hunter2, AKIA0123456789ABCDEF")
        '***, ***'
        """
        for pattern in filter(None, (self._known, SHAPES)):
            text, found = pattern.subn(MASK, text)
            self.found += found
        return text

    def shown(self, text: str) -> str:
        """The text without secrets and without the name of the user's home."""
        text = self.secrets(text)
        return self._home.sub("~", text) if self._home else text

    def message(self, content: Any) -> Any:
        """What a kernel sent, its texts as `shown`; images stay as they are."""
        if isinstance(content, str):
            return self.shown(content)
        if isinstance(content, list):
            return [self.message(part) for part in content]
        if isinstance(content, Mapping):
            return {
                name: part if name.startswith("image/") and name != "image/svg+xml"
                else self.message(part)
                for name, part in content.items()
            }  # fmt: skip
        return content

    def files(self, directory: Path) -> None:
        """Take secrets out of a run's text files, for what came there in parts or by itself."""
        for path in directory.iterdir():
            if path.suffix in TEXT_FILES and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                cleaned = self.secrets(text)
                if path.suffix == ".ipynb":
                    cleaned = self._joined(cleaned)
                if cleaned != text:
                    write_text(path, cleaned)

    def _joined(self, text: str) -> str:
        """A notebook without secrets that go over several lines, which its file keeps apart."""
        try:
            content: Any = nbformat.reads(text, as_version=4)
        except Exception:  # noqa: BLE001  nbformat's errors have no class in common
            return text
        before = self.found
        for cell in content.cells:
            cell.outputs = [nbformat.from_dict(self.message(o)) for o in cell.get("outputs", [])]
            if cell.cell_type != "code":
                del cell["outputs"]
        return nbformat.writes(content) if self.found > before else text


def _forms(value: str) -> tuple[str, ...]:
    """How a value may be written."""
    return value, json.dumps(value)[1:-1], repr(value)[1:-1], html.escape(value), quote(value)


def of_environment() -> Scrubber:
    """A scrubber that knows this process's secrets, also the token that a Hub login left."""
    values = [value for name, value in os.environ.items() if NAMES.search(name)]
    values += re.findall(r"\w://[^:/@\s]*:([^@/\s]+)@", "\n".join(os.environ.values()))
    folder = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    token = Path(os.environ.get("HF_TOKEN_PATH", folder / "token"))
    with contextlib.suppress(OSError, ValueError):
        values.append(token.read_text(encoding="utf-8").strip())
    return Scrubber(value for value in values if len(value) >= MIN_LENGTH)
