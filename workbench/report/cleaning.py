"""What may stand in a page: markup that can neither run nor fetch, text that can't steer it."""

import os
import re
from collections import Counter
from functools import cache
from html import escape
from pathlib import Path

import nh3

TAGS = set(
    "a b blockquote br caption code dd del div dl dt em h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark"
    " ol p pre s small span strong sub sup table tbody td tfoot th thead tr u ul".split()
)
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
ATTRIBUTES = {
    "*": {"class", "title"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "table": {"id"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start"},
}
WITH_ANCHORS = ATTRIBUTES | {heading: {"id"} for heading in HEADINGS}
MAX_SOURCE = 20_000
"""Characters shown of markup that is shown as its source."""
MAX_OPEN = 500
"""Elements that may be open at once: the time that a parser needs grows with their square."""
OPTIONAL_END = set(
    "area base br col colgroup dd dt embed hr img input li link meta option p param rb rp rt source"
    " tbody td tfoot th thead tr track wbr".split()
)
"""Elements that need no end tag, so that they are not open for long."""
EDGE = re.compile(r"<(/?)([A-Za-z][^\s/>]*)")
# Control characters, changes of direction, and halves of a character that no file can hold.
STEERING = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)  # fmt: skip


def clean(html: str, *, anchors: bool = False) -> str:
    """Keep headings, text, tables, links and embedded PNG images; drop everything that can run.

    A wide table gets a box to scroll in. With `anchors`, headings keep the ids that links lead to.
    Markup with more than MAX_OPEN elements open at once is shown as its source.

    >>> clean('<p onclick="x()">a<script>x()</script><a href="javascript:x()">b</a></p>')
    '<p>a<a rel="noopener noreferrer">b</a></p>'
    """
    if most_open(html) > MAX_OPEN:
        note = f"Its source, up to {MAX_SOURCE:,} characters, as"
        note += f" more than {MAX_OPEN} elements are open at once:"
        return f"<p>{note}</p><pre>{escape(visible(html[:MAX_SOURCE]))}</pre>"
    cleaned = nh3.clean(
        visible(html),
        tags=TAGS,
        attributes=WITH_ANCHORS if anchors else ATTRIBUTES,
        url_schemes={"http", "https", "data"},
        attribute_filter=_allowed,
        clean_content_tags={"script", "style", "svg", "math"},
    )
    boxed = cleaned.replace("<table", '<div class="scroll"><table')
    return boxed.replace("</table>", "</table></div>")


def most_open(html: str) -> int:
    """How many elements of a markup are open at once, at most.

    >>> most_open("<p><b>a</b><i>b</i><ul><li><b>c</b></ul>")
    2
    """
    count = most = 0
    each: Counter[str] = Counter()
    for end, tag in EDGE.findall(html):
        name = tag.lower()
        if name in OPTIONAL_END:
            continue
        if not end:
            each[name] += 1
            count += 1
            most = max(most, count)
        elif each[name]:
            each[name] -= 1
            count -= 1
    return most


def _allowed(tag: str, attribute: str, value: str) -> str | None:
    if (tag, attribute) == ("table", "id"):
        return value if re.fullmatch(r"table-\d+", value) else None
    if attribute == "src":
        return value if value.startswith("data:image/png;base64,") else None
    if attribute == "href":
        return value if value.startswith(("#", "http://", "https://")) else None
    return value


def visible(text: str) -> str:
    r"""Text or markup in which characters that steer instead of being seen are written out.

    They are written as in JSON, which may be part of a page.

    >>> print(visible("a\x1b[2J\u202e b"))
    a\u001b[2J\u202e b
    """
    return STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def without_home(text: str) -> str:
    """The text with `~` in place of the user's home, which tells who that is."""
    pattern = _home(str(Path.home()), os.path.realpath(Path.home()))
    return pattern.sub("~", text) if pattern else text


@cache
def _home(*folders: str) -> re.Pattern[str] | None:
    """A pattern for any of the folders as a whole path or as its beginning; None for `/`."""
    names = {re.escape(folder) for folder in folders if len(folder) > 1}
    if not names:
        return None
    before = r"(?<![\w.~-])(?<![\w.~-]/)"  # it is no part of another path, but of file:///home/x
    return re.compile(f"{before}(?:{'|'.join(sorted(names, reverse=True))})(?![\\w-]|\\.\\w)")
