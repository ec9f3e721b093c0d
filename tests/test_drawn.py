"""Charts: what is drawn can be read back as numbers, and saved as it is asked for."""

import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pandas
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from workbench import figures
from workbench.core.errors import ParameterError
from workbench.display import drawn
from workbench.display.canvas import STYLE, Figure, forest
from workbench.display.series import tie
from workbench.record.result import FIGURE, MAX_FIGURE_FILE, Cost, Metric, Result

METRIC = Metric(value=1 / 3, low=0.1, high=0.6, n=10, how="bootstrap over 3 documents")
WITHOUT = Metric(value=0.25, n=10, how="chance")


def result(**changes) -> Result:
    fields = {
        "task": "fine_tuning", "parameters": {}, "sources": {}, "method": "ours",
        "metrics": {"test/accuracy": METRIC}, "headline": (),
        "baselines": {"chance": {"test/accuracy": WITHOUT}}, "environment": {},
        "cost": Cost(seconds=1, memory_mb={}, device="cpu", precision="float32"),
    }  # fmt: skip
    return Result(**(fields | changes))


def panel():
    canvas = Canvas()
    return canvas, canvas.subplots()


def rows(frame, *columns):
    """Values of the columns row by row; None for what is missing."""
    return [
        tuple(None if pandas.isna(value) else value for value in row)
        for row in frame[list(columns)].itertuples(index=False)
    ]


def test_methods_are_dots_with_their_intervals_by_name():
    figure = figures.methods(result(), "test/accuracy")
    assert [axes.get_xlabel() for axes in figure.axes] == ["accuracy, with 95 % interval"]
    frame = figure.frame
    assert list(frame) == ["panel", "x", "x_low", "x_high", "y"]
    assert rows(frame, "y", "x", "x_low", "x_high") == [
        ("ours", 1 / 3, 0.1, 0.6),
        ("chance", 0.25, None, None),
    ]
    assert set(frame["panel"]) == {"Accuracy by method, n = 10"}


def test_a_curve_has_a_line_for_each_method_and_its_bars_beside_it():
    points = [
        {"method": method, "texts": texts, "value": value, "low": value - 0.1,
         "high": value + 0.05, "n": 20, "validation": 5}
        for method, values in {"a": (0.5, 0.7), "b": (0.6, 1 / 7)}.items()
        for texts, value in zip((100, 1000), values, strict=True)
    ]  # fmt: skip
    frame = figures.learning_curve(result(tables={"curve": points})).frame
    found = rows(frame, "series", "x", "y", "y_low", "y_high")
    assert found == [(p["method"], p["texts"], p["value"], p["low"], p["high"]) for p in points]


def test_confusion_is_a_grid_of_fractions_with_counts():
    items = pandas.DataFrame(
        {
            "item": list("abcd"), "split": "test", "method": "ours", "cluster": list("abcd"),
            "input": [["x"]] * 4, "gold": [["no"], ["no"], ["no"], ["yes"]],
            "predicted": [["no"], ["no"], ["yes"], ["yes"]], "loss": 0.1,
        }
    )  # fmt: skip
    given = result().with_details(directory=None, items=items, history=[])
    frame = figures.label_confusion(given).frame
    assert rows(frame, "y", "x", "value", "text") == [
        ("no", "no", 2 / 3, "2"), ("no", "yes", 1 / 3, "1"),
        ("yes", "no", 0.0, ""), ("yes", "yes", 1.0, "1"),
    ]  # fmt: skip
    assert drawn.csv(frame).splitlines()[0] == "panel,predicted label,gold label,value,text"


def test_reliability_has_bins_with_error_bars():
    bins = [{"n": 5, "confidence": 0.7, "accuracy": 0.6, "low": 0.5, "high": 0.8}]
    gap = METRIC.model_dump()
    found = {"n": 5, "bins": bins, "overconfidence": gap, "confidence": 0.7, "accuracy": 0.6,
             "expected_calibration_error": 0.1}  # fmt: skip
    figure = figures.reliability(result(tables={"reliability": found}))
    assert figure.axes[0].get_ylabel() == "accuracy, with 95 % interval"
    frame = figure.frame
    assert rows(frame, "series", "x", "y") == [
        ("as sure as right", 0, 0), ("as sure as right", 1, 1), ("", 0.7, 0.6),
    ]  # fmt: skip
    assert frame["y_low"].iloc[2] == pytest.approx(0.5)
    assert frame["y_high"].iloc[2] == pytest.approx(0.8)


