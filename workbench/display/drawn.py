"""The numbers that a chart draws, read back from its marks: points, intervals, bars and grids."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from workbench.display.axis_names import label_of, place_on, plain
from workbench.display.html import NUMBER
from workbench.display.series import GUIDE, hex_of, labels, styles, ties

if TYPE_CHECKING:
    import pandas

NONE = float("nan")
INTERVAL = ", with 95 % interval"
"""What an axis says of its numbers where they have intervals."""


@dataclass
class Mark:
    """A point, bar or cell with its interval, or an interval by itself, in data coordinates."""

    x: float = NONE
    x_low: float = NONE
    x_high: float = NONE
    y: float = NONE
    y_low: float = NONE
    y_high: float = NONE
    value: float = NONE
    text: str = ""
    colour: str = ""
    artist: Artist | None = None

    def spans(self, other: "Mark") -> bool:
        """Whether the other is an interval around this one, at the same place."""
        for along, across in ("xy", "yx"):
            low, high = getattr(other, f"{along}_low"), getattr(other, f"{along}_high")
            same = np.isclose(getattr(self, across), getattr(other, across))
            if low <= getattr(self, along) <= high and same:
                return bool(np.isnan(getattr(self, f"{along}_low")))
        return False

    def turn(self, along: str) -> None:
        """Make an interval of no length, whose ends don't tell its axis, one along this axis."""
        across = "y" if along == "x" else "x"
        if np.isnan(getattr(self, f"{along}_low")):
            end, place = getattr(self, along), getattr(self, f"{across}_low")
            for name in ("x", "x_low", "x_high", "y", "y_low", "y_high"):
                setattr(self, name, NONE)
            setattr(self, f"{along}_low", end)
            setattr(self, f"{along}_high", end)
            setattr(self, across, place)

    def take(self, interval: "Mark") -> None:
        """Take the ends of an interval."""
        for name in ("x_low", "x_high", "y_low", "y_high"):
            if not np.isnan(end := getattr(interval, name)):
                setattr(self, name, end)


def frame(canvas: Canvas) -> "pandas.DataFrame":
    """A row for each mark of each panel; columns that hold nothing are left out.

    `x` and `y` are in the units of the axes, or the name at the tick where an axis has names;
    `x_low` and `x_high` are an interval along x; `value` is the value of a cell of a grid, and
    `text` what is written on it. Marks of plain axes only. `attrs` has the label of the x and of
    the y axis where it is the same in all panels, `x_axis` and `y_axis` where it is not.
    """
    import pandas

    panels = [axes for axes in canvas.axes if axes.name == "rectilinear"]
    panels = [axes for axes in panels if axes.get_label() != "<colorbar>"]
    everywhere = labels(panels)
    rows = [row for axes in panels for row in _rows(axes, everywhere)]
    if not rows:
        return pandas.DataFrame()
    found = pandas.DataFrame(rows)
    axes_said = {name: set(found[f"{name}_axis"]) for name in "xy"}
    common = [f"{name}_axis" for name, said in axes_said.items() if len(said) == 1]
    kept = [name for name in found if not found[name].isin(["", NONE]).all()]
    found = found[kept].drop(columns=common, errors="ignore")
    found.attrs |= {name: min(said) if len(said) == 1 else "" for name, said in axes_said.items()}
    return found


def csv(found: "pandas.DataFrame") -> str:
    """What `frame` found as CSV, its columns called as the axes are."""
    said = {name: found.attrs.get(name, "").removesuffix(INTERVAL) or name for name in "xy"}
    renamed = {
        name: _safe(name.replace(name[:1], said[name[:1]], 1).replace("_", " "))
        for name in map(str, found)
        if name.partition("_")[0] in said and not name.endswith("_axis")
    }
    clash = len({*renamed.values(), "panel", "series", "value", "text"}) < len(renamed) + 4
    return found.map(_safe).rename(columns={} if clash else renamed).to_csv(index=False)


def _safe(cell: Any) -> Any:
    """A text with an apostrophe before it where a spreadsheet would compute it.

    >>> [_safe(cell) for cell in ("=1+1", "-0.5", "@x", -0.5)]
    ["'=1+1", '-0.5', "'@x", -0.5]
    """
    formula = (
        isinstance(cell, str) and cell[1:] and cell[0] in "=+-@" and not NUMBER.fullmatch(cell)
    )
    return f"'{cell}" if formula else cell


def _rows(axes: Axes, everywhere: dict[Any, str]) -> Iterator[dict[str, Any]]:
    titles = (axes.get_title(side) for side in ("left", "center", "right"))
    panel = plain(next(filter(None, titles), ""))
    own = labels([axes])
    place = {name: place_on(axis) for name, axis in (("x", axes.xaxis), ("y", axes.yaxis))}
    said = {f"{name}_axis": label_of(axes, name) for name in "xy"}
    for mark in _marks(axes):
        looks = styles(mark.artist) if mark.artist else [mark.colour]
        names = (known.get(look, "") for known in (own, everywhere) for look in looks)
        row: dict[str, Any] = {"panel": panel, "series": next(filter(None, names), "")}
        for name in ("x", "x_low", "x_high", "y", "y_low", "y_high"):
            row[name] = place[name[0]](getattr(mark, name))
        yield row | {"value": mark.value, "text": mark.text} | said


def _marks(axes: Axes) -> list[Mark]:
    """All marks of a panel, intervals joined to what they are around."""
    bars = [mark for one in axes.containers if isinstance(one, BarContainer) for mark in _bars(one)]
    points = [mark for line in _lines(axes) for mark in line] + bars
    points += [mark for one in axes.collections if isinstance(one, PathCollection)
               for mark in _dots(one)]  # fmt: skip
    tied, alone = ties(axes), list[Mark]()
    for intervals in _intervals(axes):
        near: list[Mark | None] = [*_of_line(intervals, points, tied)]
        near = near or [_around(mark, points) for mark in intervals]
        for mark, point in zip(intervals, near, strict=True):
            if point:
                point.take(mark)
            else:
                alone.append(mark)
    return [*points, *alone, *_cells(axes)]


