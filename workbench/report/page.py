"""The page of one run: a header from its records, and the cells of its executed notebook."""

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from pygments.styles import get_style_by_name
from pygments.token import STANDARD_TYPES

from workbench.core import paths
from workbench.core.files import strict_json, write_text
from workbench.record import state
from workbench.record.answer import answer, findings
from workbench.record.result import (
    ITEMS,
    LOG,
    NOTEBOOK,
    PAGE,
    PARAMETERS,
    RESULT,
    DataIssue,
    Result,
    duration,
)
from workbench.report import cells, citation, ending, items
from workbench.report.cells import TEMPLATES
from workbench.report.cleaning import visible, without_home

THEME = "theme.js"
"""Runs in the head of every page, so that none is ever drawn in the wrong theme."""
BY_HAND = "interactive"
NOT_RECORDED = "ended before its record was written"


def render(directory: Path, record: Result | None = None) -> str:
    """The page of a run directory; `record` is the result where its file is not written yet."""
    facts = state.read(directory)
    if record is None and (directory / RESULT).exists():
        record = Result.read_record(directory)
    status = record.status if record else facts.get("status", "unknown")
    if status == "succeeded" and not record:
        status, facts = "interrupted", facts | {"message": NOT_RECORDED}
    given = record.parameters if record else parameters(directory)
    notebook = cells.read(directory / NOTEBOOK, status, given)
    changed = given.keys() if notebook.changed is None else notebook.changed
    differing = {name: value for name, value in given.items() if name in changed}
    shown: dict[str, Any] = {
        "title": notebook.title or facts.get("task") or (record.task if record else directory.name),
        "run_id": directory.name,
        "status": status,
        "started": facts.get("started", ""),
        "seconds": facts.get("seconds"),
        "parameters": given,
        "changed": differing if notebook.changed else {},
        "files": _files(directory, record),
        "ending": ending.explain(facts, status, notebook.ended, differing),
        "short_name": cells.short_name(directory.name),
    }
    scripts = ["page.js", "take.js"]
    if not shown["ending"]:
        shown["again"] = ending.command(facts.get("notebook", ""), differing)
    if record and status == BY_HAND and not (directory / NOTEBOOK).is_file():
        notebook = replace(notebook, body=_without_cells(record))
    if record:
        shown |= _from_record(record)
        shown["citation"] = citation.bibtex(shown["title"], directory.name, record)
        if browsable := items.browsable(directory, record):
            shown |= {"items": browsable, "items_data": embed(browsable)}
            scripts.append("items.js")
    return shell("run.html", scripts=scripts, **shown, notebook=notebook)


def _without_cells(record: Result) -> str:
    """What stands in place of the cells of a run by hand: how to get them."""
    found = [path.stem for path in paths.notebooks_of(record.task)]
    command = html.escape(ending.command(found[0], record.parameters)) if found else ""
    how = f": <code>{command}</code>" if command else "."
    return (
        "<p>This run was done by hand in JupyterLab, so its cells, figures and tables are not on "
        f"this page; the same run in batch has them{how}</p>"
    )


def write(directory: Path, record: Result | None = None) -> None:
    """Write the page of a run directory.

    A run does not depend on its page: where something in it can't be shown, the page says so.
    """
    try:
        text = render(directory, record)
    except Exception as error:  # noqa: BLE001  records and cells hold whatever a notebook wrote
        words = f"This page could not be made: {type(error).__name__}: {error}"
        found = cells.Shown(body=f"<p>{html.escape(words)}</p>")
        files = _files(directory, record)
        status = _text_of(state.read(directory), "status") or "unknown"
        text = shell(
            "run.html", title=directory.name, run_id=directory.name, status=status, files=files,
            notebook=found, parameters={}, changed={},
        )  # fmt: skip
    # What a cell printed may hold half a character, which UTF-8 can't.
    write_text(directory / PAGE, text.encode("utf-8", "backslashreplace").decode("utf-8"))


def _text_of(facts: Mapping[str, Any], name: str) -> str:
    return found if isinstance(found := facts.get(name), str) else ""


def _files(directory: Path, record: Result | None) -> list[str]:
    """The files beside the page that a reader may want; the record's own is written after it."""
    wanted = (NOTEBOOK, RESULT, LOG, ITEMS)
    return [n for n in wanted if (directory / n).exists() or (n == RESULT and record)]


