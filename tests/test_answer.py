"""The answer of a run in one sentence: it says what the record says, and stands everywhere."""

import json

import pytest

from workbench.record.answer import answer, findings
from workbench.record.result import Cost, Metric, Result
from workbench.report import index, page

HOW = "bootstrap"


def metric(value, low=None, high=None, *, n=200, unit="fraction", p=None):
    return Metric(value=value, low=low, high=high, n=n, unit=unit, how=HOW, p=p)


def record(name="test/accuracy", **changes):
    fields = {
        "task": "fine_tuning",
        "status": "succeeded",
        "parameters": {"seed": 0},
        "sources": {"model": {"name": "minilm"}, "dataset": {"name": "brand_tweets"}},
        "metrics": {name: metric(0.744, 0.7, 0.79)},
        "headline": (name,),
        "method": "full fine-tuning",
        "cost": Cost(seconds=1, memory_mb={}, device="cpu", precision="float32"),
        "environment": {},
    }
    return Result(**fields | changes)


def beside(value, difference, **more):
    return {
        "baselines": {
            "majority": {"test/accuracy": metric(0.4)},
            "LoRA": {"test/accuracy": metric(value)},
        },
        "comparisons": {
            "majority": {"test/accuracy": metric(0.344, 0.3, 0.4, p=0.001)},
            "LoRA": {"test/accuracy": difference},
        },
        **more,
    }


OWN = "full fine-tuning on brand_tweets: accuracy 0.744 [0.700, 0.790], n = 200."


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (metric(0.044, 0.02, 0.07, p=0.001), "the run's own is better: difference +0.044"),
        (metric(-0.02, -0.03, -0.01, p=0.001), "the run's own is worse: difference -0.020"),
        (metric(0.01, -0.02, 0.04, p=0.5), "the two can't be distinguished: difference +0.010"),
        (metric(0.03, 0.001, 0.06, p=0.2), "can't be distinguished after correction for 2"),
    ],
)
def test_the_best_baseline_stands_beside_with_the_verdict_on_the_difference(difference, said):
    found = answer(record(**beside(0.7, difference)))
    assert found.startswith(f"{OWN} The best of 2 others, LoRA, has 0.700; ")
    assert said in found
    assert f"{difference:+}." in found


def test_findings_say_the_others_the_extreme_parts_and_the_cost():
    parts = {f"test/accuracy/{part}": metric(value) for part, value in
             {"calm": 0.5, "glad": 0.9, "sad": 0.7}.items()}  # fmt: skip
    cost = Cost(seconds=61, train_seconds=1, trained_tokens=1200, memory_mb={"resident": 10},
                device="cpu", precision="float32")  # fmt: skip
    own = {"metrics": {"test/accuracy": metric(0.744, 0.7, 0.79)} | parts, "cost": cost}
    others, extremes, took = findings(
        record(**beside(0.7, metric(0.01, -0.02, 0.04, p=0.5)), **own)
    )
    assert others.startswith(
        "By accuracy, on the same items, full fine-tuning is better than majority (+0.344); shows "
        "no clear difference from LoRA (+0.010)."
    )
    assert extremes == "Highest for glad, 0.900; lowest for calm, 0.500."
    assert took == ("It took 1 min 1 s and at most 10 MiB on cpu in float32, 1,200 tokens trained.")


def test_the_best_is_the_largest_but_of_bits_the_smallest():
    name = "wiki_sample/bits_per_byte"
    bits = {key: metric(value, unit="bits per byte") for key, value in
            {"own": 1.2, "lzma": 2.1, "n-gram": 1.9}.items()}  # fmt: skip
    found = answer(
        record(
            name,
            method="",
            metrics={name: bits["own"]},
            baselines={key: {name: bits[key]} for key in ("lzma", "n-gram")},
            comparisons={"n-gram": {name: metric(-0.7, -0.8, -0.6, unit="bits per byte", p=0.001)}},
        )
    )
    assert found == (
        "minilm on wiki_sample: bits per byte 1.200, n = 200. The best of 2 others, n-gram, has "
        "1.900; the run's own is better: difference -0.700 [-0.800, -0.600]."
    )


def test_without_baselines_or_differences_nothing_is_made_up():
    assert answer(record()) == OWN
    one = {"lexicon": {"test/accuracy": metric(0.6)}}
    assert answer(record(baselines=one)) == (
        f"{OWN} The other method, lexicon, has 0.600; their paired difference was not taken."
    )
    assert answer(record(headline=())) == ""


def test_page_and_index_show_it_escaped_also_of_records_without(tmp_path):
    directory = tmp_path / "runs" / "20-fine-tuning-000000000000"
    directory.mkdir(parents=True)
    sources = {"model": {"name": "minilm"}, "dataset": {"name": "<b>mine</b>"}}
    result = record(sources=sources, run_id=directory.name)
    (directory / "result.json").write_text(json.dumps(result.model_dump(mode="json")))
    words = "full fine-tuning on &lt;b&gt;mine&lt;/b&gt;: accuracy 0.744"
    assert f'<p class="answer">{words}' in page.render(directory)
    assert words in index.write(tmp_path).read_text(encoding="utf-8")


def test_data_issues_stand_open_the_largest_first(tmp_path):
    directory = tmp_path / "runs" / "20-fine-tuning-000000000000"
    directory.mkdir(parents=True)
    issues = {
        "a": {"count": 1, "of": 100, "note": "rows dropped"},
        "b": {"count": 97, "of": 100, "note": "tokens not scored"},
        "c": {"count": 0, "of": 100, "note": "lines garbled"},
    }
    result = record(data_issues=issues, run_id=directory.name)
    (directory / "result.json").write_text(json.dumps(result.model_dump(mode="json")))
    text = page.render(directory)
    assert text.index("tokens not scored") < text.index("rows dropped") < text.index("garbled")
    assert "97 of 100 (97.00%)" in text
    assert "Looked for and not found: 1" in text