def test_history_has_a_panel_for_loss_and_one_for_the_score():
    history = [
        {"event": "step", "method": "a", "epoch": 1, "step": 1, "steps": 2, "loss": 2.5},
        {"event": "step", "method": "a", "epoch": 1, "step": 2, "steps": 2, "loss": 1.5},
        {"event": "epoch", "method": "a", "epoch": 1, "score": 0.5},
    ]
    given = result().with_details(directory=None, items=None, history=history)
    frame = figures.history(given, score="validation accuracy").frame
    assert rows(frame, "panel", "x", "y") == [
        ("Training loss", 0.5, 2.5), ("Training loss", 1.0, 1.5), ("Validation score", 1, 0.5),
    ]  # fmt: skip
    assert list(frame["y_axis"]) == ["nats", "nats", "validation accuracy"]
    assert "epoch" in drawn.csv(frame)


def test_bands_bars_and_lines_right_across_are_read_too():
    canvas, axes = panel()
    axes.fill_between([0, 1], [1, 2], [3, 5], color="green", alpha=0.2)
    axes.plot([0, 1], [2, 3], color="green", label="model")
    tie(axes, axes.axhline(4, color="black", label="level"), axes.axhspan(3.5, 4.5), "y")
    axes.axvline(0.5, linestyle=":", color="grey")
    frame = drawn.frame(canvas)
    assert rows(frame, "series", "x", "y", "y_low", "y_high") == [
        ("model", 0, 2, 1, 3), ("model", 1, 3, 2, 5), ("level", None, 4, 3.5, 4.5),
        ("", 0.5, None, None, None),
    ]  # fmt: skip
    canvas, axes = panel()
    axes.barh(["a", "b"], [0.2, 0.3], color="blue", label="first")
    axes.barh(["a", "b"], [0.8, 0.7], left=[0.2, 0.3], color="red", label="second")
    assert rows(drawn.frame(canvas), "series", "y", "x") == [
        ("first", "a", 0.2), ("first", "b", 0.3), ("second", "a", 0.8), ("second", "b", 0.7),
    ]  # fmt: skip
    canvas, axes = panel()
    axes.scatter([1, 2], [3, 4], label="dots")
    axes.plot(7, 8, "o", color="red", label="one")
    axes.plot(9, 10, "o", color="red")
    assert rows(drawn.frame(canvas), "series", "x", "y") == [
        ("one", 7, 8), ("one", 9, 10), ("dots", 1, 3), ("dots", 2, 4),
    ]  # fmt: skip


def test_a_band_belongs_to_the_level_that_it_was_drawn_for():
    def level(method, value, low, high):
        return {"method": method, "value": value, "low": low, "high": high, "how": "bootstrap"}

    said = {"how": "bootstrap", "said": "Said."}
    tables = {
        "levels": [level("4 shots", 0.52, 0.45, 0.59), level("zero-shot", 0.475, 0.405, 0.545)],
        "curve": [
            level("a", value, value - 0.125, value + 0.25) | {"texts": texts, "n": 9}
            for texts, value in ((8, 0.375), (32, 0.625))
        ],
        "crossings": [
            {"level": "4 shots", "method": "a", "at": 16.0} | said,
            {"level": "zero-shot", "method": "a", "at": "never"} | said,
        ],
    }
    majority = Metric(value=0.445, low=0.375, high=0.515, n=9, how="bootstrap")
    given = result(baselines={"majority": {"test/accuracy": majority}}, tables=tables,
                   parameters={"draws": 1})  # fmt: skip
    frame = figures.overtaking(given).frame
    assert rows(frame, "series", "x", "y", "y_low", "y_high") == [
        ("4 shots", None, 0.52, 0.45, 0.59), ("zero-shot", None, 0.475, 0.405, 0.545),
        ("majority", None, 0.445, None, None), ("a", 8, 0.375, 0.25, 0.625),
        ("a", 32, 0.625, 0.5, 0.875), ("a, crossing", 16, 0.52, None, None),
    ]  # fmt: skip


def test_an_interval_goes_to_no_line_right_across_by_its_colour_and_to_no_other_colour():
    canvas, axes = panel()
    axes.axhline(0.5, color="grey", label="majority")
    axes.axhspan(0.4, 0.6, color="grey")
    axes.plot(1, 2, "o", color="red", label="one")
    axes.vlines(1, 1, 3, color="blue")
    assert rows(drawn.frame(canvas), "series", "x", "y", "y_low", "y_high") == [
        ("majority", None, 0.5, None, None), ("one", 1, 2, None, None),
        ("", 1, None, 1, 3), ("", None, None, 0.4, 0.6),
    ]  # fmt: skip


def test_an_interval_without_length_is_along_its_own_axis():
    sure = Metric(value=1, low=1, high=1, n=10, how="bootstrap")
    canvas, axes = panel()
    forest(axes, {"a": sure, "b": METRIC})
    assert rows(drawn.frame(canvas), "y", "x", "x_low", "x_high") == [
        ("a", 1, 1, 1), ("b", 1 / 3, 0.1, 0.6),
    ]  # fmt: skip
    assert "y_low" not in drawn.frame(canvas)


