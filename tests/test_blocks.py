"""Blocks for cells of one's own: the examples of the guide, and what goes wrong."""

import importlib
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
from bs4 import BeautifulSoup
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import workbench as wb
from workbench import blocks, facade, tasks
from workbench.core import paths
from workbench.core.described import Described
from workbench.core.errors import DataError, ParameterError

GUIDE = (paths.ROOT / "docs" / "blocks.md").read_text(encoding="utf-8")
BLOCKS = ("score", "generate", "fit_classifier", "fit_tagger", "measure", "compare")


def test_the_guides_examples_run(reports, monkeypatch):
    monkeypatch.delenv("WORKBENCH_MODELS")
    cell: dict = {}
    for code in re.findall(r"(?s)```python\n(.*?)```", GUIDE):
        exec(code, cell)  # noqa: S102  our own document
    assert {*BLOCKS, "read", "predict", "compare_runs"} <= set(re.findall(r"wb\.(\w+)\(", GUIDE))


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_explains_itself(name):
    block = getattr(wb, name)
    assert name in dir(wb)
    told = inspect.getdoc(block)
    for argument in inspect.signature(block).parameters:
        assert argument in told or argument in {"texts", "labels", "sentences", "tags", "prompts",
                                                "contexts", "gold", "predicted", "ours", "theirs",
                                                "model", "epochs", "learning_rate", "seed",
                                                "max_tokens"}  # fmt: skip
    assert "Error" in told or name == "compare"


