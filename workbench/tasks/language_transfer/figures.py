"""The chart of translations among other sentences."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from workbench.display.canvas import COLOURS, GREY, Figure, styled
from workbench.display.series import GUIDE
from workbench.record.result import Result


@styled
def retrieval(result: Result) -> Figure:
    """Cosines of sentences with their translations, against the nearest of all other sentences."""
    found = result.tables["bitext"]
    title = "Translations among all sentences of the other language"
    if not found:
        canvas = Canvas(figsize=(6.4, 0.8))
        canvas.text(0.5, 0.5, "no translations: bitext is empty", ha="center", va="center")
        return Figure(canvas, title, "Not asked: `bitext` names no table of translations.")
    translation = np.array(found["translation"])
    languages = list(found["best_other"])
    canvas = Canvas(figsize=(6.4, 3.4))
    panels = canvas.subplots(1, 2, sharex=True, sharey=True)
    said = []
    for axes, language, colour in zip(panels, languages, COLOURS, strict=False):
        best = np.array(found["best_other"][language])
        right = translation > best
        ends = [min(translation.min(), best.min()), max(translation.max(), best.max())]
        axes.plot(ends, ends, color=GREY, linewidth=1, label=GUIDE)
        axes.plot(best[right], translation[right], "o", color=colour, markersize=4, label="found")
        axes.plot(
            best[~right], translation[~right], "x", color="black", markersize=6, label="not found"
        )
        metric = result.metrics[f"bitext/retrieval_from_{language}"]
        axes.set_title(f"from {language}: {metric.value:.3f} found")
        axes.set(xlabel="cosine of the nearest other sentence")
        said.append(f"from {language} {metric}, {int((~right).sum())} wrong")
    panels[0].set_ylabel("cosine of the translation")
    gap = float(np.median(translation - np.array(found["best_other"][languages[0]])))
    caption = (
        f"Each of {len(translation):,} points is a sentence, above the line if its translation is "
        "nearer than every other sentence of that language, so that it is found. Found are "
        f"{'; '.join(said)}. The median translation is {gap:.3f} nearer than the next. "
        f"Intervals: {metric.how}."
    )
    return Figure(canvas, title, caption)
