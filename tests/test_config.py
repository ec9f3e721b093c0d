import re

import pytest

from workbench import flow, tasks
from workbench.batch import plan
from workbench.core import paths, sources
from workbench.core.config import names
from workbench.core.errors import ParameterError
from workbench.core.families import FAMILIES
from workbench.tasks.ner.config import Config


def test_unknown_name_is_refused_with_the_nearest_right_one():
    with pytest.raises(ParameterError, match="unknown parameter 'epoch'(.|\n)*'epochs'"):
        Config.parse({"epoch": "3"})


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ({"epochs": "many"}, "epochs='many'.*\n.*int, >= 1, <= 100"),
        ({"epochs": "0"}, "epochs='0'.*\n.*int, >= 1, <= 100"),
        ({"learning_rate": "nan"}, "learning_rate='nan'"),
        ({"learning_rate": "inf"}, "learning_rate='inf'"),
        ({"extras": "crowns"}, "extras='crowns': unknown extra"),
        ({"extras": "cassing"}, "unknown extra 'cassing'.*did you mean 'casing'"),
        ({"precision": "half"}, "precision='half'.*auto"),
    ],
)
def test_wrong_text_says_value_type_and_range(texts, says):
    with pytest.raises(ParameterError, match=says):
        Config.parse(texts)


def test_text_stays_text_and_numbers_are_read():
    config = Config.parse({"dataset": "12e4567", "epochs": "3"})
    assert (config.dataset, config.epochs) == ("12e4567", 3)


@pytest.mark.parametrize("values", [{"epochs": "3"}, {"epochs": True}, {"epochs": 2.5}])
def test_typed_values_are_not_converted(values):
    with pytest.raises(ParameterError, match="epochs"):
        Config.check(values)


@pytest.mark.parametrize(
    ("text", "found"),
    [("sp500", ["sp500"]), (" sp500 ,nasdaq,", ["sp500", "nasdaq"]), ("", []), (",", [])],
)
def test_a_parameter_may_hold_several_names(text, found):
    assert names(text) == found


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().epochs = 3


def test_start_refuses_missing_and_misspelt_names(reports):
    given = Config().model_dump()
    del given["epochs"]
    with pytest.raises(ParameterError, match="epochs"):
        flow.start("ner", given)
    for _ in range(2):  # where nothing says whether it was corrected, and the right one is missing
        with pytest.raises(ParameterError, match="did you mean 'epochs'"):
            flow.start("ner", given | {"epoch": 3})
    said = Config().model_dump() | {"epoch": 3}
    assert flow.start("ner", said), "it was named before"


def live(*cells):
    """What a kernel knows after cells were run, one after the other."""
    kernel = {"In": []}
    for cell in cells:
        kernel["In"].append(cell)
        exec(cell, kernel)  # noqa: S102  cells of this test
    return kernel


def cell(**changes):
    """The parameters' cell with some names or values changed; None leaves a line out."""
    values = Config().model_dump() | changes
    return "\n".join(f"{name} = {value!r}" for name, value in values.items() if value is not None)


def start_again(*cells, capsys):
    flow.start("ner", live(*cells))
    return capsys.readouterr().out


def test_a_corrected_typo_is_named_once_and_blocks_nothing(reports, capsys):
    wrong, right = cell(epochs=None, epoch=3), cell(epochs=3)
    for cells in ([wrong], [cell(), wrong], [right, wrong, wrong]):
        with pytest.raises(ParameterError, match="'epoch'(.|\n)*'epochs'(.|\n)*no restart"):
            flow.start("ner", live(*cells))
    said = start_again(cell(), wrong, right, capsys=capsys)
    assert said.count("note: epoch = 3 is no parameter; epochs = 3 is used") == 1


