"""Forked kernels beside new ones: the same outputs, the same state of the process, and when not."""

import json
import re
import subprocess
import sys

import nbformat
import pytest
import yaml
from nbformat.v4 import new_code_cell, new_notebook

from workbench import notebooks, tasks
from workbench.batch import plan, runner, server, suite
from workbench.batch.execute import execute
from workbench.core import paths
from workbench.record import state

START = 'import workbench as wb\n\ncfg = wb.start("template", globals())'
FACTS = """
import logging, multiprocessing, os, random, re, signal, sys, threading
import datasets, evaluate, matplotlib, numpy, peft, sklearn, torch, transformers
import matplotlib.pyplot as plt

print(sys.argv[3:], sys.path, os.getcwd(), os.getsid(0) == os.getpid())
print(torch.get_num_threads(), torch.cuda.is_initialized(), torch.initial_seed())
print(matplotlib.get_backend(), matplotlib.rcParams == matplotlib.rcParamsDefault)
print([signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGCHLD, signal.SIGHUP)])
print(multiprocessing.current_process().name, multiprocessing.parent_process())
print(multiprocessing.get_start_method(), sorted(os.environ), os.environ["MPLBACKEND"])
print(sorted(re.sub("[0-9]", "", thread.name) for thread in threading.enumerate()))
print(sys.modules["__main__"].cfg is cfg, os.environ["WORKBENCH_WORD_OF_MINE"])
"""
FIGURE = "plt.plot([1, 2]);"
WORKERS = """
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map(abs, [-1]))
print([batch.tolist() for batch in torch.utils.data.DataLoader([1, 2], num_workers=1)])
"""
LOGS = """
transformers.utils.logging.get_logger("transformers").warning("said by a library")
logging.getLogger("mine").warning("said by mine")
"""
WORK = "result = wb.run(cfg, wb.load_model(cfg), wb.load_data(cfg))\nresult.save()"
CHANCE = """
import os, random, numpy, torch
links = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
print("locks", [os.readlink(link) for link in links if os.path.lexists(link)
                and os.readlink(link).endswith(".lock")])
print(random.random(), numpy.random.rand(), float(torch.rand(1)))
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_bert):
    """The same suite with forked kernels and with new ones: directories of its runs by name.

    New ones are had by a suite as well, of one run, and in this process, which saves a start each.
    """
    model = {"model": str(tiny_bert)}
    folder = tmp_path_factory.mktemp("forked")
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "NOTEBOOKS", folder / "notebooks")
        patch.setenv("WORKBENCH_WORD_OF_MINE", "kept")
        write_notebooks(folder / "notebooks")
        jobs = [
            {"notebook": "probe"},
            {"notebook": "probe", "parameters": {"seed": 1}},
            {"notebook": "ner", "parameters": tasks.TASKS["ner"].SMOKE | model},
            {"notebook": "fine_tuning", "parameters": tasks.TASKS["fine_tuning"].SMOKE | model},
        ]
        path = folder / "suite.yaml"
        for kind in ("forked", "new"):
            patch.setenv("WORKBENCH_REPORTS", str(folder / kind))
            patch.setenv(server.SWITCH, kind)
            path.write_text(yaml.safe_dump({"runs": jobs if kind == "forked" else jobs[:1]}))
            assert runner.run_suite(str(path), 1) == 0
            if kind == "new":
                path.write_text(yaml.safe_dump({"runs": jobs[2:]}))
                for job in suite.read(str(path)):
                    assert execute(plan.resolve(job)).exit_code == 0
            runs = {}
            for directory in (folder / kind / "runs").iterdir():
                seed = json.loads((directory / "params.json").read_text())["seed"]
                runs[state.read(directory)["notebook"], seed] = directory
            found[kind] = runs
    return found


def write_notebooks(folder):
    source = paths.ROOT / "notebooks"
    folder.mkdir()
    for name in ("50_ner", "20_fine_tuning"):  # of these the numbers are looked at
        content = nbformat.read(source / f"{name}.ipynb", as_version=4)
        content.cells = [cell for cell in content.cells if "wb.figures" not in cell.source]
        nbformat.write(content, folder / f"{name}.ipynb")
    first = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
    cells = [new_code_cell(first, metadata={"tags": ["parameters"]})]
    cells += [new_code_cell(c) for c in (CHANCE, START, FACTS, FIGURE, WORKERS, LOGS, WORK)]
    nbformat.write(new_notebook(cells=cells), folder / "90_probe.ipynb")


def outputs(directory):
    """What each code cell gave, printed text in one piece a stream."""
    found = []
    for cell in nbformat.read(next(directory.glob("*.ipynb")), as_version=4).cells:
        shown = {}
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                shown[output.name] = shown.get(output.name, "") + output.text
            else:
                shown.setdefault("data", []).append(output.get("data"))
        found.append(shown)
    return found


def test_state_says_which_kind_of_kernel_a_run_had(done):
    for kind, runs in done.items():
        assert len(runs) == (4 if kind == "forked" else 3)
        assert {state.read(directory)["kernel"] for directory in runs.values()} == {kind}


def test_notebook_finds_the_process_as_a_new_one_would_be(done):
    forked, new = (outputs(done[kind]["90_probe", 0]) for kind in ("forked", "new"))
    for before, after in zip(new[2:-1], forked[2:-1], strict=True):
        assert after == before
    assert "said by a library" in forked[6]["stderr"]
    assert "said by mine" in forked[6]["stderr"]
    assert "image/png" in forked[4]["data"][0]
    assert re.search(r"\[1\]\n\[\[1\], \[2\]\]", forked[5]["stdout"])


def test_forked_kernels_hold_no_lock_and_have_chances_of_their_own(done):
    said = [outputs(done["forked"]["90_probe", seed])[-7]["stdout"] for seed in (0, 1)]
    assert all(text.startswith("locks []\n") for text in said)
    drawn = [text.splitlines()[1].split() for text in said]
    assert all(one != other for one, other in zip(*drawn, strict=True))


@pytest.mark.parametrize("notebook", ["50_ner", "20_fine_tuning"])
def test_training_gives_the_same_numbers_to_the_last_bit(done, notebook):
    forked, new = (done[kind][notebook, 0] for kind in ("forked", "new"))
    assert (forked / "items.parquet").read_bytes() == (new / "items.parquet").read_bytes()
    a, b = (json.loads((directory / "result.json").read_text()) for directory in (forked, new))
    for part in ("metrics", "headline", "sources", "data_issues", "environment", "parameters"):
        assert a[part] == b[part], part


@pytest.mark.long
def test_server_leaves_nothing_that_a_fork_would_break():
    code = """if True:
        import sys, threading
        from workbench.batch import preload
        assert preload.FAILURES == []
        assert "matplotlib_inline.backend_inline" not in sys.modules
        assert not set(preload.ADDED) & set(preload.ENVIRONMENT)
        print(threading.active_count(), "thread")
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("1 thread\n", "")