def test_names_that_tie_intervals_are_the_drawing_s_own_and_unique():
    canvas = Canvas()
    for axes in canvas.subplots(2):
        forest(axes, {'<a b="c">': METRIC, "<a>": METRIC})
    svg = Figure(canvas, "t", "c")._files()["svg"]
    found = re.findall(r' id="(series_[^"]*)"', svg)
    assert len(found) == len(set(found)) == 8


def test_means_are_a_series_of_their_own_drawn_once():
    values = {("zero-shot", ""): (0.5, 0.75), ("zero-shot", "batch"): (0.25, 0.25),
              ("4 shots", ""): (0.5, 1.0), ("4 shots", "batch"): (0.0, 0.5)}  # fmt: skip
    prompts = [
        {"condition": kind, "variant": variant, "shots": int(kind[0] == "4"),
         "accuracy": {"value": value, "n": 4}}
        for (kind, variant), both in values.items() for value in both
    ]  # fmt: skip
    given = result(
        task="prompting",
        tables={"prompts": prompts},
        baselines={"majority": {"test/accuracy": WITHOUT}},
    )
    frame = figures.accuracy_by_shots(given).frame
    found = frame.groupby(["series", "x"], dropna=False)["y"].apply(list).to_dict()
    assert {key: found[key] for key in found if key[0] != "majority"} == {
        ("As scored", "zero-shot"): [0.5, 0.75], ("As scored", "4 shots"): [0.5, 1.0],
        ("As scored, mean", "zero-shot"): [0.625], ("As scored, mean", "4 shots"): [0.75],
        ("Batch-calibrated", "zero-shot"): [0.25, 0.25], ("Batch-calibrated", "4 shots"): [0, 0.5],
        ("Batch-calibrated, mean", "zero-shot"): [0.25],
        ("Batch-calibrated, mean", "4 shots"): [0.25],
    }  # fmt: skip
    assert rows(frame[frame["series"] == "majority"], "y") == [(0.25,)]


def test_each_point_of_the_chart_of_translations_is_a_sentence():
    found = {"translation": [0.9, 0.5], "best_other": {"en": [0.7, 0.6], "zh": [0.8, 0.4]}}
    metrics = {f"bitext/retrieval_from_{name}": METRIC for name in ("en", "zh")}
    frame = figures.retrieval(
        result(task="language_transfer", tables={"bitext": found}, metrics=metrics)
    ).frame
    assert rows(frame, "series", "x", "y") == [
        ("found", 0.7, 0.9), ("not found", 0.6, 0.5), ("found", 0.8, 0.9), ("found", 0.4, 0.5),
    ]  # fmt: skip


def test_reference_lines_have_names():
    given = result(
        task="finance", metrics={"test/mcc": METRIC},
        baselines={"last move": {"test/mcc": WITHOUT}},
        tables={"verdict": {"limit": 0.04, "methods": {}}},
    )  # fmt: skip
    assert rows(figures.edges(given).frame, "series", "x", "y") == [
        ("chance", 0, None), ("limit of a no", 0.04, None), ("", 1 / 3, "ours"),
        ("", 0.25, "last move"),
    ]  # fmt: skip


def test_names_that_several_ticks_have_are_told_apart():
    canvas, axes = panel()
    axes.imshow(np.array([[1.0, 2.0, 3.0]]))
    axes.set_xticks(range(3), ["the", "is", "the"])
    assert list(drawn.frame(canvas)["x"]) == ["the (1)", "is", "the (3)"]


def test_the_file_of_numbers_has_nothing_that_a_spreadsheet_computes():
    canvas, axes = panel()
    axes.plot(["=1+1", "-0.5", "@x"], [-1, 2, 3], label="+49 1")
    axes.set_xlabel("-x")
    assert drawn.csv(drawn.frame(canvas)).splitlines() == [
        "series,'-x,y", "'+49 1,'=1+1,-1.0", "'+49 1,-0.5,2.0", "'+49 1,'@x,3.0",
    ]  # fmt: skip


