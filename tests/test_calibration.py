"""Calibration of label scores: by hand, by brute force, and the channel by plain reading."""

import importlib.util
import sys
from itertools import pairwise, product

import numpy as np
import pytest
import torch
import yaml

from workbench.core import paths, sources
from workbench.core.errors import ParameterError
from workbench.decoding import score
from workbench.methods import calibration, prompt_scores, prompts, templates
from workbench.methods.prompt_scores import Draw
from workbench.methods.templates import Template
from workbench.models.causal_lm import CausalLM


def program(name, file):
    spec = importlib.util.spec_from_file_location(name, paths.ROOT / "benchmarks" / file)
    found = importlib.util.module_from_spec(spec)
    sys.modules[name] = found
    spec.loader.exec_module(found)
    return found


channel = program("channel", "channel.py")  # under this name the other one imports it
benchmark = program("calibration_benchmark", "calibration.py")

CATALOGUE = yaml.safe_load(templates.FILE.read_text(encoding="utf-8"))
FORMS = yaml.safe_load(channel.FILE.read_text(encoding="utf-8"))
TYPES = ["corporation", "creative-work", "group", "location", "person", "product"]
LABELS = {"brand_tweets": ["bad", "fair", "good"], "tiny_ner": TYPES, "tiny_reviews": ["x", "y"]}
WORDS = ["positive", "very negative"]
SHOTS = [({"text": "It broke.", "entity": "It"}, "very negative")]
ITEMS = [
    {"text": "The lamp in Oslo works.", "entity": "Oslo"},
    {"text": "{Zürich} 🎉 is far", "entity": "Zürich"},
]
TEXTS = Template("x", "Judge.", "Mood: {label}\nText: {text}")
NAMES = Template("x", "Judge.", "Text: {text}\nKind: {label}\nName: {entity}")
FIRST = Template("x", "", "{label} => {text}")


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
    assert np.exp(channel.calibrated(likelihoods)) == pytest.approx(
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
    found, merged = channel.likelihoods(
        model, template, shots, ITEMS, WORDS, dtype=torch.float32, progress="channel"
    )
    assert merged == 0
    for row, fields in enumerate(ITEMS):
        for column, word in enumerate(WORDS):
            shown = "".join(
                template.question.format(**each, label=label) + "\n\n" for each, label in shots
            )
            first = f"{template.instruction}\n\n" if template.instruction else ""
            whole = first + shown + template.question.format(**fields, label=word)
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


@pytest.fixture
def forms(monkeypatch, tmp_path):
    def write(of_templates):
        monkeypatch.setattr(channel, "FILE", tmp_path / "forms.yaml")
        channel.FILE.write_text(yaml.safe_dump({"texts": of_templates}))

    return write


def test_variants_come_from_one_scoring_and_the_channel_from_its_forms(model, forms):
    forms({"with": "Mood: {label}\nText: {text}"})
    both = (Template("with", "", "Text: {text}\nMood:"), Template("without", "", "{text}\nMood:"))
    question, draws = asked(model, both), [Draw()]
    plain = prompt_scores.score(question, draws)
    assert [one.variants for one in plain] == [prompt_scores.VARIANTS] * 2
    assert [one.asked for one in plain] == [2 + 1 + 3] * 2
    given = [["Text: Fine lamp\nMood:", "Text: \nMood:"], [" negative", " positive"]]
    text, empty = score.log_likelihoods(model, *given).sums
    expected = np.exp(text - empty) / np.exp(text - empty).sum()
    assert np.exp(plain[0].scores("PMI")[0]) == pytest.approx(expected, abs=1e-3)
    turned, nothing = channel.score(question, "tiny_reviews", draws, plain)
    likely = [after(model, f"Mood: {word}\nText:", " Fine lamp") for word in
              ("negative", "positive")]  # fmt: skip
    assert np.diff(turned[0]) == pytest.approx(np.diff(likely), abs=1e-3)
    assert np.exp(turned).sum(axis=1) == pytest.approx(1)
    assert nothing is None


def test_a_template_without_a_channel_form_has_an_empty_column(model, forms):
    forms({"with": "Mood: {label}\nText: {text}"})
    both = (Template("with", "", "Text: {text}\nMood:"), Template("without", "", "{text}\nMood:"))
    question, draws, gold = asked(model, both), [Draw()], np.array([1, 0])
    plain = prompt_scores.score(question, draws)
    turned = channel.score(question, "tiny_reviews", draws, plain)
    found = np.stack([benchmark.right(*each, gold) for each in zip(plain, turned, strict=True)])
    column = benchmark.VARIANTS.index("channel")
    assert (found[0, :, column] == (turned[0].argmax(axis=1) == gold)).all()
    assert np.isnan(found[1, :, column]).all()
    assert not np.isnan(np.delete(found, column, axis=2)).any()


def test_the_channel_reads_the_shots_of_each_draw(model, forms):
    forms({"mine": "Mood: {label}\nText: {text}"})
    one = asked(model, (Template("mine", "Judge.", "{text}:"),))
    draws = [Draw(), *(Draw([({"text": text}, "good")], place) for place, text in enumerate("ab"))]
    found = channel.score(one, "tiny_reviews", draws, prompt_scores.score(one, draws))
    for drawn, likely in zip(draws, found, strict=True):
        expected, _ = channel.likelihoods(
            model, Template("mine", "Judge.", "Mood: {label}\nText: {text}"), drawn.shots,
            one.items, ["negative", "positive"], dtype=torch.float32, progress="",
        )  # fmt: skip
        assert likely == pytest.approx(calibration.normalise(expected), abs=1e-5)


def test_the_channel_has_a_form_for_each_template_of_the_prompts_of_texts():
    of_texts = {name: entry for name, entry in CATALOGUE.items() if name != prompts.CHOICES}
    assert {name: [*forms] for name, forms in FORMS.items()} == {
        name: [*entry["templates"]] for name, entry in of_texts.items()
    }


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
    turned = channel.turned(dataset, found)
    for template in found.templates:
        before, middle, end = channel.turn(turned[template.name], [], fields, "LABEL")
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


def test_a_channel_form_that_is_none_is_one_clear_error(model, forms):
    mine = asked(model, (Template("mine", "", "{text}:"),)).prompts
    for wrong in ("Mood: {label}", "{text}\nMood: {label}", "Text: {text}", "{label}:{text}"):
        forms({"mine": wrong})
        with pytest.raises(ParameterError, match=r"template 'mine': channel is"):
            channel.turned("tiny_reviews", mine)
    forms({"mine": "{label}, {mood}: {text}"})
    with pytest.raises(ParameterError, match=r"template 'mine'.*\{mood\}"):
        channel.turned("tiny_reviews", mine)


def test_shots_leave_where_the_channel_form_does_not_fit(model, monkeypatch, forms):
    longer = "The mood of what was written by whoever wrote it is {label} and they wrote: {text}"
    forms({"x": longer})
    template = Template("x", "", "{text}:")
    shots = [({"text": f"word {number}"}, "good") for number in range(4)]
    monkeypatch.setattr(model.network.config, "max_position_embeddings", 70)
    one = asked(model, (template,))
    draws = [Draw(shots)]
    plain = prompt_scores.score(one, draws)
    assert plain[0].dropped_shots == 0
    read, plainly = [], channel.likelihoods

    def likelihoods(model, template, shots, *rest, **named):
        read.append(shots)
        return plainly(model, template, shots, *rest, **named)

    monkeypatch.setattr(channel, "likelihoods", likelihoods)
    (turned,) = channel.score(one, "tiny_reviews", draws, plain)
    assert 0 < len(read[0]) < 4
    assert read[0] == shots[: len(read[0])]
    assert np.isfinite(turned).all()


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
    for template in channel.turned("brand_tweets", found).values():
        first, middle, end = channel.turn(template, [], {"text": "a day"}, "{label}")
        assert end == " a day"
        assert (first + middle).count("{label}") >= 1


def test_a_constrained_answer_is_its_label_to_the_letter(model):
    found = prompts.load("brand_tweets", ("C", "C#", "c"), model, 20)
    assert [found.label_of(f" {word}") for word in ("C", "C#", "c")] == ["C", "C#", "c"]
    assert [found.label_of(word) for word in ("D", "", "C C#")] == ["unparsed"] * 3
