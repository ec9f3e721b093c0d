"""What all charts share: the style, the colours, and how a notebook shows one."""

import base64
import functools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from numpy.typing import NDArray

from workbench.core import assets
from workbench.core.errors import ParameterError, WorkbenchError
from workbench.core.unspaced import FIRST
from workbench.display import drawn
from workbench.display.image_files import STYLE, check_font, image, laid_out
from workbench.display.series import tie
from workbench.record.result import FIGURE, MAX_FIGURE_FILE, Metric, Result

if TYPE_CHECKING:
    import pandas

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, distinguishable to people who see colours differently."""
ACCENT, SECOND = COLOURS[:2]
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
"""One more than there are colours, so that the pairs of both repeat late."""
GREY = "#6e6e6e"
HALO = (withStroke(linewidth=3, foreground="white"),)
"""Keeps a number readable that stands on a line."""
MOST_LETTERS = 60
"""Of all labels below a grid; more stand upright."""
FONT = "noto_sans_sc"
"""Asset with the letters that the style's font lacks."""


SUFFIXES = (".pdf", ".svg", ".png", ".csv")
"""What a figure can be saved as."""
UNITS = {"width": "inches", "height": "inches", "font_size": "points"}
FIRST_SENTENCE = re.compile(r".+?[.?!](?=\s|$)|.+", re.DOTALL)


class Figure:
    """A chart with its title and a caption; notebooks show it by itself.

    `axes` and `frame` are what is drawn, `save` writes it to a file.
    """

    def __init__(self, canvas: Canvas, title: str, caption: str) -> None:
        self.title, self.caption = title, caption
        if lacking := _with_letters_for(canvas):
            self.caption += f" {lacking}"
        self._canvas, self._points = canvas, float(matplotlib.rcParams["font.size"])
        self.png = image(canvas, "png")
        self.width = int(canvas.get_figwidth() * 96)

    @property
    def axes(self) -> list[Axes]:
        """The panels, as matplotlib has them."""
        return self._canvas.axes

    @property
    def frame(self) -> "pandas.DataFrame":
        """The numbers drawn, a row for each point, interval, bar or cell (`display.drawn`)."""
        return drawn.frame(self._canvas)

    @property
    def alt(self) -> str:
        """Text in place of the picture: its title, and what the caption says first."""
        finding = FIRST_SENTENCE.match(self.caption.strip())
        return f"{self.title}. {finding[0]}" if finding else self.title

    def save(
        self,
        path: str | Path,
        *,
        width: float | None = None,
        height: float | None = None,
        font_size: float | None = None,
        font: str = "",
    ) -> Path:
        """Write the chart as .pdf, .svg or .png, or its numbers as .csv; return the path.

        `width` and `height` are in inches, and without a height the chart keeps its proportions;
        `font_size` is that of the axes' labels in points, to which the rest stays in proportion;
        `font` is the name of an installed font. ParameterError for what can't be done.
        """
        path = Path(path)
        if path.suffix.lower() not in SUFFIXES:
            raise ParameterError(
                f"a figure can't be saved as {path.name!r}",
                expected=f"a file name that ends in {', '.join(SUFFIXES)}",
            )
        for name, value in {"width": width, "height": height, "font_size": font_size}.items():
            if value is not None and not 0.1 < value < 100:
                raise ParameterError(
                    f"{name} = {value!r}", expected=f"{UNITS[name]}, more than 0.1, less than 100"
                )
        check_font(font)
        if path.suffix.lower() == ".csv":
            made = drawn.csv(self.frame).encode("utf-8", "backslashreplace")
        else:
            scale = (font_size or self._points) / self._points
            made = image(
                self._canvas, path.suffix.lower()[1:],
                width=width, height=height, scale=scale, font=font,
            )  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made)
        return path

    def _files(self) -> dict[str, str | None]:
        """What a page offers of the chart; None for what is too large."""
        with laid_out(self._canvas):
            found = {
                "svg": image(self._canvas, "svg").decode(),
                "pdf": base64.b64encode(image(self._canvas, "pdf")).decode(),
                "csv": drawn.csv(self.frame),
            }
        return {
            kind: text if len(text) <= MAX_FIGURE_FILE else None for kind, text in found.items()
        }

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        png = base64.b64encode(self.png).decode()
        # JupyterLab shows the picture; the page of a run takes the files from beside it.
        shown = {"image/png": png, "text/plain": self.title, FIGURE: self._files()}
        metadata = {"image/png": {"width": self.width, "alt": self.alt}}
        display(shown, metadata=metadata, raw=True)
        # Labels of the data's may stand in it: text, never markup.
        display(HTML(f'<p class="caption">{escape(self.caption)}</p>'))


