"""What the axes of a chart are called, and what their positions stand for."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.category import StrCategoryFormatter
from matplotlib.ticker import FixedFormatter, FixedLocator, FuncFormatter

Place = Callable[[float], float | str]


def place_on(axis: Axis) -> Place:
    """How an axis says a position: the number it stands for, or the name at its tick.

    A name that several ticks have is followed by its place, from 1.
    """
    formatter, locator = axis.get_major_formatter(), axis.get_major_locator()
    named = isinstance(formatter, FixedFormatter | StrCategoryFormatter) or (
        isinstance(formatter, FuncFormatter) and isinstance(locator, FixedLocator)
    )
    if not named:
        return lambda position: position
    ticks = [float(tick) for tick in axis.get_majorticklocs()]
    labels = [plain(str(label)) for label in formatter.format_ticks(ticks)]
    if (line := _linear(ticks, labels)) is not None:
        slope, start = line
        return lambda position: slope * position + start
    if ticks != list(range(len(ticks))):
        return lambda position: position

    often = Counter(labels)
    labels = [f"{label} ({place})" if often[label] > 1 else label
              for place, label in enumerate(labels, 1)]  # fmt: skip

    def name(position: float) -> float | str:
        nearest = round(position) if np.isfinite(position) else -1
        return labels[nearest] if 0 <= nearest < len(labels) else position

    return name


def _linear(ticks: list[float], labels: list[str]) -> tuple[float, float] | None:
    """Slope and start of the line from ticks to labels, where all labels are numbers on one."""
    try:
        numbers = [float(label.replace(",", "")) for label in labels]
    except ValueError:
        return None
    if numbers == ticks:
        return 1.0, 0.0
    if len(set(ticks)) < 2:
        return None
    slope = (numbers[1] - numbers[0]) / (ticks[1] - ticks[0])
    start = numbers[0] - slope * ticks[0]
    return (slope, start) if np.allclose(np.multiply(ticks, slope) + start, numbers) else None


def label_of(axes: Axes, name: str) -> str:
    """The label's first line; panels that share an axis share its label, too."""
    shared = getattr(axes, f"get_shared_{name}_axes")().get_siblings(axes)
    canvas = axes.get_figure()
    labels = [getattr(one, f"get_{name}label")() for one in (axes, *shared)]
    labels.append(getattr(canvas, f"get_sup{name}label")())
    return next(filter(None, (plain(label.partition("\n")[0]) for label in labels)), "")


def plain(text: str) -> str:
    """Text in one line."""
    return " ".join(text.split())
