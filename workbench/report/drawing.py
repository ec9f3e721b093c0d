"""Whether a text is an SVG that only draws: no script, no address, nothing to animate or embed."""

import re

ELEMENTS = set(
    "svg g defs path use image clipPath rect circle ellipse line polyline polygon text tspan style"
    " metadata title desc RDF Work type date format creator Agent linearGradient stop pattern"
    " filter".split()
)
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
HEAD = re.compile(r"\s*(<\?xml [^<>]*\?>)?\s*(<!DOCTYPE svg [^<>\[\]]*>)?\s*(?=<svg\s)")
TAG = re.compile(r"""</?(?:\w+:)?(\w+)((?:\s+[\w:-]+="[^"<>]*")*)\s*/?>""")
ATTRIBUTE = re.compile(r"""([\w:-]+)="([^"]*)\"""")
STYLE = re.compile(r"<style[^<>]*>([^<>]*)</style>")
OWN = re.compile(r"#|data:image/png;base64,[A-Za-z0-9+/=\s]*$")
"""What may be shown from: a part of the drawing, or pixels in it."""


def only_draws(svg: str) -> bool:
    """Whether it has nothing but what matplotlib writes; a browser may run what else an SVG has.

    >>> only_draws('<svg width="1"><path d="M 0 0"/></svg>')
    True
    >>> only_draws('<svg width="1" onload="x()"><path d="M 0 0"/></svg>')
    False
    """
    body = COMMENT.sub("", svg)
    if not (head := HEAD.match(body)):
        return False
    body = body[head.end() :]
    if set("<>") & set(TAG.sub("", body)):
        return False
    if any("@" in style or "url" in style or "\\" in style for style in STYLE.findall(body)):
        return False
    tags = TAG.findall(body)
    attributes = [pair for _, given in tags for pair in ATTRIBUTE.findall(given)]
    known = all(tag in ELEMENTS for tag, _ in tags)
    return known and all(_plain(name, value) for name, value in attributes)


def _plain(name: str, value: str) -> bool:
    """Whether an attribute can neither run nor lead anywhere."""
    if name.lower().startswith("on"):
        return False
    if name.lower().rpartition(":")[2] in {"href", "src", "base"}:
        return bool(OWN.match(value))
    return "url(" not in value.lower().replace("url(#", "")
