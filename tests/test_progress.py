"""What a suite's runs are at, in a terminal and in a file."""

import io
import time

import pytest

from workbench.batch.progress import ProgressDisplay


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "run.log").write_text(
        "first line\nepoch 1 of 2\r\nepoch 2 of 2: loss \x1b[31m0.1\n\n"
    )
    return tmp_path


def test_file_gets_a_line_when_a_run_begins_and_one_when_it_ends(directory):
    stream = io.StringIO()
    with ProgressDisplay(2, stream) as board:
        board.begin(0, "50_ner seed=1", directory, expected=60.0)
        board.end(0, "50_ner seed=1", "failed", "failed after 3 s; ValueError: \x1b]0;x\x07")
    begun, ended = stream.getvalue().splitlines()
    assert begun == f"[1/2] 50_ner seed=1: running, log in {directory / 'run.log'}"
    assert ended == r"[1/2] 50_ner seed=1: failed after 3 s; ValueError: \x1b]0;x\x07"


def test_terminal_gets_a_table_of_the_runs_that_go_on(directory, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with ProgressDisplay(3, stream) as board:
        board.ended["done before"] += 1
        board.begin(1, "50_ner seed=1", directory, expected=60.0)
        deadline = time.monotonic() + 20
        while "epoch 2 of 2" not in stream.getvalue():
            assert time.monotonic() < deadline, stream.getvalue()
            time.sleep(0.1)
        board.end(1, "50_ner seed=1", "succeeded", "succeeded after 3 s")
    said = stream.getvalue()
    assert "50_ner seed=1" in said
    assert "1 min 0 s" in said
    assert "1 running, 1 waiting, 1 done before" in said
    assert r"loss \x1b[31m0.1" in said, "a log can't steer the terminal"
    assert "[2/3] 50_ner seed=1: succeeded after 3 s" in said