def test_blocks_give_the_numbers_of_a_run():
    chance = np.random.default_rng(0)
    gold = chance.choice(["a", "b", "c"], 200).tolist()
    ours = [g if chance.random() < 0.8 else "a" for g in gold]
    theirs = [g if chance.random() < 0.6 else "b" for g in gold]
    apart, one, other = (
        wb.compare(gold, ours, theirs),
        wb.measure(gold, ours),
        wb.measure(gold, theirs),
    )
    for name in ("accuracy", "macro_f1", "mcc"):
        assert apart[name].value == pytest.approx(one[name].value - other[name].value)
    wide = wb.measure(gold, ours, clusters=[place // 20 for place in range(200)])["accuracy"]
    assert wide.value == one["accuracy"].value
    assert wide.how != one["accuracy"].how


def test_entities_are_scored_as_wholes():
    gold = [["B-PER", "I-PER", "O"], ["O", "B-LOC", "O"]] * 20
    half = [["B-PER", "O", "O"], ["O", "B-LOC", "O"]] * 20
    found = wb.measure(gold, half)["entity_f1"]
    assert found.value == 0.5
    assert found.n == 40
    assert wb.compare(gold, gold, half)["entity_f1"].verdict == "better"


def test_a_chat_begins_once(tiny_decoder, monkeypatch):
    """What the tokenizer puts before any text is not there twice."""
    model, seen = tiny_decoder("llama"), []
    token = model.tokenizer.eos_token
    model.tokenizer.bos_token = token
    model.tokenizer.chat_template = "{{ bos_token }}{{ messages[0]['content'] }}:"
    monkeypatch.setattr("workbench.methods.prompts.first_token", lambda *_, **__: [0])
    monkeypatch.setattr(blocks, "_generate", lambda _, texts, **__: seen.extend(texts) or [])
    wb.generate(["Hello"], model)
    assert seen == ["Hello:"]


def test_wrong_arguments_are_said():
    with pytest.raises(ParameterError, match="lists of 2, 1 items"):
        wb.measure(["a", "b"], ["a"])
    with pytest.raises(ParameterError, match="such as 0 \\(int\\)\nexpected: labels \\(str\\)"):
        wb.measure([0, 1], [1, 1])
    with pytest.raises(ParameterError, match="'up' \\(str\\) where a list(.|\n)*compare_runs"):
        wb.compare("up", "down")
    with pytest.raises(ParameterError, match="a tag for each word"):
        wb.fit_tagger([["a", "b"]] * 10, [["O"]] * 10)
    with pytest.raises(ParameterError, match="sentences is the text 'Ada runs'(.|\n)*text.split"):
        wb.fit_tagger("Ada runs", [["O", "O"]])
    with pytest.raises(ParameterError, match=r"sentences\[0\] is 'Ada' \(str\)(.|\n)*one sentence"):
        wb.fit_tagger(["Ada", "runs"], [["O", "O"]])
    with pytest.raises(ParameterError, match=r"texts\[1\] is 3 \(int\)(.|\n)*str\(\.\.\.\)"):
        wb.fit_classifier(["a", 3], ["x", "y"])
    with pytest.raises(ParameterError, match="prompts is a dict"):
        wb.generate({"a": 1})
    with pytest.raises(ParameterError, match="model is 3"):
        wb.generate("a", 3)
    with pytest.raises(ParameterError, match="2 contexts, and lists of \\[1, 2\\]"):
        wb.score(["a", "b"], [["x"], ["y", "z"]])
    with pytest.raises(ParameterError, match="method='magic'"):
        wb.fit_classifier(["a", "b"], ["x", "y"], method="magic")
    with pytest.raises(DataError, match="one label"):
        wb.fit_classifier(["a", "b"], ["x", "x"])
    with pytest.raises(DataError, match="ten at least"):
        wb.fit_tagger([["a"]], [["O"]])
    with pytest.raises(DataError, match="tag but O"):
        wb.fit_tagger([["a"]] * 10, [["O"]] * 10)
    with pytest.raises(ParameterError, match="one kind"):
        wb.measure(["a", "b"], [["O"], ["O"]])
    with pytest.raises(DataError, match="'PER' is not IOB2"):
        wb.fit_tagger([["a"]] * 10, [["PER"]] * 10)
    with pytest.raises(ParameterError, match="unknown parameter 'epoch'(.|\n)*'epochs'"):
        wb.fit_tagger([["a"]] * 10, [["B-PER"]] * 10, epoch=3)


def test_one_text_is_a_list_of_one(tiny_decoder, monkeypatch):
    model = tiny_decoder("llama")
    assert len(wb.generate("Hello", model, max_tokens=2, chat=False)) == 1
    assert wb.score("Hello", [" a", " b"], model).shape == (1, 2)
    assert wb.score("Hello", " a", model) == wb.score(["Hello"], [" a"], model)
    folder = Path(model.source.path)
    assert wb.score("Hello", " a", folder) == wb.score("Hello", " a", str(folder))


@pytest.fixture(scope="module")
def template():
    """Data, model and result of the smallest run, as cells have them."""
    from workbench.tasks.template.config import Config

    config = wb.start("template", Config().model_dump())
    data, model = wb.load_data(config), wb.load_model(config)
    return data, model, wb.run(config, model, data)


def shown(thing):
    """What JupyterLab gets of the last line of a cell."""
    return InteractiveShell.instance().display_formatter.format(thing)[0]


LOADED = (
    "data.ner.NerData", "data.text.TextData", "data.market.Market", "data.corpus.Corpus",
    "data.bitext.Bitext", "data.dialogs.QuestionData", "data.interactions.Interactions",
    "models.encoder.Encoder", "models.causal_lm.CausalLM", "models.lexicon.Lexicon",
    "methods.asking.Models", "tasks.contest.levels.Models", "tasks.prompted_ner.run.Models",
    "tasks.pretraining.run.Models", "tasks.pretraining.run.Texts", "tasks.finance.run.MarketDays",
    "tasks.language_transfer.run.Languages", "finished.ComparedRuns", "record.result.Result",
)  # fmt: skip


@pytest.mark.parametrize("name", LOADED)
def test_what_the_five_calls_give_shows_itself(name):
    module, _, kind = f"workbench.{name}".rpartition(".")
    assert issubclass(getattr(importlib.import_module(module), kind), Described)


def test_what_a_run_is_made_of_shows_itself_as_a_last_line(template):
    for thing in template:
        found = shown(thing)
        assert found == {"text/plain": thing.describe(), "text/html": thing._repr_html_()}
        assert len(BeautifulSoup(found["text/html"], "html.parser").get_text().splitlines()) < 12
        assert not re.search(r"[; \"](color|background)", found["text/html"]), "of the theme"
    data, _, result = template
    assert "entity F1 0.667 [0.366, 0.874], n = 18" in result._repr_html_()
    assert "not saved: result.save()" in result.describe()
    assert "train" in data._repr_html_()


def test_text_of_data_is_escaped_where_it_shows_itself(template):
    result = template[2].model_copy(update={"answer": "<script>alert(1)</script>\n" * 99})
    html = result._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert "more lines" in html


def test_a_figure_of_another_task_names_those_there_are(template, reports):
    data, _, result = template
    told = "nothing to show of a result of the task template\nexpected: one of its {}: {}"
    with pytest.raises(ParameterError, match=told.format("figures", "f1_by_type")):
        wb.figures.overtaking(result)
    with pytest.raises(ParameterError, match=told.format("tables", "scores")):
        wb.tables.prompts(result)
    accurate = result.model_copy(update={"task": "contest", "main_measure": "accuracy"})
    with pytest.raises(ParameterError, match="result of the task contest"):
        wb.figures.confusion(accurate)
    with pytest.raises(ParameterError, match="result of the task template"):
        wb.figures.label_confusion(result)
    with pytest.raises(ParameterError, match="result given to wb.tables.scores is a NerData"):
        wb.tables.scores(data)
    with pytest.raises(TypeError, match="unexpected keyword"):
        wb.figures.f1_by_type(result, size=3)
    with pytest.raises(AttributeError, match="did you mean wb.figures.f1_by_type"):
        _ = wb.figures.f1_by_tipe
    with pytest.raises(ParameterError, match="unknown run 'nothing'"):
        wb.figures.f1_by_type("nothing")
    folder = result.save(str(reports / "runs" / "template-1"))
    for name in (folder, str(folder), "template-1", "templ"):
        assert wb.tables.scores(name)._repr_html_() == wb.tables.scores(result)._repr_html_()
    assert wb.compare_runs("template-1", folder).found.items == 12
    assert "12 shared items" in shown(wb.compare_runs(folder, result))["text/plain"]


def test_the_five_calls_say_what_they_were_given(template):
    from workbench.tasks.template.config import Config

    data, model, _ = template
    with pytest.raises(ParameterError, match="NerData as model and a Lexicon as data"):
        wb.run(Config(), data, model)
    for call in (wb.load_data, wb.load_model):
        with pytest.raises(ParameterError, match=r"'ner' \(str\) where the config"):
            call("ner")
    with pytest.raises(ParameterError, match=r"got 'globals' \(str\) as the notebook's names"):
        wb.start("template", "globals")


def test_every_task_has_figures_or_tables_of_its_own():
    for task in tasks.TASKS:
        found = facade.of_task("figures", task) + facade.of_task("tables", task)
        assert len(found) >= 2, task
        assert {*found} <= {*dir(wb.figures), *dir(wb.tables)}


def test_an_error_in_a_cell_is_its_message(capsys):
    shell = InteractiveShell.instance()
    shell.run_cell("import workbench as wb; wb.fit_tagger('Ada', [])")
    said = capsys.readouterr().out
    assert said.startswith("\x1b[1mParameterError\x1b[0m: sentences is the text 'Ada'\nexpected: ")
    assert len(said.splitlines()) == 3
    shell.run_cell("1 / 0")
    assert "Traceback" in capsys.readouterr().out


def test_completion_offers_what_a_researcher_needs():
    offered = {"start", "load_data", "load_model", "run", "figures", "tables", "read", "predict",
               "compare", "compare_runs", "measure", "score", "generate"}  # fmt: skip
    shell = InteractiveShell.instance()
    shell.run_cell("import workbench as wb")
    with provisionalcompleter():  # as JupyterLab asks
        found = {each.text.lstrip(".") for each in shell.Completer.completions("wb.", 3)}
    assert offered <= found == set(wb.__all__)