@pytest.mark.parametrize("name", ["lr", "number_of_passes", "x", "EPOCHS", "learningrate"])
def test_a_name_unlike_any_is_found_in_the_cell_of_the_parameters(reports, capsys, name):
    with pytest.raises(ParameterError, match=f"unknown parameter '{name}'"):
        flow.start("ner", live(cell(), cell(**{name: 3})))
    with pytest.raises(ParameterError, match=f"unknown parameter '{name}'"):
        flow.start("ner", live(cell(), f"{name} = 3\nepochs = 5"))
    assert start_again(cell(**{name: 3}), cell(), capsys=capsys)
    assert start_again(cell(), f"{name} = 3\nepochs = 5", "epochs = 5", capsys=capsys)


def test_what_else_a_cell_does_hides_no_name_and_a_loop_sets_none(reports, capsys):
    for line in ("batchsize: int = 5", "batchsize = 2 * 1000", "batchsize = 5\nprint(batchsize)"):
        with pytest.raises(ParameterError, match="unknown parameter 'batchsize'"):
            flow.start("ner", live(f"{cell()}\n{line}"))
    assert start_again(cell(), "for epoch in range(3): pass", capsys=capsys)
    assert flow.start("ner", live(cell()) | {"In": 5})


def test_a_variable_of_ones_own_is_asked_about_once_where_it_is_like_a_parameter(reports, capsys):
    with pytest.raises(ParameterError, match="unknown parameter 'epochs_'"):
        flow.start("ner", live(cell(), "import math", "epochs_ = math.pi"))
    said = start_again(cell(), "import math", "epochs_ = math.pi", capsys=capsys)
    assert "note: epochs_ = 3.14" in said
    assert "note" not in start_again(cell(), "x = 3", "lr = 'mine'", capsys=capsys)


def test_start_ignores_what_is_no_parameter(reports, capsys):
    config = flow.start("ner", Config().model_dump() | {"wb": flow, "_": 3, "note": "text"})
    assert config.model_dump() == Config().model_dump()
    assert "seed 0" in capsys.readouterr().out


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("task", tasks.TASKS)
def test_data_of_another_kind_is_refused_before_anything_is_loaded(task, name):
    """By a notebook in JupyterLab and by a command alike, for each parameter that names data."""
    config, family = tasks.TASKS[task].Config, FAMILIES[name]
    (notebook,) = paths.notebooks_of(task)
    readers = {
        t for t, m in tasks.TASKS.items() if any(family in of for of in m.Config.reads.values())
    }
    known = {path.stem for reader in readers for path in paths.notebooks_of(reader)}
    for field, wanted in config.reads.items():
        given = {field: name}
        if family in wanted:
            assert getattr(plan.from_texts(notebook.stem, given).config, field) == name
            continue
        with pytest.raises(
            ParameterError, match=f"{name} holds {family}\nexpected: {wanted[0]}"
        ) as one:
            flow.start(task, config().model_dump() | given)
        with pytest.raises(ParameterError) as other:
            plan.from_texts(notebook.stem, given)
        assert str(one.value) == str(other.value)
        assert set(re.findall(r"\d\d_\w+", str(one.value).partition("is read by ")[2])) == known


def test_a_model_is_no_data_set_and_the_other_way_round():
    with pytest.raises(ParameterError, match="'minilm' is a model, where a dataset is meant"):
        sources.resolve("minilm", "dataset")
    with pytest.raises(ParameterError, match="'conll2003' is a dataset, where a model is meant"):
        sources.resolve("conll2003", "model")


def test_every_parameter_that_names_data_says_which_it_reads():
    for task, module in tasks.TASKS.items():
        data = {field for field, kind in module.Config.sources.items() if kind == "dataset"}
        data &= module.Config.model_fields.keys()
        assert data - set(module.Config.reads) <= {"prompts", "item_texts"}, task


def test_start_names_the_known_tasks():
    with pytest.raises(ParameterError, match=f"one of {', '.join(tasks.TASKS)}"):
        flow.start("nerr", {})


def test_a_copied_task_that_still_has_the_others_name_is_refused(monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "mine", tasks.TASKS["template"])
    with pytest.raises(ParameterError, match="has the task 'template'(.|\n)*'mine'"):
        flow.start("mine", {"dataset": "tiny_ner", "seed": 0})
