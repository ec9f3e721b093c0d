"""The page of one run: a header from its records, and the cells of its executed notebook."""

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import nbformat
import nh3
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from workbench import paths, state
from workbench.files import write_text
from workbench.result import (
    NOTEBOOK,
    PAGE,
    PARAMETERS,
    RESULT,
    Result,
    duration,
)

TEMPLATES = Path(__file__).parent / "templates"
MAX_STREAM = 20_000
"""Characters shown of one cell's printed output; the rest is in run.log."""

KINDS = ("image/png", "text/html", "text/markdown", "text/plain")
"""Kinds of output that a page shows, the best first; nothing else gets in."""

TAGS = set(
    "a b blockquote br caption code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark"
    " ol p pre s small span strong sub sup table tbody td tfoot th thead tr u ul".split()
)
ATTRIBUTES = {
    "*": {"class", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
    **{heading: {"id"} for heading in ("h1", "h2", "h3", "h4", "h5", "h6")},
}


def render(directory: Path, record: Result | None = None) -> str:
    """The page of a run directory; `record` is the result where its file is not written yet."""
    facts = state.read(directory)
    if record is None and (directory / RESULT).exists():
        record = Result.read_record(directory)
    title, body = _notebook(directory / NOTEBOOK)
    shown: dict[str, Any] = {
        "title": title or facts.get("task") or (record.task if record else directory.name),
        "run_id": directory.name,
        "status": facts.get("status", "unknown"),
        "message": facts.get("message", ""),
        "started": facts.get("started", ""),
        "seconds": facts.get("seconds"),
        "parameters": parameters(directory),
    }
    if record:
        shown |= _from_record(record)
    soup = BeautifulSoup(body, "html.parser")
    contents = [
        (heading["id"], heading.get_text().removesuffix("¶"))
        for heading in soup.find_all("h2")
        if heading.get("id")
    ]
    return shell("run.html", **shown, contents=contents, body=body)


def refresh(directory: Path) -> None:
    """Write the page of a run directory anew."""
    write_text(directory / PAGE, render(directory))


def _from_record(record: Result) -> dict[str, Any]:
    """What the header takes from `result.json`."""
    cost = record.cost
    spent = {"wall time": duration(cost.seconds), "training": duration(cost.train_seconds)}
    spent |= {f"peak memory, {kind}": f"{mb:,.0f} MiB" for kind, mb in cost.memory_mb.items()}
    spent |= {"trained pieces": f"{cost.trained_pieces:,}"}
    spent |= {"device": cost.device, "precision": cost.precision}
    packages = record.environment.get("packages", {})
    machine = {key: value for key, value in record.environment.items() if key != "packages"}
    return {
        "status": record.status,
        "started": record.started,
        "seconds": cost.seconds,
        "parameters": record.parameters,
        "headline": {name: record.metrics[name] for name in record.headline},
        "cost": spent,
        "losses": {
            loss.note: f"{loss.count:,} of {loss.of:,} ({loss.count / max(loss.of, 1):.2%})"
            for loss in record.losses.values()
        },
        "sources": {
            f"{kind} {source['name']}": ". ".join(
                part for part in (source["about"], source["license"], source["terms"]) if part
            )
            + f". Fingerprint {source['fingerprint'][:12]}"
            for kind, source in record.sources.items()
        },
        "environment": {**machine, **packages},
    }


def _notebook(path: Path) -> tuple[str, str]:
    """Title and cleaned HTML of an executed notebook; empty where there is none."""
    if not path.exists():
        return "", ""
    try:
        content: Any = nbformat.read(path, as_version=4)
    except ValueError:
        return "", "<p>The notebook file was not written to its end.</p>"
    title = ""
    if content.cells and (match := re.match(r"# (.+)\n*", content.cells[0].source)):
        title = match[1]
        content.cells[0].source = content.cells[0].source[match.end() :]
    body, _ = _exporter().from_notebook_node(content)
    return title, body


@cache
def _exporter() -> HTMLExporter:
    exporter = HTMLExporter(
        template_name="workbench", extra_template_basedirs=[str(TEMPLATES)]
    )  # fmt: skip
    exporter.register_filter("clean", clean)
    exporter.register_filter("best_kind", lambda data: next((k for k in KINDS if k in data), ""))
    exporter.register_filter("last_lines", last_lines)
    exporter.register_filter("base64_only", lambda text: re.sub(r"[^A-Za-z0-9+/=]", "", text))
    return exporter


def clean(html: str) -> str:
    """Keep headings, text, tables, links and embedded PNG images; drop everything that can run.

    >>> clean('<p onclick="x()">a<script>x()</script><a href="javascript:x()">b</a></p>')
    '<p>a<a rel="noopener noreferrer">b</a></p>'
    """
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "data"},
        attribute_filter=_allowed,
        clean_content_tags={"script", "style", "svg", "math"},
    )


def _allowed(_tag: str, attribute: str, value: str) -> str | None:
    if attribute == "src":
        return value if value.startswith("data:image/png;base64,") else None
    if attribute == "href":
        return value if value.startswith(("#", "http://", "https://")) else None
    return value


def last_lines(text: str) -> str:
    r"""Printed text as a terminal leaves it: what a carriage return overwrote is gone; capped.

    >>> last_lines("1 of 2\r2 of 2\ndone")
    '2 of 2\ndone'
    """
    lines = (line.rstrip("\r").rsplit("\r", 1)[-1].rstrip() for line in text.split("\n"))
    kept = "\n".join(lines)
    if len(kept) > MAX_STREAM:
        return f"{kept[:MAX_STREAM]}\n... {len(kept) - MAX_STREAM:,} more characters in run.log"
    return kept


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
    found.filters["round3"] = lambda value: f"{value:.3f}"
    return found


def shell(
    template: str, *, scripts: Sequence[str] = (), styles: Sequence[str] = (), **values: Any
) -> str:
    """A page from a template that extends `base.html`.

    `scripts` and `styles` name files beside the templates; the page's policy allows these scripts
    by their hash, no other, and no request at all. `values` are what the template shows, escaped.
    """
    texts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in scripts]
    hashes = (hashlib.sha256(text.encode()).digest() for text in texts)
    allowed = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes]
    page = environment().get_template(template)
    css = "\n".join([style(), *((TEMPLATES / name).read_text(encoding="utf-8") for name in styles)])
    return page.render(
        **values, style=css, scripts=texts, script_policy=" ".join(allowed) or "'none'"
    )


@cache
def style() -> str:
    """All CSS of a page."""
    light = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    own = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    tables = (paths.PACKAGE / "tables" / "tables.css").read_text(encoding="utf-8")
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n{own}\n{tables}"


def parameters(directory: Path) -> dict[str, Any]:
    """What `params.json` of a run says; empty where it can't be read."""
    try:
        found: dict[str, Any] = json.loads((directory / PARAMETERS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