def _of_line(
    intervals: list[Mark], points: list[Mark], tied: dict[int, tuple[Any, str]]
) -> list[Mark]:
    """The points of the line that intervals are tied to, in their order; [] where there is none."""
    if not intervals or id(intervals[0].artist) not in tied:
        return []
    line, along = tied[id(intervals[0].artist)]
    across = "y" if along == "x" else "x"
    found = [point for point in points if point.artist is line]
    if len(found) != len(intervals):
        return []
    for mark in intervals:
        mark.turn(along)
    order = np.argsort([getattr(mark, across) for mark in intervals], kind="stable")
    places = np.argsort([getattr(point, across) for point in found], kind="stable")
    near = dict(zip(order.tolist(), places.tolist(), strict=True))
    return [found[near[number]] for number in range(len(found))]


def _around(interval: Mark, points: list[Mark]) -> Mark | None:
    """The point that an interval of the same colour is around; never a line right across."""
    found = (point for point in points if point.colour == interval.colour)
    return next((point for point in found if point.spans(interval)), None)


def _lines(axes: Axes) -> Iterator[list[Mark]]:
    """Points of lines; a line right across the panel has one place only."""
    bars = (one for one in axes.containers if isinstance(one, ErrorbarContainer))
    caps = {id(cap) for one in bars for cap in one.lines[1]}
    for line in axes.lines:
        on_x, on_y = line.get_transform().contains_branch_seperately(axes.transData)
        if id(line) in caps or line.get_label() == GUIDE or not (on_x or on_y):
            continue
        x, y = (_floats(values) for values in line.get_data(orig=False))
        colour = hex_of(line.get_color())
        places = list(zip(x if on_x else x * NONE, y if on_y else y * NONE, strict=True))
        across = not (on_x and on_y)
        yield [
            Mark(x=a, y=b, colour=colour, artist=line) for a, b in places[: 1 if across else None]
        ]


def _bars(bars: BarContainer) -> Iterator[Mark]:
    """The length of each bar, whatever it stands on."""
    for patch in bars.patches:
        x, y = patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2
        colour = hex_of(patch.get_facecolor())
        if bars.orientation == "horizontal":
            yield Mark(x=patch.get_width(), y=y, colour=colour, artist=patch)
        else:
            yield Mark(x=x, y=patch.get_height(), colour=colour, artist=patch)


def _dots(dots: PathCollection) -> Iterator[Mark]:
    colours = [hex_of(colour) for colour in dots.get_facecolor()] or [""]
    for number, (x, y) in enumerate(_floats(dots.get_offsets())):
        yield Mark(x=x, y=y, colour=colours[number % len(colours)], artist=dots)


def _intervals(axes: Axes) -> Iterator[list[Mark]]:
    """Intervals that were drawn together: upright or level lines, bands, and spans of an axis."""
    for drawn in axes.collections:
        if isinstance(drawn, LineCollection):
            colours = [hex_of(colour) for colour in drawn.get_colors()]
            ends = [np.asarray(part, float) for part in drawn.get_segments()]
            yield [
                _interval(part, colours[number % len(colours)], drawn)
                for number, part in enumerate(ends)
                if len(part) == 2 and (part[0] == part[1]).any()
            ]
        elif isinstance(drawn, FillBetweenPolyCollection):
            across = 0 if drawn.t_direction == "x" else 1  # type: ignore[attr-defined]
            corners = np.concatenate([path.vertices for path in drawn.get_paths()])
            colour = hex_of(drawn.get_facecolor()[0])
            yield [
                _interval(corners[corners[:, across] == at], colour, drawn)
                for at in np.unique(corners[:, across])
            ]
    for patch in axes.patches:
        on_x, on_y = patch.get_data_transform().contains_branch_seperately(axes.transData)
        if isinstance(patch, Rectangle) and on_x != on_y:
            corners = np.array(patch.get_bbox().get_points())
            corners[:, 1 if on_x else 0] = NONE
            yield [_interval(corners, hex_of(patch.get_facecolor()), patch)]


def _interval(points: Any, colour: str, artist: Artist) -> Mark:
    """An interval from the points at its ends; along the axis on which these differ."""
    (x, y), (right, top) = points.min(axis=0), points.max(axis=0)
    if np.isnan(x) or (x == right and not np.isnan(y)):
        return Mark(x=x, y_low=y, y_high=top, colour=colour, artist=artist)
    return Mark(y=y, x_low=x, x_high=right, colour=colour, artist=artist)


def _cells(axes: Axes) -> Iterator[Mark]:
    """The cells of grids row by row, with what is written on them."""
    written = {tuple(np.round(text.get_position())): text.get_text() for text in axes.texts}
    for image in axes.images:
        values = _floats(image.get_array())
        if values.ndim != 2:
            continue
        left, right, bottom, top = image.get_extent()
        if image.origin == "lower":
            bottom, top = top, bottom
        rows, columns = values.shape
        for row, column in np.ndindex(rows, columns):
            x = left + (column + 0.5) * (right - left) / columns
            y = top + (row + 0.5) * (bottom - top) / rows
            text = written.get((round(x), round(y)), "")
            yield Mark(x=x, y=y, value=float(values[row, column]), text=plain(text))


def _floats(values: Any) -> NDArray[np.float64]:
    """As numbers; what is masked is missing."""
    return np.asarray(np.ma.filled(np.ma.asarray(values, float), NONE))
