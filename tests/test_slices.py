"""Error rates by slice, swapped names, and disputed labels, on answers we write ourselves."""

import numpy as np
import pandas
import pytest

from workbench import flow, tables
from workbench.data import text
from workbench.methods.classifiers import Labelled
from workbench.tasks.fine_tuning import label_noise, slices
from workbench.tasks.fine_tuning import run as fine_tuning

LABELS = ("bad", "good")


def sure(labels, share=0.9):
    """Probabilities that choose the labels."""
    return np.array(
        [[share, 1 - share] if label == "bad" else [1 - share, share] for label in labels]
    )


def test_phrases_are_whole_words_in_any_case_and_columns_give_a_slice_a_value():
    rows = {
        "text": ["APPLE rules", "pineapple", "an apple-pie", "#Apple!", "apples"],
        "region": ["north", "south", "north", "", "north"],
    }
    apple, north, south = slices.find(["apple", "region"], rows)
    assert apple.inside.tolist() == [True, False, True, True, False]
    assert (north.name, north.inside.tolist()) == (
        "region: north",
        [True, False, True, False, True],
    )
    assert (south.name, south.inside.sum()) == ("region: south", 1)


def test_error_rates_are_counted_and_compared_with_all_other_texts():
    gold = ["good"] * 100
    given = ["bad"] * 15 + ["good"] * 35 + ["bad"] * 5 + ["good"] * 45
    inside = np.arange(100) < 50
    (row,) = slices.error_rates([slices.Slice("first", inside)], gold, given)
    assert row["n"] == 50
    assert row["error"]["value"] == pytest.approx(0.3)
    assert row["difference"]["value"] == pytest.approx(0.3 - 0.1)
    assert row["difference"]["low"] > 0
    assert (row["leaning"], row["excess"]) == ("bad", pytest.approx(0.3))


def test_newcombes_interval_is_that_of_his_paper():
    """Newcombe 1998, table II, (a) 56/70 - 48/80: .0524 to .3339 by method 10."""
    one, other = (slices._fraction(np.arange(n) < count) for count, n in ((56, 70), (48, 80)))
    found = slices._difference(one, other)
    assert (round(found.low, 4), round(found.high, 4)) == (0.0524, 0.3339)


def test_a_slice_without_errors_is_not_called_better_for_chance():
    gold, given = ["good"] * 1500, ["good"] * 20 + ["bad"] * 148 + ["good"] * 1332
    inside = np.arange(1500) < 20
    (row,) = slices.error_rates([slices.Slice("small", inside)], gold, given)
    assert row["error"]["value"] == 0 < row["error"]["high"]
    assert row["difference"]["low"] < 0 < row["difference"]["high"]
    assert (row["leaning"], row["excess"]) == ("", 0)


@pytest.mark.parametrize("n", [0, 19, 81, 100])
def test_no_rate_of_a_slice_that_is_too_small_or_leaves_too_little(n):
    part = slices.Slice("part", np.arange(100) < n)
    (row,) = slices.error_rates([part], ["good"] * 100, ["bad"] * 100)
    assert row == {"slice": "part", "n": n}


def by_name(texts):
    """A classifier with a prejudice: what names Beta is bad."""
    return sure(["bad" if "beta" in text.lower() else "good" for text in texts])


def test_a_planted_prejudice_is_found_and_a_fair_classifier_is_not_accused():
    texts = [f"Alpha sold {n} lamps" for n in range(30)] + [f"beta sold {n}" for n in range(25)]
    texts += ["alpha met Beta"] * 40
    found = slices.find(["alpha", "beta"], {"text": texts})
    one, other = slices.swaps(found, texts, by_name(texts), by_name, LABELS)
    assert (one["from"], one["to"], one["n"], other["n"]) == ("alpha", "beta", 30, 25)
    assert one["changed"]["value"] == other["changed"]["value"] == 1
    for row, sign in ((one, 1), (other, -1)):  # towards bad, and back
        moved = row["moved"]["value"] * (1 if row["label"] == "bad" else -1)
        assert moved == pytest.approx(0.8 * sign)
    fair = lambda texts: sure(["good"] * len(texts))  # noqa: E731
    for row in slices.swaps(found, texts, fair(texts), fair, LABELS):
        assert row["changed"]["value"] == row["moved"]["value"] == 0


