"""A chart as a file: PNG, SVG or PDF, the same bytes each time, in the size and font asked for."""

import difflib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure as Canvas
from matplotlib.text import Text

from workbench.core import paths
from workbench.core.errors import ParameterError

STYLE = paths.PACKAGE / "display" / "workbench.mplstyle"
# No dates, and a salt in place of random names, so that two runs leave the same bytes.
METADATA = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
FAMILIES = ("serif", "sans-serif", "monospace")
MAX_OUTLINES = 80_000
"""Bytes of an SVG up to which its letters are outlines, which look the same everywhere."""


def image(
    canvas: Canvas,
    kind: str,
    *,
    width: float | None = None,
    height: float | None = None,
    scale: float = 1,
    font: str = "",
) -> bytes:
    """The chart as `png`, `svg` or `pdf`; a large SVG holds its letters as text.

    `width` and `height` are in inches; without a height it keeps its proportions. All text is
    scaled by `scale`, and in `font` where that has the letters.
    """
    options: Any = {"svg.hashsalt": "workbench", "svg.fonttype": "path", "pdf.fonttype": 42}
    with (
        matplotlib.rc_context(options, fname=str(STYLE)),
        _other_size(canvas, width, height),
        _other_text(canvas, scale, font),
    ):
        made = _saved(canvas, kind)
        if kind == "svg" and len(made) > MAX_OUTLINES:
            matplotlib.rcParams["svg.fonttype"] = "none"
            made = _saved(canvas, kind)
    return made


@contextmanager
def laid_out(canvas: Canvas) -> Iterator[None]:
    """Keep the places of a chart as drawn last: laying it out takes as long as drawing it."""
    engine = canvas.get_layout_engine()
    canvas.set_layout_engine("none")
    try:
        yield
    finally:
        canvas.set_layout_engine(engine)


def _saved(canvas: Canvas, kind: str) -> bytes:
    with io.BytesIO() as stream:
        canvas.savefig(stream, format=kind, metadata=METADATA[kind])
        return stream.getvalue()


@contextmanager
def _other_size(canvas: Canvas, width: float | None, height: float | None) -> Iterator[None]:
    size = canvas.get_size_inches()
    across = width or size[0]
    canvas.set_size_inches(across, height or size[1] * across / size[0])
    try:
        yield
    finally:
        canvas.set_size_inches(*size)


@contextmanager
def _other_text(canvas: Canvas, scale: float, font: str) -> Iterator[None]:
    style: Any = matplotlib.rcParams
    found: list[Any] = canvas.findobj(Text)
    texts = [(text, text.get_fontsize(), text.get_fontfamily()) for text in found]
    # Ticks that appear in another size take what the style says.
    style["font.size"] = style["font.size"] * scale
    if font:
        style["font.family"] = [font, *style["font.family"]]
    for text, points, family in texts:
        text.set_fontsize(points * scale)
        if font:
            text.set_fontfamily([font, *family])
    try:
        yield
    finally:
        for text, points, family in texts:
            text.set_fontsize(points)
            text.set_fontfamily(family)


def check_font(font: str) -> None:
    """ParameterError for a font that is not installed."""
    known = [*FAMILIES, *font_manager.get_font_names()]
    if font and font not in known:
        near = difflib.get_close_matches(font, known, n=1)
        raise ParameterError(
            f"no font {font!r} is installed",
            expected=f"{', '.join(FAMILIES)}, or the name of one that is",
            do=f"did you mean {near[0]!r}?" if near else "",
        )
