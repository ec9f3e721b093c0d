"""Calibration of label scores: by hand, by brute force, and the channel by plain reading."""

import importlib.util
import sys
from itertools import pairwise, product

import numpy as np
import pytest
import torch
import yaml

from workbench import tables
from workbench.core import paths, sources
from workbench.core.errors import ParameterError
from workbench.decoding import score
from workbench.methods import calibration, channel_scores, prompt_scores, prompts, templates
from workbench.methods.prompt_scores import Draw
from workbench.methods.templates import Template
from workbench.models.causal_lm import CausalLM
from workbench.record.result import Result

SPEC = importlib.util.spec_from_file_location(
    "calibration_benchmark", paths.ROOT / "benchmarks" / "calibration.py"
)
benchmark = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = benchmark
SPEC.loader.exec_module(benchmark)

CATALOGUE = yaml.safe_load(templates.FILE.read_text(encoding="utf-8"))
TYPES = ["corporation", "creative-work", "group", "location", "person", "product"]
LABELS = {"brand_tweets": ["bad", "fair", "good"], "tiny_ner": TYPES, "tiny_reviews": ["x", "y"]}
WORDS = ["positive", "very negative"]
SHOTS = [({"text": "It broke.", "entity": "It"}, "very negative")]
ITEMS = [
    {"text": "The lamp in Oslo works.", "entity": "Oslo"},
    {"text": "{Zürich} 🎉 is far", "entity": "Zürich"},
]
TEXTS = Template("x", "Judge.", "", "Mood: {label}\nText: {text}")
NAMES = Template("x", "Judge.", "", "Text: {text}\nKind: {label}\nName: {entity}")
FIRST = Template("x", "", "", "{label} => {text}")


@pytest.fixture(scope="module")
def model(varied_decoder_folder):
    return CausalLM(sources.resolve(str(varied_decoder_folder), "model"))


def middles(values):
    ends = sorted({float(value) for value in values})
    return [(low + high) / 2 for low, high in pairwise([ends[0] - 1, *ends, ends[-1] + 1])]


def best_by_brute_force(scores, gold):
    """Most items right by any offsets of two or three labels, every region of them tried.

    Between two neighbouring values of the second label's offset at which any two of the lines that
    part the regions meet, one value stands for all; given that, so for the third label's.
    """
    first, second = scores[:, 0], scores[:, 1]
    meets = list(first - second)
    if scores.shape[1] > 2:
        third = scores[:, 2]
        meets += [a - b for a, b in product(first - third, second - third)]
    best = 0
    for offset in middles(meets):
        moved = scores + np.eye(scores.shape[1])[1] * offset
        lead = moved[:, :2].max(axis=1)
        others = middles(lead - scores[:, 2]) if scores.shape[1] > 2 else [0]
        for other in others:
            found = moved + np.eye(scores.shape[1])[-1] * other
            best = max(best, int((found.argmax(axis=1) == gold).sum()))
    return best