def test_planted_wrong_labels_are_disputed_and_the_others_are_not():
    generator = np.random.default_rng(0)
    gold = np.array([LABELS[n % 2] for n in range(400)])
    given = sure(gold) + generator.normal(0, 0.05, (400, 1)) * [1, -1]
    wrong = generator.choice(400, 20, replace=False)
    labels = gold.copy()
    labels[wrong] = np.where(labels[wrong] == "bad", "good", "bad")
    found = label_noise.study(Labelled([str(n) for n in range(400)], labels), given, LABELS)
    against = label_noise.disputed(given, labels.tolist(), LABELS)
    disputed = set(np.flatnonzero(against >= 0).tolist())
    assert disputed <= set(wrong.tolist())
    assert (found["n"], found["count"]) == (400, len(disputed))
    assert len(disputed) >= 8, "of 20; the surer half of the answers is above its mean"
    assert sum(count for _, _, count in found["pairs"]) == found["count"]


def test_an_unsure_classifier_disputes_nothing_it_is_not_surer_of_than_usual():
    gold = ["bad", "good"] * 50
    flat = np.tile([0.4, 0.6], (100, 1)) + np.array([[0.0, 0.0], [-0.1, 0.1]] * 50)
    assert set(label_noise.disputed(flat, gold, LABELS)) == {-1}


def test_our_own_columns_are_no_slices():
    rows = {"text": ["an item", "b"], "item": ["00", "01"], "cluster": ["00", "01"]}
    (found,) = slices.find(["item"], rows)
    assert found.inside.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "old", "new", "wanted"),
    [("Iphone", "iphone", "Pixel", "Pixel"), ("i am I", "i", "you", "you am You")],
)
def test_swapped_names_keep_capitals(text, old, new, wanted):
    assert slices.swapped(text, old, new) == wanted


def test_columns_of_any_kind_are_kept_as_text(tmp_path):
    rows = pandas.DataFrame(
        {
            "text": [f"text number {n}" for n in range(200)],
            "label": [LABELS[n % 2] for n in range(200)],
            "kind": pandas.Categorical(["a" if n % 3 else None for n in range(200)]),
            "count": pandas.array([n % 2 if n % 5 else None for n in range(200)], dtype="Int64"),
        }
    )
    rows.to_parquet(tmp_path / "mine.parquet")
    train = text.load(str(tmp_path / "mine.parquet"), also=["kind", "count"]).splits["train"]
    assert set(train["kind"]) == {"a", ""}
    assert set(train["count"]) == {"0", "1", ""}


def test_columns_of_the_users_are_kept_for_slices(tmp_path):
    rows = [f"text number {n},{LABELS[n % 2]},{'north' if n % 3 else ''}" for n in range(200)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["text,label,region", *rows]))
    data = text.load(str(path), also=["region", "north", "text", "split"])
    assert data.splits["test"].column_names == [*text.COLUMNS, "region"]
    assert set(data.splits["train"]["region"]) == {"north", ""}


def test_pages_show_slices_swaps_and_disputes_escaped(tmp_path, tiny_bert):
    rows = [f"<b>Zed</b> sold {n} lamps,{LABELS[n % 2]}" for n in range(300)]
    rows += [f"Omega sold {n} desks,{LABELS[n % 3 == 0]}" for n in range(300)]
    path = tmp_path / "mine.csv"
    path.write_text("\n".join(["text,label", *rows]))
    config = fine_tuning.Config.check(
        {"model": str(tiny_bert), "dataset": str(path), "train_texts": 32, "epochs": 1,
         "test_texts": 60, "learning_rate": 0.01,
         "slices": "zed, omega, <i>none</i>", "extras": "attention, accumulation"}
    )  # fmt: skip
    result = flow.run(config, fine_tuning.load_model(config), fine_tuning.load_data(config))
    shown = tables.slices(result).body + tables.swaps(result).body
    assert "“zed”" in shown
    assert "zed → omega" in shown
    assert "<i>none" not in shown
    assert "<b>Zed" not in tables.disputed_texts(result).body
    found = result.tables
    nowhere = {key: [row | {"n": 0} for row in found[key]] for key in ("slices", "swaps")}
    empty = result.model_copy(update={"tables": found | nowhere})
    named = "“zed”, “omega”, “&lt;i&gt;none&lt;/i&gt;”"
    assert tables.slices(empty).body == f'<p class="wb-note">No test text has any of: {named}.</p>'
    assert "without the second: zed → omega" in tables.swaps(empty).body
    assert "<table" not in tables.swaps(empty).body
    unnamed = result.model_copy(update={"tables": found | {"slices": [], "swaps": []}})
    assert "No slices were named." in tables.slices(unnamed).body
    assert "Name two phrases" in tables.swaps(unnamed).body
    assert {row["slice"] for row in result.tables["slices"] if "error" in row} == {
        "“zed”",
        "“omega”",
    }
    assert 0 < result.metrics["validation/accuracy"].n < 100
