"""Which marks of a chart belong together: a series by its label, a point and its interval."""

from typing import Any

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection, LineCollection, PathCollection
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from workbench.display.axis_names import plain

GUIDE = "_guide"
"""Label of a line that leads the eye and adds no number, such as a diagonal."""
AUTOMATIC = ("_child", "_container", "_nolegend_")
"""How matplotlib's own labels begin. Others that begin with `_` name a series beside the legend."""


def tie(axes: Axes, line: Artist, interval: Artist, along: str) -> None:
    """Note that an artist shows the intervals of a line's points, along `x` or `y`.

    The names stand in an SVG, so they are its own only: by panel and place in it.
    """
    name = f"series_{axes.figure.axes.index(axes)}_{axes.get_children().index(line)}"
    line.set_gid(name)
    interval.set_gid(f"{name}_{along}")


def ties(axes: Axes) -> dict[int, tuple[Line2D, str]]:
    """By the id of an artist that shows intervals: the line they are of, and along which axis."""
    lines = {line.get_gid(): line for line in axes.lines if line.get_gid()}
    found = {}
    for artist in (*axes.collections, *axes.patches):
        name, _, along = (artist.get_gid() or "").rpartition("_")
        if name in lines:
            found[id(artist)] = lines[name], along
    for bars in axes.containers:
        if isinstance(bars, ErrorbarContainer) and isinstance(bars.lines[0], Line2D):
            directions = [name for name in "xy" if getattr(bars, f"has_{name}err")]
            pairs = zip(bars.lines[2], directions, strict=True)
            found |= {id(artist): (bars.lines[0], along) for artist, along in pairs}
    return found


def hex_of(value: Any) -> str:
    """A colour as matplotlib writes it in short, without transparency."""
    return to_hex(value)


def styles(artist: Any) -> list[Any]:
    """By what a reader recognises a series in the legend: colour and marker, else the colour."""
    if isinstance(artist, LineCollection | FillBetweenPolyCollection | PathCollection):
        colours = artist.get_facecolor() if len(artist.get_facecolor()) else artist.get_edgecolor()
        return [id(artist), hex_of(colours[0])] if len(colours) else [id(artist)]
    if isinstance(artist, Rectangle):
        return [id(artist), (Rectangle, hex_of(artist.get_facecolor()))]
    shade, line = hex_of(artist.get_color()), artist.get_linestyle()
    return [id(artist), (shade, artist.get_marker(), line), (shade, artist.get_marker()), shade]


def labels(panels: list[Axes]) -> dict[Any, str]:
    """Label of each style that has one label only; of an artist itself always."""
    found: dict[Any, set[str]] = {}
    for axes in panels:
        labelled: list[tuple[Artist, Any]] = [(one, one.get_label()) for one in axes.get_children()]
        labelled += [(part, one.get_label()) for one in axes.containers
                     for part in one.get_children()]  # fmt: skip
        for artist, label in labelled:
            drawn = artist in axes.lines or artist in axes.collections or artist in axes.patches
            if not (drawn and label) or str(label).startswith(AUTOMATIC):
                continue
            own = str(label).startswith("_")
            for style in [id(artist)] if own else styles(artist):
                found.setdefault(style, set()).add(plain(str(label)).removeprefix("_"))
    return {style: next(iter(names)) for style, names in found.items() if len(names) == 1}
