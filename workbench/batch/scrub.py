"""Secrets out of what a run leaves: known values of the environment, and the shapes of tokens."""

import base64
import contextlib
import html
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, unquote, unquote_plus

import nbformat

from workbench.batch import secret_shapes
from workbench.batch.secret_shapes import Span
from workbench.core.files import write_text
from workbench.report.cleaning import without_home

MASK = "***"
MIN_LENGTH = 8
"""Shorter values, such as "true" or a port, would be found in harmless text."""
MIN_LINE, MIN_USER = 16, 16
"""Shorter lines of a long value, or user names without a password, are no secrets by themselves."""
NAMES = re.compile(
    "(TOKEN(?!IZ)|SECRET|PASSW|PASSPHRASE|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE|BEARER|WEBHOOK"
    "|CONNECTION_?STRING|CONN_?STR)(?!.*(PATH|FILE|DIR)$)"
    # but PWD, which is where one stands
    "|(^|_)(KEY|AUTH|DSN|PASS|PAT|CREDS?|COOKIE|JWT|SAS)$|_(PWD|PW)$",
    re.IGNORECASE,
)
"""Variables whose value is a secret; not those that say where one lies."""
LOGIN = re.compile(r"://([^\s/]*)@")
"""User and password in an address."""
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

    def secrets(self, text: str) -> str:
        """The text without secrets.

        >>> Scrubber(["hunter2hunter2"]).secrets("hunter2hunter2, AKIA0123456789ABCDEF")
        '***, ***'
        """
        return self.parts([text])[0]

    def parts(self, texts: Sequence[str]) -> list[str]:
        """Texts that follow each other without secrets, also those that lie across two of them."""
        whole = "".join(texts)
        spans = self._spans(whole)
        cleaned: list[str] = []
        number = stop = 0
        for text in texts:
            start, stop = stop, stop + len(text)
            kept: list[str] = []
            place = start
            while number < len(spans) and spans[number][0] < stop:
                begin, end = spans[number]
                if begin >= start:
                    kept += [whole[place:begin], MASK]
                place = min(end, stop)
                if end > stop:  # its rest is in the next text
                    break
                number += 1
            cleaned.append("".join([*kept, whole[place:stop]]))
        return cleaned

    def _spans(self, text: str) -> list[Span]:
        """Where secrets are, in order and apart; counts them."""
        known = (match.span() for match in self._known.finditer(text)) if self._known else ()
        merged: list[Span] = []
        for begin, end in sorted([*known, *secret_shapes.find(text)]):
            if merged and begin < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            elif text[begin:end] != MASK:
                merged.append((begin, end))
        self.found += len(merged)
        return merged

    def shown(self, text: str) -> str:
        """The text without secrets and the user's home, as UTF-8 can hold it."""
        text = without_home(self.secrets(text))
        return text.encode("utf-8", "backslashreplace").decode("utf-8")

    def message(self, content: Any) -> Any:
        """What a kernel sent, its texts as `shown`; images stay as they are."""
        if isinstance(content, str):
            return self.shown(content)
        if isinstance(content, list):
            return [self.message(part) for part in content]
        if isinstance(content, Mapping):
            return {
                self.shown(name): part if name.startswith("image/") and name != "image/svg+xml"
                else self.message(part)
                for name, part in content.items()
            }  # fmt: skip
        return content

    def files(self, directory: Path) -> None:
        """Take secrets out of a run's text files, for what came there in parts or by itself."""
        for path in directory.iterdir():
            if path.suffix in TEXT_FILES and path.is_file():
                text = path.read_text(encoding="utf-8", errors="replace")
                cleaned = self._notebook(text) if path.suffix == ".ipynb" else self.secrets(text)
                if path.suffix == ".log":
                    cleaned = without_home(cleaned)
                if cleaned != text:
                    write_text(path, cleaned)

    def _notebook(self, text: str) -> str:
        """A notebook's text without secrets, also those that its file keeps in several lines."""
        try:
            content: Any = nbformat.reads(text, as_version=4)
        except Exception:  # noqa: BLE001  nbformat's errors have no class in common
            return self.secrets(text)  # torn
        before = nbformat.writes(content)
        for cell in content.cells:
            cell.source = self.shown(cell.source)
            outputs = cell.get("outputs", [])
            for stream in ("stdout", "stderr"):
                parts = [one for one in outputs if one.get("name") == stream]
                for part, clean in zip(parts, self.parts([p.text for p in parts]), strict=True):
                    part.text = clean
            if "outputs" in cell:
                cell.outputs = [nbformat.from_dict(self.message(output)) for output in outputs]
        cleaned = nbformat.writes(content)
        return text if cleaned == before else cleaned


def _forms(value: str) -> set[str]:
    """How a value may be written: as it is, in a file, in an address, on the lines it has."""
    lines = [line.strip() for line in value.splitlines()]
    plain = {value, value.replace("\r\n", "\n"), " ".join(lines)}
    plain |= {line for line in lines if len(line) >= MIN_LINE and not line.startswith("-----")}
    plain |= {decode(value) for decode in (unquote, unquote_plus)}
    written = set(plain)
    for text in plain:
        as_json = json.dumps(text)[1:-1]
        written |= {as_json, json.dumps(as_json)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        written |= {repr(text)[1:-1], html.escape(text), html.escape(text, quote=False)}
        written |= {quote(text), quote(text, safe=""), quote_plus(text)}
        written.add(base64.b64encode(text.encode("utf-8", "surrogateescape")).decode())
    return {form for form in written if len(form) >= MIN_LENGTH}


def of_environment() -> Scrubber:
    """A scrubber that knows this process's secrets, also the token that a Hub login left."""
    values = [value for name, value in os.environ.items() if NAMES.search(name)]
    values += [value for text in os.environ.values() for value in logins(text)]
    folder = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    token = Path(os.environ.get("HF_TOKEN_PATH", folder / "token"))
    with contextlib.suppress(OSError, ValueError):
        values.append(token.read_text(encoding="utf-8"))
    stripped = (value.strip() for value in values)
    return Scrubber(value for value in stripped if len(value) >= MIN_LENGTH)


def logins(text: str) -> set[str]:
    """Passwords in the addresses of a text, users that may be tokens, and tokens of known shapes.

    >>> logins("http://someone:p@ssword@proxy.example:3128")
    {'p@ssword'}
    """
    found = {text[begin:end] for begin, end in secret_shapes.find(text)}
    for login in LOGIN.findall(text):
        user, _, password = login.partition(":")
        found |= {password, user if len(user) >= MIN_USER else ""}
    return found - {""}


def without_logins(text: str) -> str:
    """The text with addresses that name no user and no password.

    >>> without_logins("http://someone:p@ss/word@proxy.example:3128")
    'http://proxy.example:3128'
    """
    return LOGIN.sub("://", Scrubber().secrets(text))  # which also finds a password with a slash