@pytest.mark.parametrize("labels", [2, 3])
def test_the_oracle_is_as_right_as_any_offsets_can_be(labels):
    generator = np.random.default_rng(labels)
    for _ in range(25):
        items = int(generator.integers(1, 9))
        scores = generator.normal(size=(items, labels)) * 2
        scores[: items // 2] = scores[0]  # items that no offset tells apart
        gold = generator.integers(0, labels, items)
        found = calibration.oracle(scores, gold)
        assert int((found.argmax(axis=1) == gold).sum()) == best_by_brute_force(scores, gold)
        offsets = found - calibration.normalise(scores)
        assert np.ptp(offsets - offsets[:, :1], axis=0) == pytest.approx(0, abs=1e-9)


def test_the_oracle_of_many_labels_is_no_worse_than_any_calibration():
    generator = np.random.default_rng(0)
    for labels in (4, 10):
        gold = generator.integers(0, labels, 60)
        scores = generator.normal(size=(60, labels)) + np.eye(labels)[gold]
        lean = np.linspace(0, 6, labels)
        right = lambda found, gold=gold: (found.argmax(axis=1) == gold).mean()  # noqa: E731
        bound = right(calibration.oracle(scores + lean, gold))
        assert bound >= right(scores) > right(scores + lean)
        assert bound >= right(calibration.calibrate(scores + lean, scores + lean))
        everything = calibration.oracle(scores + lean, np.full(60, 1))
        assert right(everything, np.full(60, 1)) == 1


def test_pmi_is_the_ratio_of_two_probabilities():
    scores, premise = np.log([[0.5, 0.25], [0.1, 0.3]]), np.log([0.5, 0.125])
    # 0.5 / 0.5 = 1 against 0.25 / 0.125 = 2; then 0.2 against 2.4
    assert np.exp(calibration.pmi(scores, premise)) == pytest.approx(
        np.array([[1 / 3, 2 / 3], [1 / 13, 12 / 13]])
    )
    generator = np.random.default_rng(0)
    scores, premise = generator.normal(size=(40, 4)) * 3, generator.normal(size=4)
    contextual = calibration.calibrate(scores, premise[None])
    assert calibration.pmi(scores, premise) == pytest.approx(contextual)


def test_the_channel_takes_all_labels_as_equally_likely_before():
    likelihoods = np.log([[2e-30, 6e-30], [1e-40, 1e-40]])
    assert np.exp(calibration.channel(likelihoods)) == pytest.approx(
        np.array([[0.25, 0.75], [0.5, 0.5]])
    )


def after(model, context, end):
    """Log-probability of the tokens of `end` after a context, from one plain forward pass."""
    ids, start = model.encode(context + end), len(model.encode(context))
    assert ids[:start] == model.encode(context)
    with torch.inference_mode():
        logits = model.network(torch.tensor([ids])).logits[0].log_softmax(-1)
    return sum(float(logits[place - 1, ids[place]]) for place in range(start, len(ids)))


@pytest.mark.parametrize("template", [TEXTS, NAMES, FIRST], ids=["texts", "names", "label first"])
@pytest.mark.parametrize("shots", [[], SHOTS], ids=["zero-shot", "1 shot"])
def test_channel_scores_are_those_of_plain_reading(model, template, shots):
    found, merged = channel_scores.score(
        model, template, shots, ITEMS, WORDS, dtype=torch.float32, progress="channel"
    )
    assert merged == 0
    for row, fields in enumerate(ITEMS):
        for column, word in enumerate(WORDS):
            shown = "".join(
                template.channel.format(**each, label=label) + "\n\n" for each, label in shots
            )
            first = f"{template.instruction}\n\n" if template.instruction else ""
            whole = first + shown + template.channel.format(**fields, label=word)
            end = f" {fields['entity' if template is NAMES else 'text']}"
            expected = after(model, whole.removesuffix(end), end)
            assert found[row, column] == pytest.approx(expected, abs=1e-3)


def asked(model, forms, items=2, sample=1):
    words = {"bad": "negative", "good": "positive"}
    found = prompts.Prompts(forms, words, typing=False, max_tokens=50, new_tokens=8)
    texts = [{"text": text} for text in ("Fine lamp", "It broke at once", "A bag")]
    return prompt_scores.Asked(
        model, found, texts[:items], texts[items : items + sample], torch.float32
    )


def test_variants_come_from_one_scoring_and_the_channel_only_where_asked_for(model):
    with_form = Template("with", "", "Text: {text}\nMood:", "Mood: {label}\nText: {text}")
    both = (with_form, Template("without", "", "{text}\nMood:"))
    plain = prompt_scores.score(asked(model, both), [Draw()])
    assert [one.variants for one in plain] == [prompt_scores.VARIANTS] * 2
    first, second = prompt_scores.score(asked(model, both), [Draw()], channel=True)
    assert first.variants == (*prompt_scores.VARIANTS, "channel")
    assert second.variants == prompt_scores.VARIANTS
    assert (first.asked, second.asked) == (2 + 1 + 3 + 2, 2 + 1 + 3)
    assert first.items == pytest.approx(plain[0].items)
    given = [["Text: Fine lamp\nMood:", "Text: \nMood:"], [" negative", " positive"]]
    text, empty = score.log_likelihoods(model, *given).sums
    expected = np.exp(text - empty) / np.exp(text - empty).sum()
    assert np.exp(first.scores("PMI")[0]) == pytest.approx(expected, abs=1e-3)
    likely = [after(model, f"Mood: {word}\nText:", " Fine lamp") for word in
              ("negative", "positive")]  # fmt: skip
    ratio = np.diff(first.scores("channel")[0])
    assert ratio == pytest.approx(np.diff(likely), abs=1e-3)
    methods = prompt_scores.ensembles([first, second])
    assert methods["zero-shot + channel"] == pytest.approx(first.scores("channel"))
    assert set(methods) - {"zero-shot + channel"} == set(prompt_scores.ensembles(plain))


def test_a_template_without_a_channel_form_has_an_empty_cell(model):
    both = (
        Template("with", "", "Text: {text}\nMood:", "Mood: {label}\nText: {text}"),
        Template("without", "", "{text}\nMood:"),
    )
    prompted = prompt_scores.score(asked(model, both), [Draw()], channel=True)
    rows = {"label": ["good", "bad"], "cluster": ["0", "1"]}
    found = prompt_scores.by_prompt(prompted, rows, ["bad", "good"], "texts")
    body = tables.prompts(Result.model_construct(tables={"prompts": found})).body
    heads, with_form, without = body.split("<tr>")[1:4]
    assert heads.index(">channel<") < heads.index(">bound<")
    assert "<td></td>" not in with_form.replace("<td></td>", "", 1)  # the draw of no shots
    assert without.count("<td></td>") == 2
    assert "without a channel form" in body


@pytest.mark.parametrize("dataset", LABELS)
def test_every_template_has_a_channel_form_and_eight_of_them_can_be_asked_by(model, dataset):
    labels = LABELS[dataset]
    found = prompts.load(dataset, labels, model, 50, count=100)
    assert len(found.templates) >= 8
    assert len({template.question for template in found.templates}) == len(found.templates)
    assert len(prompts.load(dataset, labels, model, 50, count=8).templates) == 8
    assert [each.name for each in prompts.load(dataset, labels, model, 50).templates] == [
        each.name for each in found.templates[:3]
    ]
    fields = {"text": "some {text}", "entity": "a {name}"}
    for template in found.templates:
        before, middle, end = template.turn([], fields, "LABEL")
        assert middle.count("LABEL") == 1
        assert "LABEL" not in before + end
        assert end == f" {fields['entity' if found.typing else 'text']}"
        assert "{labels}" not in before + middle
        assert (fields["text"] in before + middle) == found.typing
        assert template.fill([], fields).count(fields["text"]) == 1


def test_words_of_types_differ():
    words = CATALOGUE["entities"]["words"]
    labels = ["company", "facility", "geo-loc", "movie", "musicartist", "other", "person",
              "product", "sportsteam", "tvshow", *TYPES, "organisation"]  # fmt: skip
    known = {words.get(label, label) for label in labels}
    assert len(known) == len(set(labels))
    assert set(words) <= set(labels)


def test_a_channel_form_that_is_none_is_one_clear_error(model, monkeypatch, tmp_path):
    for wrong in ("Mood: {label}", "{text}\nMood: {label}", "Text: {text}", "{label}:{text}"):
        file = tmp_path / "prompts.yaml"
        entry = {"templates": {"mine": {"question": "{text}:", "channel": wrong}}}
        file.write_text(yaml.safe_dump({"texts": entry}))
        monkeypatch.setattr(templates, "FILE", file)
        with pytest.raises(ParameterError, match=r"template 'mine': channel is"):
            prompts.load("tiny_reviews", ["x", "y"], model, 50)


def test_shots_leave_where_the_channel_form_does_not_fit(model, monkeypatch):
    longer = "The mood of what was written by whoever wrote it is {label} and they wrote: {text}"
    template = Template("x", "", "{text}:", longer)
    shots = [({"text": f"word {number}"}, "good") for number in range(4)]
    monkeypatch.setattr(model.network.config, "max_position_embeddings", 70)
    one = asked(model, (template,))
    draws = [Draw(shots)]
    (plain,), (turned,) = (prompt_scores.score(one, draws, channel=on) for on in (False, True))
    assert plain.dropped_shots == 0
    assert 0 < turned.dropped_shots < 4
    assert np.isfinite(turned.scores("channel")).all()


def measured(hits, clusters=None, task="a"):
    clusters = clusters or [str(item) for item in range(hits.shape[2])]
    return benchmark.Measured(task, "zero-shot", hits, clusters, 2)


def test_gains_are_means_over_items_prompts_and_tasks_with_what_is_drawn():
    variants = len(benchmark.VARIANTS)
    hits = np.zeros((2, 1, 20, variants))
    hits[..., 1] = 1  # right everywhere: no draw can change the gain
    hits[0, ..., 2] = 1  # by one template only: items don't matter, templates do
    hits[:, :, :10, 3] = 1  # of half of the items: the other way round
    hits[1, ..., 5] = np.nan  # a template without a channel form
    hits[0, 0, :5, 5] = 1
    found = benchmark.gains([measured(hits)])
    shown = [(gain.value, gain.low, gain.high) for gain in found]
    assert shown[:3] == [(0, 0, 0), (1, 1, 1), (0.5, 0, 1)]
    assert shown[3][0] == 0.5
    assert 0.2 < shown[3][1] < 0.4
    assert 0.6 < shown[3][2] < 0.8
    assert shown[5][0] == 0.25
    assert shown[5][2] < 0.5
    both = benchmark.gains([measured(hits), measured(np.zeros_like(hits), task="b")])
    assert [gain.value for gain in both[:4]] == [0, 0.5, 0.25, 0.25]
    together = benchmark.gains([measured(hits, ["0", "1"] * 10)])
    assert together[1].low is None
    hits[..., 5] = np.nan
    assert benchmark.gains([measured(hits)])[5] is None
    summary = benchmark.summary([measured(hits)])
    assert "channel" not in summary
    assert summary["contextual"]["worst"] == 0
    assert summary["contextual"]["spread"] == pytest.approx(np.std([0, 1], ddof=1))


def test_sentences_of_a_document_are_of_one_split_and_drawn_together(tmp_path, monkeypatch):
    found = {}
    for label, most in (("news", 2), ("encyclopedia", 3)):
        sentence = f"Sentence {{}} of {label} {{}} is one that has enough words."
        documents = [
            " ".join(sentence.format(place, number) for place in range(5)) + " Too short."
            for number in range(20)
        ]
        (tmp_path / f"{label}.txt").write_text("\n\n".join(documents))
        found[str(tmp_path / f"{label}.txt")] = (label, most)
    monkeypatch.setattr(benchmark, "SOURCES", found)
    folder = tmp_path / "made"
    folder.mkdir()
    data, where = benchmark.load("sources", folder)
    assert where == str(folder)
    assert data.labels == ("encyclopedia", "news")
    sizes = {split: len(rows) for split, rows in data.splits.items()}
    assert sizes == {"train": 2 * 5, "validation": 3 * 5, "test": 15 * 5}
    for rows in data.splits.values():
        for text, cluster in zip(rows["text"], rows["cluster"], strict=True):
            assert text.endswith("enough words.")
            name, number = cluster.rsplit("/", 1)
            assert f"of {found[name][0]} " in text
            members = {
                other.split()[4]
                for other, same in zip(rows["text"], rows["cluster"], strict=True)
                if same == cluster
            }
            assert len(members) == 1, number
    clusters = [set(rows["cluster"]) for rows in data.splits.values()]
    assert len(set.union(*clusters)) == sum(map(len, clusters)) == 40


def test_labels_with_braces_turn_round_too(model):
    labels = ("{label}", "{text}")
    found = prompts.load("brand_tweets", labels, model, 20, count=9)
    for template in found.templates:
        first, middle, end = template.turn([], {"text": "a day"}, "{label}")
        assert end == " a day"
        assert (first + middle).count("{label}") >= 1


def test_a_constrained_answer_is_its_label_to_the_letter(model):
    found = prompts.load("brand_tweets", ("C", "C#", "c"), model, 20)
    assert [found.label_of(f" {word}") for word in ("C", "C#", "c")] == ["C", "C#", "c"]
    assert [found.label_of(word) for word in ("D", "", "C C#")] == ["unparsed"] * 3