def test_ticks_that_stand_for_other_numbers_are_read_as_these():
    canvas, axes = panel()
    axes.imshow(np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    axes.set_yticks([0, 2], ["1", "3"])  # layers, from 1
    axes.set_xticks([0, 1], ["a", "b"])
    frame = drawn.frame(canvas)
    assert list(frame["y"]) == [1, 1, 2, 2, 3, 3]
    assert list(frame["x"]) == ["a", "b"] * 3
    canvas, axes = panel()
    axes.plot([16, 1024], [1, 2])
    axes.set_xticks([16, 1024], ["16", "1,024"])
    assert list(drawn.frame(canvas)["x"]) == [16, 1024]


def test_numbers_are_as_exact_in_the_file_as_in_the_chart(tmp_path):
    canvas, axes = panel()
    forest(axes, {'a, "b"': METRIC})
    figure = Figure(canvas, "t", "c")
    saved = pandas.read_csv(figure.save(tmp_path / "deep" / "x.csv"), float_precision="round_trip")
    assert saved.loc[0, "x"] == 1 / 3
    assert saved.loc[0, "y"] == 'a, "b"'


@pytest.mark.parametrize("projection", ["polar", "3d", None])
def test_other_figures_do_not_break(projection):
    canvas = Canvas()
    axes = canvas.add_subplot(projection=projection)
    if projection is None:
        axes.pie([1, 2])
        axes.imshow(np.zeros((2, 2, 3)))
        axes.text(0, 0, "x")
        axes.contour(np.arange(9).reshape(3, 3))
    else:
        axes.plot([1, 2], [3, 4])
    assert Figure(canvas, "t", "").frame.empty


@pytest.fixture(scope="module")
def figure():
    with matplotlib.rc_context(fname=str(STYLE)):
        canvas = Canvas(figsize=(6, 3))
        forest(canvas.subplots(), {"a": METRIC, "b": WITHOUT})
        return Figure(canvas, "Accuracy", "Is 0.333 for a. More follows.")


def test_a_figure_is_saved_in_the_size_and_font_asked_for(tmp_path, figure):
    before = figure.png
    how = {"width": 3.25, "font_size": 7, "font": "DejaVu Serif"}
    svg = figure.save(tmp_path / "x.svg", **how).read_text()
    assert 'width="234pt" height="117pt"' in svg
    assert "DejaVuSerif" in svg
    assert "DejaVuSans" not in svg
    pdf = figure.save(tmp_path / "x.pdf", **how).read_bytes()
    assert re.search(rb"/MediaBox \[\s*0 0 234 117\s*\]", pdf)
    assert b"+DejaVuSerif" in pdf
    assert b"/FontFile2" in pdf, "letters are of the font, not outlines of it"
    png = Image.open(figure.save(tmp_path / "x.PNG", width=3.25, height=2))
    assert png.size == (624, 384)
    assert figure.save(tmp_path / "y.png").read_bytes() == before, "it is as it was"


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("x.gif", {}, "can't be saved as 'x.gif'(.|\n)*.pdf, .svg, .png, .csv"),
        ("x", {}, "can't be saved as 'x'"),
        ("x.pdf", {"width": 0}, "width = 0(.|\n)*inches"),
        ("x.pdf", {"font_size": 1000}, "font_size = 1000(.|\n)*points"),
        ("x.pdf", {"font": "DejaVu Serf"}, "no font 'DejaVu Serf'(.|\n)*did you mean 'DejaVu Seri"),
    ],
)
def test_what_can_not_be_saved_is_one_clear_error(tmp_path, figure, name, how, says):
    with pytest.raises(ParameterError, match=says):
        figure.save(tmp_path / name, **how)
    assert not (tmp_path / name).exists()


DRAW = """
import hashlib, sys
from workbench.display.series import tie
from workbench.record.result import FIGURE
sys.path.insert(0, "tests")
from test_drawn import shown_by_kernel
print(hashlib.sha256(repr(shown_by_kernel()).encode()).hexdigest())
"""


def shown_by_kernel():
    canvas, axes = panel()
    forest(axes, {"a": METRIC, "b": WITHOUT})
    axes.imshow(np.arange(4).reshape(2, 2))
    figure = Figure(canvas, "t", "c")
    return [figure.png, figure._files()]


def test_two_processes_draw_the_same_bytes():
    def once(seed):
        return subprocess.run(
            [sys.executable, "-c", DRAW], env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    assert once("1") == once("2")


def test_a_notebook_gets_picture_and_files_in_one_output(figure, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *given, **how: shown.append((given, how)))
    figure._ipython_display_()
    (((data,), how), _) = shown
    assert set(data) == {"image/png", "text/plain", FIGURE}
    assert how["metadata"]["image/png"]["alt"] == "Accuracy. Is 0.333 for a."
    assert set(data[FIGURE]) == {"svg", "pdf", "csv"}
    assert all(0 < len(text) <= MAX_FIGURE_FILE for text in data[FIGURE].values())


def test_a_file_too_large_for_a_page_is_left_out_and_a_large_svg_keeps_its_text():
    canvas, axes = panel()
    axes.plot(np.arange(3000), np.arange(3000) % 7, "o", label="many")
    files = Figure(canvas, "t", "c")._files()
    assert files["svg"] is None
    assert files["csv"] is not None
    canvas = Canvas(figsize=(12, 12))
    for number, axes in enumerate(canvas.subplots(4, 4).flat):
        axes.plot(range(30))
        axes.set_title(f"panel {number} among others")
    svg = Figure(canvas, "t", "c")._files()["svg"]
    assert "panel 15 among others</text>" in svg