def _with_letters_for(canvas: Canvas) -> str:
    """Give texts in Chinese or Japanese a font that has their characters; say where there is none.

    The font is an asset, fetched when it is needed first.
    """
    texts = [text for text in canvas.findobj(Text) if FIRST.search(text.get_text())]
    if not texts:
        return ""
    if not (name := _added_font()):
        return f"Some letters could not be drawn: workbench fetch {FONT}."
    for text in texts:
        text.set_fontfamily([*text.get_fontfamily(), name])
    return ""


@functools.cache
def _added_font() -> str:
    """The name by which matplotlib knows the font from now on; "" where it can't be fetched.

    Asked once a process: without a network each try takes pip half a minute.
    """
    try:
        (file,) = assets.ensure(FONT).glob("*.otf")
    except WorkbenchError:
        return ""
    font_manager.fontManager.addfont(file)
    return font_manager.get_font(file).family_name


Arguments = ParamSpec("Arguments")
Draw = Callable[Concatenate[Result, Arguments], Figure]


def styled(draw: Draw[Arguments]) -> Draw[Arguments]:
    """Draw with the project's style, whatever the notebook has set."""

    def inside(result: Result, /, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Figure:
        with matplotlib.rc_context(fname=str(STYLE)):
            return draw(result, *args, **kwargs)

    functools.update_wrapper(inside, draw)
    return inside


@dataclass(frozen=True)
class Look:
    """How a method is drawn."""

    colour: str
    marker: str


def looks(result: Result, *more: str) -> dict[str, Look]:
    """A colour and a marker for each method of a run and for `more` names, equal in all its charts.

    The run's own method comes first, then the baselines as recorded.
    """
    names = dict.fromkeys([result.method, *result.baselines, *more])
    return {
        name: Look(COLOURS[place % len(COLOURS)], MARKERS[place % len(MARKERS)])
        for place, name in enumerate(names)
    }


def ink(colour: str) -> str:
    """Black or white, whichever stands out more on a colour (WCAG 2.2, contrast ratio).

    >>> ink("#0072b2"), ink("#e69f00")
    ('white', 'black')
    """
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ [0.2126, 0.7152, 0.0722])
    return "white" if 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05 else "black"


def with_intervals(metrics: Iterable[Metric]) -> str:
    """What an axis says of its numbers: that there are intervals, where there are any."""
    return drawn.INTERVAL if any(metric.low is not None for metric in metrics) else ""


def dot(
    axes: Axes, place: float, metric: Metric, look: Look, *, label: str = "", upright: bool = False
) -> None:
    """A number as a dot with its 95 % interval, at a place of the y axis; of the x axis `upright`.

    Without a label it is of the series that has its colour and marker.
    """
    spot = (place, metric.value) if upright else (metric.value, place)
    (line,) = axes.plot(*spot, look.marker, color=look.colour, label=label or None)
    if metric.low is not None and metric.high is not None:
        draw = axes.vlines if upright else axes.hlines
        interval = draw(place, metric.low, metric.high, color=look.colour, linewidth=2.5)
        tie(axes, line, interval, "y" if upright else "x")


def forest(
    axes: Axes,
    rows: Mapping[str, Metric],
    *,
    mark: str = "",
    styles: Mapping[str, Look] | None = None,
) -> None:
    """A dot and its 95 % interval a row, from the top; the row named `mark` stands out.

    Rows that are methods are drawn in their `styles`.
    """
    for row, (name, metric) in enumerate(rows.items()):
        look = (styles or {}).get(name) or Look(SECOND if name == mark else ACCENT, "o")
        dot(axes, row, metric, look)
        axes.annotate(
            f"{metric.value:.3f}", (metric.value, row), textcoords="offset points",
            xytext=(0, 7), ha="center", fontweight="bold" if name == mark else "normal",
            path_effects=HALO,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.8)


def grid_of_counts(
    axes: Axes, counts: NDArray[np.int64], rows: list[str], columns: list[str]
) -> None:
    """Counts [rows, columns] as numbers on a shade for the fraction of the row."""
    fractions = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shades = axes.imshow(fractions, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.figure.colorbar(shades, ax=axes, label="fraction of the row")
    crowded = sum(map(len, columns)) > MOST_LETTERS
    axes.set_xticks(range(len(columns)), columns, rotation=90 if crowded else 0)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            colour = "white" if fractions[row, column] > 0.5 else "black"
            text = f"{counts[row, column]:,}"
            axes.text(column, row, text, ha="center", va="center", color=colour)
