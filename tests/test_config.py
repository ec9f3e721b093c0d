import pytest

from workbench import flow, tasks
from workbench.core.config import names
from workbench.core.errors import ParameterError
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
        ({"extras": "crowns"}, "extras='crowns'.*unknown extra"),
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
    with pytest.raises(ParameterError, match="did you mean 'epochs'"):
        flow.start("ner", Config().model_dump() | {"epoch": 3})


def test_start_ignores_what_is_no_parameter(reports, capsys):
    config = flow.start("ner", Config().model_dump() | {"wb": flow, "_": 3, "note": "text"})
    assert config.model_dump() == Config().model_dump()
    assert "seed 0" in capsys.readouterr().out


def test_start_names_the_known_tasks():
    with pytest.raises(ParameterError, match=f"one of {', '.join(tasks.TASKS)}"):
        flow.start("nerr", {})


def test_a_copied_task_that_still_has_the_others_name_is_refused(monkeypatch):
    monkeypatch.setitem(tasks.TASKS, "mine", tasks.TASKS["template"])
    with pytest.raises(ParameterError, match="has the task 'template'(.|\n)*'mine'"):
        flow.start("mine", {"dataset": "tiny_ner", "seed": 0})
