"""Whether a file only draws: no script, no address, nothing to open, embed or animate."""

import re
import zlib
from xml.etree import ElementTree

SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
CREATIVE_COMMONS = "http://creativecommons.org/ns#"
DUBLIN_CORE = "http://purl.org/dc/elements/1.1/"
ELEMENTS = {
    SVG: "svg g defs path use image clipPath rect text tspan style metadata title linearGradient "
    "stop pattern filter feColorMatrix feComposite",
    RDF: "RDF",
    CREATIVE_COMMONS: "Work Agent",
    DUBLIN_CORE: "type date format creator title",
}
"""What matplotlib draws with, by namespace."""
ATTRIBUTES = {
    "": "id version width height viewBox style type d x y x1 x2 y1 y2 transform patternUnits "
    "clip-path clip-rule gradientUnits offset values in in2 operator k1 k2 k3 k4 filter fill "
    "fill-opacity fill-rule stroke stroke-width opacity shape-rendering href preserveAspectRatio",
    XLINK: "href",
    RDF: "resource",
}
KNOWN = {
    f"{{{space}}}{name}" for space, names in ELEMENTS.items() for name in names.split()
}  # fmt: skip
GIVEN = {
    f"{{{space}}}{name}" if space else name
    for space, names in ATTRIBUTES.items()
    for name in names.split()
}
HEAD = re.compile(
    r"""(<\?xml version="1\.0"( encoding="utf-8")?( standalone="(yes|no)")?\s*\?>)?\s*"""
    r"""(<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1\.1//EN"\s+"""
    r""""http://www\.w3\.org/Graphics/SVG/1\.1/DTD/svg11\.dtd">)?""",
    re.IGNORECASE,
)
"""How a drawing begins; what else is declared could name other files or have other letters."""
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
PART = re.compile(r"#[\w.-]+")
PIXELS = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]*")
OWN_PART = re.compile(r"url\(#[\w.-]+\)")
CALL = re.compile(r"([\w-]*)\s*\(")
CALLS = {"matrix", "rotate", "scale", "skewx", "skewy", "translate", "rgb", "rgba"}
"""Functions of a style that only draw; `url` and `image-set` fetch, however they are quoted."""
LEADS_AWAY = re.compile(r"[@\\<>]|/\*|//|https?:")

ESCAPED = re.compile(rb"#([0-9A-Fa-f]{2})")
STREAM = re.compile(rb">>\s*stream\r?\n(.*?)\nendstream", re.DOTALL)
FILTER = re.compile(rb"/Filter\s*([^\s>]+)")
ACTS = re.compile(
    rb"/(JavaScript|OpenAction|Launch|URI|URL|EmbeddedFile|Filespec|SubmitForm|ImportData|GoTo[RE]"
    rb"|Rendition|RichMedia|Movie|Sound|AcroForm|XFA|Encrypt|ObjStm|XRef)"
)
"""Names of a PDF with which it does something, embeds, leads away or hides objects."""
SHORT = re.compile(rb"/(JS|AA)(?![A-Za-z0-9])")
"""Such names that the bytes of a picture may hold by chance."""


def only_draws(svg: str) -> bool:
    """Whether an SVG has nothing but what matplotlib writes; a browser may run what else it has.

    >>> only_draws('<svg xmlns="http://www.w3.org/2000/svg" width="1"><path d="M 0 0"/></svg>')
    True
    >>> only_draws('<svg xmlns="http://www.w3.org/2000/svg" width="1" onload="x()"/>')
    False
    """
    head = HEAD.match(svg)
    body = svg[head.end() if head else 0 :]
    declared = COMMENT.sub("", body)
    if "<!" in declared or "<?" in declared:
        return False
    try:
        # No declaration is left, so there is no entity to resolve.
        drawing = ElementTree.fromstring(body.strip().encode())  # noqa: S314
    except (ElementTree.ParseError, ValueError):
        return False
    return drawing.tag == f"{{{SVG}}}svg" and all(map(_draws, drawing.iter()))


def _draws(element: ElementTree.Element) -> bool:
    """Whether an element and its attributes can neither run nor lead anywhere."""
    if element.tag not in KNOWN:
        return False
    if element.tag == f"{{{SVG}}}style" and not (_stays(element.text or "") and not len(element)):
        return False
    return all(_plain(str(element.tag), name, value) for name, value in element.items())


def _plain(tag: str, name: str, value: str) -> bool:
    if name not in GIVEN:
        return False
    if name.startswith(f"{{{RDF}}}"):
        return True  # it says what kind of thing this is, and is never opened
    if name.rpartition("}")[2] == "href":
        return bool((PIXELS if tag == f"{{{SVG}}}image" else PART).fullmatch(value))
    return _stays(value)


def _stays(style: str) -> bool:
    """Whether a value or a style sheet names nothing outside of the drawing."""
    text = OWN_PART.sub("", style.lower())
    return not LEADS_AWAY.search(text) and set(CALL.findall(text)) <= CALLS


def pdf_only_draws(pdf: bytes) -> bool:
    """Whether a PDF has no action, address, attachment or hidden object, as matplotlib's have none.

    >>> pdf_only_draws(b"%PDF-1.4 <</Type /Catalog>>")
    True
    >>> pdf_only_draws(b"%PDF-1.4 <</Type /Catalog /Open#41ction 5 0 R>>")
    False
    """
    if not pdf.startswith(b"%PDF-") or ACTS.search(pdf) or ACTS.search(_unescaped(pdf)):
        return False
    objects = STREAM.sub(b">>\n", pdf)
    objects += _unescaped(objects)
    compressed = all(kind == b"/FlateDecode" for kind in FILTER.findall(objects))
    packed = [match[1] for match in STREAM.finditer(pdf)]
    return compressed and not SHORT.search(objects) and all(map(_inflates, packed))


def _unescaped(names: bytes) -> bytes:
    """With the letters that names hold as `#` and two digits."""
    return ESCAPED.sub(lambda match: bytes([int(match[1], 16)]), names)


def _inflates(stream: bytes) -> bool:
    """Whether a stream is compressed as a whole, so that nothing stands behind it."""
    inflater = zlib.decompressobj()
    try:
        while stream and not inflater.eof:
            inflater.decompress(stream, 2**20)
            stream = inflater.unconsumed_tail
    except zlib.error:
        return False
    return inflater.eof and not inflater.unused_data