def _from_record(record: Result) -> dict[str, Any]:
    """What the header takes from `result.json`."""
    cost = record.cost
    spent = {"wall time": duration(cost.seconds), "training": duration(cost.train_seconds)}
    spent |= {f"peak memory, {kind}": f"{mb:,.0f} MiB" for kind, mb in cost.memory_mb.items()}
    spent |= {"trained tokens": f"{cost.trained_tokens:,}"}
    spent |= {"device": cost.device, "precision": cost.precision}
    packages = record.environment.get("packages", {})
    machine = {key: value for key, value in record.environment.items() if key != "packages"}
    return {
        "started": record.started,
        "seconds": cost.seconds,
        "answer": record.answer or answer(record),
        "findings": findings(record),
        "headline": {n: record.metrics[n] for n in record.headline if n in record.metrics},
        "cost": spent,
        **_issues(record.data_issues.values()),
        "sources": {
            f"{kind} {source.get('name', '')}": ". ".join(
                filter(None, map(source.get, ("about", "license", "terms")))
            )
            + f". Fingerprint {source.get('fingerprint', '')[:12]}"
            for kind, source in record.sources.items()
        },
        "environment": {**machine, **packages},
    }


def _issues(issues: Iterable[DataIssue]) -> dict[str, Any]:
    """Data issues with their fractions, the largest first; what was looked for and not found."""
    ordered = sorted(issues, key=lambda issue: -issue.count / max(issue.of, 1))
    found = [
        (issue.note, f"{issue.count:,} of {issue.of:,} ({issue.count / max(issue.of, 1):.2%})")
        for issue in ordered
        if issue.count
    ]
    return {"data_issues": found, "no_issues": [one.note for one in ordered if not one.count]}


@cache
def environment() -> jinja2.Environment:
    """Templates of the pages; every value is escaped."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["duration"] = duration
    found.filters["minute"] = lambda moment: moment[:16].replace("T", " ")
    found.filters["round3"] = lambda value, sign="": f"{value:{sign}.3f}"
    return found


def shell(
    template: str, *, scripts: Sequence[str] = (), styles: Sequence[str] = (), **values: Any
) -> str:
    """A page from a template that extends `base.html`.

    `scripts` and `styles` name files beside the templates. The scripts run when the page is read to
    its end; the page's policy allows these and the theme's by their hash, no other, and no request
    at all. `values` are what the template shows, escaped; the user's home is `~` in them.
    """
    first, *texts = [_text(name) for name in (THEME, *scripts)]
    hashes = (hashlib.sha256(text.encode()).digest() for text in (first, *texts))
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes)
    css = "\n".join([style(), *map(_text, styles)])
    page = environment().get_template(template)
    made = page.render(
        **values, style=css, theme_script=first, scripts=texts, script_policy=allowed
    )
    return without_home(visible(made))


def embed(value: Any) -> Markup:
    r"""JSON for a script element that is data: nothing in it can end the element.

    >>> embed({"a": "</script>"})
    Markup('{"a":"\\u003c/script>"}')
    """
    text = json.dumps(value, separators=(",", ":"), default=str)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  no character of it is markup


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


@cache
def style() -> str:
    """All CSS of a page."""
    tables = (paths.PACKAGE / "display" / "tables.css").read_text(encoding="utf-8")
    return f"{_code_colours()}\n{_text('style.css')}\n{tables}\n{_text('take.css')}"


def _code_colours() -> str:
    """Colours of code in both themes, as one set of rules."""
    light, dark = (get_style_by_name(name) for name in ("default", "github-dark"))
    rules = []
    for token, short in STANDARD_TYPES.items():
        day, night = light.style_for_token(token), dark.style_for_token(token)
        pair = (f"#{each['color']}" if each["color"] else "currentcolor" for each in (day, night))
        weight = "; font-weight: bold" if day["bold"] else ""
        if short and (day["color"] or night["color"]):
            rules.append(f".highlight .{short} {{ color: light-dark({', '.join(pair)}){weight} }}")
    return "\n".join(rules)


def parameters(directory: Path) -> dict[str, Any]:
    """What `params.json` of a run says; empty where it can't be read."""
    try:
        found = strict_json((directory / PARAMETERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
