"""Faults, injected from outside: what ends a run, what it costs, and that nothing else is lost.

Each runs the command line in a process of its own. Most are forked from a server of the tests, and
so are their runs and kernels; those called with `new=True` start it as a user does. `make
test-faults` runs all, also the long ones, and prints a table.
"""

import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from workbench import notebooks
from workbench.batch import client, gpus, plan, scrub
from workbench.batch.execute import execute
from workbench.core import paths
from workbench.record import state
from workbench.record.result import Result, is_whole

START = 'import workbench as wb\n\ncfg = wb.start("template", globals())'
WORK = "result = wb.run(cfg, wb.load_model(cfg), wb.load_data(cfg))"
GOOD = (WORK, "result.save()")
DRIVER = """
import signal, sys
from pathlib import Path
from workbench import cli
from workbench.core import paths
paths.NOTEBOOKS = Path(sys.argv[1])
# A shell starts its background jobs with SIGINT ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
{before}
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[2:]))
"""
ROOT = os.geteuid() == 0


class Trial:
    """A folder of notebooks and one of reports, and the command line on both."""

    def __init__(self, folder: Path, start_forked) -> None:
        self.folder, self.reports = folder, folder / "reports"
        self._start_forked, self.marks = start_forked, set()
        self.notebooks = folder / "notebooks"
        self.notebooks.mkdir()

    def notebook(self, name: str, *cells: str) -> Path:
        source = notebooks.parameters_source(notebooks.tasks.TASKS["template"].Config)
        first = new_code_cell(source, metadata={"tags": ["parameters"]})
        cells = [first, *(new_code_cell(source) for source in (START, *cells))]
        content = new_notebook(cells=cells, metadata={"kernelspec": notebooks.KERNEL})
        path = self.notebooks / f"90_{name}.ipynb"
        nbformat.write(content, path)
        return path

    def start(self, *arguments: str, before: str = "", new: bool = False, prefix=(), **variables):
        variables = {"WORKBENCH_REPORTS": str(self.reports)} | variables
        if not new:
            before = f"paths.NOTEBOOKS = Path({str(self.notebooks)!r})\n{before}"
            process = self._start_forked(*arguments, before=before, **variables)
            self.marks.add(process.mark)
            return process
        driver = self.folder / "driver.py"  # a file: processes it starts import it as well
        driver.write_text(DRIVER.format(before=before), encoding="utf-8")
        command = [*prefix, sys.executable, str(driver)]
        return subprocess.Popen(
            [*command, str(self.notebooks), *arguments],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, timeout: float = 300, **options) -> tuple[int, str]:
        process = self.start(*arguments, **options)
        out, error = process.communicate(timeout=timeout)
        return process.returncode, out + error

    def directory(self, name: str) -> Path:
        (found,) = (self.reports / "runs").glob(f"90-{name}-*")
        return found

    def processes(self) -> list[psutil.Process]:
        """All that run for these reports, whoever their parent is."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                # What was forked has a name of its own, what was begun anew the environment.
                own = process.environ().get("WORKBENCH_REPORTS") == str(self.reports)
                if own or process.name() in self.marks:
                    found.append(process)
        return found

    def wait_until_none_is_left(self, seconds: float) -> float:
        """Seconds until no process is left; fails where some are after `seconds`."""
        began = time.monotonic()
        while left := self.processes():
            assert time.monotonic() - began < seconds, [process.cmdline() for process in left]
            time.sleep(0.05)
        return time.monotonic() - began

    def torn(self) -> list[Path]:
        """Files that a reader would take for whole and that can't be read."""
        found = []
        for path in self.reports.rglob("*"):
            if path.suffix in {".json", ".ipynb"} and not path.name.startswith("."):
                try:
                    json.loads(path.read_text(encoding="utf-8"))
                except ValueError:
                    found.append(path)
        return found


@pytest.fixture
def trial(tmp_path, start_forked):
    made = Trial(tmp_path, start_forked)
    yield made
    for process in made.processes():
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture
def seen(record_property):
    """Say what was seen, for the table."""
    return lambda text: record_property("seen", text)


@pytest.fixture
def peer(record_property):
    """Say what plain papermill and nbconvert did with the same."""
    return lambda text: record_property("peer", text)


def papermill(source: Path, target: Path, *arguments: str, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "papermill", str(source), str(target), "--no-progress-bar"]
    return subprocess.Popen(
        [*command, *arguments], cwd=source.parent, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


def statuses(path: Path) -> list[str]:
    return [cell.metadata.papermill.status for cell in nbformat.read(path, as_version=4).cells]


def bytes_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


KILL = (
    "print('before')",
    "import os, time; print(time.time()); time.sleep(1); os.kill(os.getpid(), 9)",
    "1",
)


@pytest.mark.fault(1, "a cell kills its kernel", "exit 7 within 10 s, killed, no orphan")
def test_killed_kernel(trial, seen, within):
    trial.notebook("good", *GOOD)
    assert trial.run("run", "good")[0] == 0
    before = bytes_of(trial.directory("good"))
    trial.notebook("killed", *KILL)
    code, said = trial.run("run", "killed")
    directory = trial.directory("killed")
    took = time.time() - float(re.search(r"\d{10}\.\d+", (directory / "run.log").read_text())[0])
    assert (code, state.read(directory)["status"]) == (7, "killed")
    assert "code cell 4" in said
    assert "before" in (directory / "report.html").read_text()
    assert not is_whole(directory)
    assert not trial.processes()
    assert bytes_of(trial.directory("good")) == before
    seen(f"exit {code} after {within(took, 10)}, killed in code cell 4, no orphan, earlier run "
         "unchanged")  # fmt: skip


@pytest.mark.long
@pytest.mark.fault(1, "a cell kills its kernel", "exit 7 within 10 s, killed, no orphan")
def test_killed_kernel_of_papermill(trial, peer):
    target = trial.folder / "out.ipynb"
    process = papermill(trial.notebook("killed", *KILL), target)
    process.communicate(timeout=60)
    found = statuses(target)
    assert set(found) == {"completed"}
    peer(f"exit {process.returncode}; calls {found.count('completed')} of {len(found)} cells "
         "completed, also those never run")  # fmt: skip


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))"
GROW = "held = []\nfor _ in range(400):\n    held.append(bytearray(50 << 20))"


@pytest.mark.fault(2, "memory taken until a limit", "exit 7, oom, peak memory said")
@pytest.mark.parametrize("limit", ["of the system", "of the suite"])
def test_memory(trial, seen, limit):
    trial.notebook("greedy", *([LIMITED] if limit == "of the system" else []), GROW + "\n", *GOOD)
    path = trial.folder / "suite.yaml"
    memory = "" if limit == "of the system" else ", memory_mb: 2000"
    path.write_text(f"runs: [{{notebook: greedy{memory}}}]")
    code, said = trial.run("run-all", str(path))
    facts = state.read(trial.directory("greedy"))
    assert (code, facts["status"]) == (7, "oom"), said
    assert facts["peak_mb"] > 1000
    assert "peak memory" in facts["message"]
    assert "do: lower" in facts["message"]
    seen(f"limit {limit}: exit 7, oom, peak {facts['peak_mb']:,.0f} MiB said")


def survive(trial: Trial, kills: int, seed: int, **how: bool) -> tuple[int, float]:
    """Kill the supervisor that often; return runs that were finished between, and slowest end."""
    chance = random.Random(seed)
    trial.notebook("good", *GOOD)
    began = time.monotonic()
    assert trial.run("run", "good", **how)[0] == 0
    longest = time.monotonic() - began
    undisturbed = Result.read(trial.directory("good"))
    shutil.rmtree(trial.reports)
    finished, slowest, done = 0, 0.0, 0
    while done < kills:
        process = trial.start("run", "good", **how)
        try:
            process.communicate(timeout=chance.uniform(min(0.3, longest / 20), longest))
        except subprocess.TimeoutExpired:
            process.kill()
            slowest = max(slowest, trial.wait_until_none_is_left(10))
            process.communicate()
            done += 1
            assert not trial.torn()
        else:
            assert process.returncode == 0
            assert_equal(Result.read(trial.directory("good")), undisturbed)
            finished += 1
            shutil.rmtree(trial.reports)
    assert trial.run("run", "good", **how)[0] == 0
    assert is_whole(trial.directory("good"))
    assert_equal(Result.read(trial.directory("good")), undisturbed)
    return finished + 1, slowest


def assert_equal(one: Result, other: Result) -> None:
    assert one.metrics == other.metrics
    assert one.items.equals(other.items)


KILLED = (3, "kill -9 of the supervisor at random moments", "no torn file, no orphan, equal result")


@pytest.mark.fault(*KILLED)
@pytest.mark.parametrize("kills", [6, pytest.param(100, marks=pytest.mark.long)])
def test_killed_supervisor(trial, seen, kills):
    finished, slowest = survive(trial, kills, seed=kills, new=kills == 100)
    seen(f"{kills} kills: 0 torn files, 0 orphans (all gone within {slowest:.1f} s), "
         f"{finished} of {finished} resumed runs equal to the undisturbed one")  # fmt: skip


HALF = """
import time
from workbench.batch import watch
watch.AGAIN_S = 0.5  # the interrupted run saves once more, and is interrupted again
real = Path.write_text
def write_text(path, text, **options):
    if path.name.startswith(".notebook.ipynb") and {mark!r} in text:
        real(path, text[: len(text) // 2], **options)
        Path({ready!r}).touch()
        time.sleep(600)
    return real(path, text, **options)
Path.write_text = write_text
"""
MARK = '"third\\n"'
"""How the third cell's output stands in the file, which its source does not hold."""
THREE = ("print('first')", "print('second')", "print('third')", *GOOD)


@pytest.mark.fault(4, "kill -9 while the notebook is saved", "the copy before is readable")
def test_killed_while_saving(trial, seen, wait_for):
    ready = trial.folder / "ready"
    trial.notebook("three", *THREE)
    before = HALF.format(mark=MARK, ready=str(ready))
    process = trial.start("run", "three", before=before)
    wait_for(ready.exists, process)
    process.kill()
    process.communicate()
    trial.wait_until_none_is_left(10)
    found = nbformat.read(trial.directory("three") / "notebook.ipynb", as_version=4)
    assert "second" in found.cells[3].outputs[0].text
    assert not trial.torn()
    seen("notebook readable, with the outputs of every earlier save")


PEER_HALF = """
import sys, time
from pathlib import Path
from papermill import iorw, execute_notebook
real = iorw.LocalHandler.write
def write(self, text, path):
    if {mark!r} in text:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text[: len(text) // 2])
            file.flush()
            Path({ready!r}).touch()
            time.sleep(600)
    real(self, text, path)
iorw.LocalHandler.write = write
execute_notebook(sys.argv[1], sys.argv[2], progress_bar=False)
"""


@pytest.mark.long
@pytest.mark.fault(4, "kill -9 while the notebook is saved", "the copy before is readable")
def test_papermill_killed_while_saving(trial, peer, wait_for):
    ready, target = trial.folder / "ready", trial.folder / "out.ipynb"
    code = PEER_HALF.format(mark=MARK, ready=str(ready))
    command = [sys.executable, "-c", code, str(trial.notebook("three", *THREE)), str(target)]
    process = subprocess.Popen(command, cwd=trial.notebooks)
    wait_for(ready.exists, process)
    process.kill()
    process.wait()
    with pytest.raises(ValueError, match="JSON"):
        nbformat.read(target, as_version=4)
    peer("the notebook, with all that was done before, can't be read")


@pytest.mark.fault(5, "SIGTERM, SIGINT, SIGINT twice", "exit 8, interrupted, under 25 s")
@pytest.mark.parametrize("signals", [["SIGTERM"], ["SIGINT"], ["SIGINT", "SIGINT"]])
def test_signals_to_one_run(trial, seen, within, signals, wait_for):
    ready = trial.folder / "ready"
    wait = f"from pathlib import Path; Path({str(ready)!r}).touch(); import time; time.sleep(600)"
    trial.notebook("long", wait, *GOOD)
    process = trial.start("run", "long", new=signals == ["SIGINT"])
    wait_for(ready.exists, process)
    began = time.monotonic()
    for name in signals:
        process.send_signal(getattr(signal, name))
        time.sleep(0.3)
    process.communicate(timeout=60)
    took = time.monotonic() - began
    assert process.returncode == 8
    assert state.read(trial.directory("long"))["status"] == "interrupted"
    trial.wait_until_none_is_left(10)
    seen(f"{' '.join(signals)}: exit 8 after {within(took, 25)}, interrupted, no orphan")


HOLDS = "import re\nre.match(r'(a|a)+$', 'a' * 40 + 'b')"


@pytest.mark.fault(
    6, "endless loop; endless C call that holds the GIL", "exit 6 by deadline + 15 s"
)
@pytest.mark.parametrize(
    "cell",
    ["while True: pass", pytest.param(HOLDS, marks=pytest.mark.long)],
    ids=["loop", "C call"],
)
def test_endless_cell(trial, seen, within, cell):
    trial.notebook("endless", f"import time; print(time.time())\n{cell}", "print('never')")
    path = trial.folder / "suite.yaml"
    limit = 3 if cell != HOLDS else 8
    path.write_text(f"runs: [{{notebook: endless, timeout_s: {limit}}}]")
    code, said = trial.run("run-all", str(path), new=cell == HOLDS)
    directory = trial.directory("endless")
    began = float(re.search(r"\d{10}\.\d+", (directory / "run.log").read_text())[0])
    over = time.time() - began - limit
    assert code == 6, said
    assert "code cell 3" in said
    assert not trial.processes()
    kind = "loop" if "True" in cell else "C call"
    seen(f"{kind}: exit 6, {within(over, 15)} after the deadline")


@pytest.mark.long
@pytest.mark.fault(
    6, "endless loop; endless C call that holds the GIL", "exit 6 by deadline + 15 s"
)
def test_endless_cell_of_papermill(trial, peer):
    source, target = trial.notebook("endless", "while True: pass", "1"), trial.folder / "out.ipynb"
    with pytest.raises(subprocess.TimeoutExpired):
        process = papermill(source, target)
        process.communicate(timeout=20)
    process.terminate()
    process.communicate(timeout=60)
    process = papermill(source, target, "--execution-timeout", "4")
    process.communicate(timeout=60)
    assert set(statuses(target)) == {"completed"}
    peer(f"goes on for ever; with a timeout exit {process.returncode}, all cells called completed")


def kernelspec(folder: Path, *command: str) -> str:
    (folder / "kernels" / "python3").mkdir(parents=True)
    spec = {"argv": list(command), "display_name": "bad", "language": "python"}
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    return str(folder)


@pytest.mark.fault(
    7, "a kernel that does not start, or too slowly", "exit 9, named, 2 retries at most"
)
def test_kernel_that_does_not_start(trial, seen):
    trial.notebook("good", *GOOD)
    code, said = trial.run("run", "good", JUPYTER_PATH=kernelspec(trial.folder / "j", "false"))
    assert code == 9, said
    assert "the kernel 'python3' did not start" in said
    assert state.read(trial.directory("good"))["attempts"] == 3
    slow = kernelspec(trial.folder / "k", "sh", "-c", "sleep 200")
    code, late = trial.run(
        "run", "good", JUPYTER_PATH=slow,
        before="from workbench.batch import kernel; kernel.START_TIMEOUT_S = 2",
    )  # fmt: skip
    assert code == 9, late
    assert "the kernel 'python3' did not start" in late
    assert state.read(trial.directory("good"))["attempts"] == 1
    assert not trial.processes()
    assert trial.run("run", "good")[0] == 0
    seen("exit 9, kernel named, 3 attempts in all where it died, 1 where it hung; then works again")


@pytest.mark.fault(8, "two starters of the same run", "one runs, the other exits 8, one result")
def test_two_starters(trial, seen):
    ready = trial.folder / "ready"
    wait = f"import time\nwhile not __import__('os').path.exists({str(ready)!r}): time.sleep(0.1)"
    trial.notebook("good", wait, *GOOD)
    starters = [trial.start("run", "good") for _ in range(2)]
    began = time.monotonic()
    while all(process.poll() is None for process in starters):
        assert time.monotonic() - began < 120
        time.sleep(0.05)
    ready.touch()  # one has ended while the other is at the run
    said = [process.communicate(timeout=120) for process in starters]
    codes = sorted(process.returncode for process in starters)
    assert codes == [0, 8], said
    assert "already running" in "".join(text for pair in said for text in pair)
    assert is_whole(trial.directory("good"))
    seen("exits 0 and 8, one whole result")


@pytest.mark.fault(41, "two run-all of one suite at once", "each waits for the other; both exit 0")
def test_two_suites_at_once(trial, seen):
    trial.notebook("one", "import time; time.sleep(1)", *GOOD)
    trial.notebook("two", "import time; time.sleep(1)", *GOOD)
    path = trial.folder / "suite.yaml"
    path.write_text(
        "runs: [{notebook: one}, {notebook: two, grid: {dataset: [tiny_ner, ' tiny_ner']}}]"
    )
    starters = [trial.start("run-all", str(path)) for _ in range(2)]
    said = [process.communicate(timeout=300) for process in starters]
    assert [process.returncode for process in starters] == [0, 0], said
    both = "".join(text for pair in said for text in pair)
    assert both.count("left out, the same run as 90_two") == 2
    assert "its result is waited for" in both
    assert not re.search(r"\d \w+ +failed", both)
    runs = list((trial.reports / "runs").iterdir())
    assert len(runs) == 2
    assert all(map(is_whole, runs))
    seen("both exit 0, two results, each run executed once")


@pytest.mark.long
@pytest.mark.fault(9, "8 notebooks at once, 5 rounds, other load beside", "40 of 40")
def test_many_at_once(trial, seen):
    for number in range(8):
        trial.notebook(f"n{number}", f"print({number})", *GOOD)
    path = trial.folder / "suite.yaml"
    path.write_text("runs: [" + ", ".join(f"{{notebook: n{n}}}" for n in range(8)) + "]")
    load = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    good = 0
    try:
        for _ in range(5):
            code, said = trial.run("run-all", str(path), "--jobs", "8", timeout=900, new=True)
            assert code == 0, said
            good += sum(is_whole(found) for found in (trial.reports / "runs").iterdir())
            shutil.rmtree(trial.reports)
    finally:
        for process in load:
            process.kill()
            process.wait()
    assert good == 40
    seen(f"{good} of 40, every core busy with something else as well")


MORTAL = """
import os
from pathlib import Path
from workbench.training import checkpoints

checkpoints.EVERY_S, save = 0.0, checkpoints.Checkpoints.save

def mortal(*arguments):
    save(*arguments)
    died = Path(os.environ["WORKBENCH_TRIAL"])
    if arguments[1].steps == 5 and not died.exists():
        died.touch()
        os.kill(os.getpid(), 9)

checkpoints.Checkpoints.save = mortal
"""


@pytest.mark.fault(13, "kill -9 while a run in batch trains", "it goes on, equal result")
def test_training_killed_in_batch_goes_on_from_its_checkpoint(trial, seen, tiny_bert):
    path = trial.notebook("mortal", MORTAL, *GOOD)
    content = nbformat.read(path, as_version=4)
    content.cells[0].source = notebooks.parameters_source(notebooks.tasks.TASKS["ner"].Config)
    content.cells[1].source = START.replace('"template"', '"ner"')
    nbformat.write(content, path)
    asked = ["run", "mortal"]
    settings = ("dataset=tiny_ner", "transfer=", "epochs=2", "batch_tokens=100")
    for setting in (*settings, f"model={tiny_bert}"):
        asked += ["--set", setting]
    whole = trial.folder / "whole"
    died = {"WORKBENCH_TRIAL": str(trial.folder / "died")}
    code, said = trial.run(*asked, **died)
    assert code == 7, said
    directory = trial.directory("mortal")
    assert state.read(directory)["status"] == "killed"
    assert (directory / "checkpoints").is_dir()
    code, said = trial.run(*asked, **died)
    assert code == 0, said
    assert "going on after step 5, from a checkpoint" in (directory / "run.log").read_text()
    assert not (directory / "checkpoints").exists()
    code, said = trial.run(*asked, **died, WORKBENCH_REPORTS=str(whole))
    assert code == 0, said
    (undisturbed,) = (whole / "runs").iterdir()
    assert_equal(Result.read(directory), Result.read(undisturbed))
    seen("killed after step 5, went on there; equal to an undisturbed run, to the bit")


@contextlib.contextmanager
def small_disk(folder: Path, options: str):
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        check=False, capture_output=True,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"can't mount a file system here: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


NO_MINIMUM = "from workbench.batch import execute; execute.MIN_FREE_BYTES = 0"
FILL = """
import os
kept = open(os.environ["WORKBENCH_RUN_DIRECTORY"] + "/filler", "wb", buffering=0)
try:
    while True:
        kept.write(bytes(1 << 16))
except OSError:
    print("full" * 40_000)
"""
FULL = (10, "disk full: 20 MB for reports", "exit 9, bytes named, old results intact")


@pytest.mark.skipif(not shutil.which("mount") or not ROOT, reason="only root can make a small disk")
@pytest.mark.fault(*FULL)
def test_full_disk(trial, seen):
    trial.notebook("good", *GOOD)
    trial.notebook("filler", FILL, *GOOD)
    with small_disk(trial.reports, "size=20m"):
        code, said = trial.run("run", "good")
        assert code == 9
        assert re.search(r"[\d,]+ bytes free\nexpected: 1,073,741,824 bytes", said)
        assert trial.run("run", "good", before=NO_MINIMUM)[0] == 0
        before = bytes_of(trial.directory("good"))
        code, said = trial.run("run", "filler", before=NO_MINIMUM)
        assert code == 9, said
        assert "No space left" in said
        assert bytes_of(trial.directory("good")) == before
        assert state.read(trial.directory("filler"))["status"] == "failed"
        trial.notebook("filler", *GOOD)
        assert trial.run("run", "filler", before=NO_MINIMUM)[0] == 0
    seen("exit 9 before the start with free and needed bytes; filled in the middle of a run: "
         "exit 9, the earlier run byte-equal, works again once there is space")  # fmt: skip


@pytest.mark.long
@pytest.mark.skipif(not ROOT, reason="only root can make a small disk")
@pytest.mark.fault(*FULL)
def test_papermill_on_a_full_disk(trial, peer):
    target = trial.reports / "out.ipynb"
    trial.reports.mkdir()
    # A file that may grow to 4 kB only stands for the full disk.
    source = trial.notebook("good", "print('x' * 20_000)")
    papermill(source, target).communicate(timeout=60)
    assert statuses(target)
    process = papermill(
        source, target,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    process.communicate(timeout=60)
    with pytest.raises(ValueError, match="JSON"):
        nbformat.read(target, as_version=4)
    peer(f"exit {process.returncode}; the old result is destroyed: {target.stat().st_size:,} bytes "
         "that can't be read")  # fmt: skip


@pytest.mark.skipif(not ROOT, reason="only root can make a file system read-only")
@pytest.mark.fault(11, "read-only reports; read-only HOME", "exit 9 with the path; HOME works")
def test_read_only_places(trial, seen):
    trial.notebook("good", *GOOD)
    with small_disk(trial.reports, "ro"):
        code, said = trial.run("run", "good")
    assert code == 9, said
    assert str(trial.reports) in said
    assert "Read-only file system" in said
    trial.reports.rmdir()
    home = trial.folder / "home"
    with small_disk(home, "ro"):
        code, said = trial.run("run", "good", HOME=str(home), new=True)
    assert code == 0, said
    seen("exit 9 with the path; a read-only HOME makes no difference")


CUT = "import ctypes\nassert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET"


@pytest.mark.skipif(not ROOT or not shutil.which("unshare"), reason="only root can cut the network")
@pytest.mark.fault(15, "no network at all", "offline notebooks pass; a Hub name fails within 3 s")
def test_no_network(trial, seen, within):
    trial.notebook("good", *GOOD)
    online = {"HF_HUB_OFFLINE": "0"}
    code, said = trial.run("run", "good", before=CUT, **online)
    assert code == 0, said
    began = time.monotonic()
    code, said = trial.run(
        "run", "ner", "--set", "model=hf:google-bert/bert-base-cased", prefix=("unshare", "--net"),
        before="paths.NOTEBOOKS = paths.ROOT / 'notebooks'", new=True, **online,
    )  # fmt: skip
    took = time.monotonic() - began
    assert code in {3, 4, 9}, said
    assert "bert-base-cased" in said
    seen(f"passes; a Hub name: exit {code} after {within(took, 3)}, start of Python counted")


@pytest.mark.skipif(bool(gpus.visible()), reason="there is a GPU here")
@pytest.mark.fault(23, "no GPU; none visible; a driver that fails", "CPU, said; exit 9 if required")
@pytest.mark.parametrize(
    "visible", [None, *(pytest.param(one, marks=pytest.mark.long) for one in ("", "broken"))]
)
def test_no_gpu(trial, seen, visible):
    trial.notebook("good", *GOOD)
    tools = trial.folder / "tools"
    tools.mkdir()
    (tools / "nvidia-smi").write_text(
        "#!/bin/sh\necho 'driver/library version mismatch' >&2\nexit 18\n"
    )
    (tools / "nvidia-smi").chmod(0o755)
    environment = {} if visible != "broken" else {"PATH": f"{tools}:{os.environ['PATH']}"}
    environment |= {"CUDA_VISIBLE_DEVICES": ""} if visible == "" else {}
    environment |= {"new": True} if visible == "" else {}
    code, said = trial.run("run", "good", "--require-gpu", **environment)
    assert code == 9, said
    assert "no GPU" in said
    assert not trial.reports.exists()
    assert trial.run("run", "good", **environment)[0] == 0
    assert "threads" in (trial.directory("good") / "run.log").read_text()
    seen("runs on the processor and says so; --require-gpu: exit 9 before a kernel starts")


TYPOS = ["epoch=1", "seed=x", "seed=-1", "seed=1.5", "seed=nan", "seed=false"]


@pytest.mark.fault(25, "parameters: a typo, a wrong type, out of range", "exit 2 before a kernel")
def test_wrong_parameters(trial, seen):
    trial.notebook("good", *GOOD)
    for text in TYPOS:
        code, said = trial.run("run", "good", "--set", text)
        assert code == 2, text
        assert text.partition("=")[0] in said
    assert not trial.reports.exists()
    seen(f"{len(TYPOS)} of {len(TYPOS)}: exit 2, no kernel, the nearest right name or the range")


@pytest.mark.long
@pytest.mark.fault(25, "parameters: a typo, a wrong type, out of range", "exit 2 before a kernel")
def test_wrong_parameters_of_papermill(trial, peer):
    source, target = trial.notebook("good", "print(seed)"), trial.folder / "out.ipynb"
    codes = []
    for text in ("sede=1", "seed=x"):
        process = papermill(source, target, "-p", *text.split("="))
        process.communicate(timeout=60)
        codes.append(process.returncode)
    assert codes[0] == 0
    peer(f"a typo: exit {codes[0]}, a line in the log; a text for a number: exit {codes[1]}")


HOSTILE = [
    "a = 1; open({canary!r}, 'w').write('x'); b=1",
    "seed=__import__('os').system('touch {canary}')",
    "import=1",
    "dataset=../../{canary}",
    "dataset={{x.__class__}}",
]


@pytest.mark.fault(26, "parameters that hold code or leave their place", "exit 2 or 3, no code run")
def test_parameters_with_code(trial, seen):
    canary = trial.folder / "canary"
    trial.notebook("good", *GOOD)
    for text in HOSTILE:
        code, said = trial.run("run", "good", "--set", text.format(canary=str(canary)))
        assert code in {2, 3}, said
    path = trial.folder / "suite.yaml"
    name = f"a = 1; open({str(canary)!r}, 'w').write('x'); b"
    path.write_text(json.dumps({"runs": [{"notebook": "good", "parameters": {name: 1}}]}))
    assert trial.run("run-all", str(path))[0] == 2
    assert not canary.exists()
    assert not trial.reports.exists()
    seen(f"{len(HOSTILE) + 1} of {len(HOSTILE) + 1} refused, canary not created")


@pytest.mark.long
@pytest.mark.fault(26, "parameters that hold code or leave their place", "exit 2 or 3, no code run")
def test_parameters_with_code_in_papermill(trial, peer):
    canary = trial.folder / "canary"
    name = f"a = 1; open({str(canary)!r}, 'w').write('x'); b"
    source, target = trial.notebook("good", "1"), trial.folder / "out.ipynb"
    process = papermill(source, target, "-y", json.dumps({name: 1}))
    process.communicate(timeout=60)
    assert canary.exists()
    peer(f"exit {process.returncode}; the code is run")


SECRETS = {
    "MY_API_KEY": "planted-value-0001",
    "DB_PASSWORD": 'quoted"and\\slashed-0002',
    "SOME_TOKEN": "hf_" + "aB3" * 12,
}
SHAPED = ["ghp_" + "Zx9" * 12, "AKIA" + "QWERTYUIOP123456", "sk-" + "abcDEF123" * 4]


SAY = """
for text in leaked:
    print(text)
    display({"text/html": text, "text/plain": text}, raw=True)
"""
SPELL = """
import time
for text in leaked:
    for letter in text:
        print(letter, end="", flush=True)
        time.sleep(0.01)
    print()
"""
"""Letter by letter, so that no message from the kernel holds a whole secret."""


@pytest.mark.fault(28, "secrets in the environment, printed, in a traceback", "none in any file")
def test_planted_secrets(trial, seen):
    parts = ", ".join(repr([text[:9], text[9:]]) for text in [*SECRETS.values(), *SHAPED])
    leak = f"leaked = [a + b for a, b in [{parts}]]"
    trial.notebook("leaky", leak, SAY, SPELL, "raise ValueError(' '.join(leaked))")
    code, said = trial.run("run", "leaky", **SECRETS)
    assert code == 5
    planted = [*SECRETS.values(), *SHAPED]
    planted += [json.dumps(text)[1:-1] for text in planted]
    texts = {path: path.read_text(encoding="utf-8") for path in trial.reports.rglob("*.*")
             if path.suffix in {".ipynb", ".html", ".log", ".json", ".jsonl"}}  # fmt: skip
    texts[Path("terminal")] = said
    places = [(path.name, text) for text in planted for path in texts if text in texts[path]]
    assert not places
    assert "***" in (trial.directory("leaky") / "run.log").read_text()
    found = state.read(trial.directory("leaky"))["secrets"]
    assert found >= 4 * len(SECRETS | dict.fromkeys(SHAPED))
    seen(f"0 of {len(SECRETS) + len(SHAPED)} in notebook, page, log, records, terminal; "
         f"{found} places masked")  # fmt: skip


@pytest.mark.long
@pytest.mark.fault(
    36, "the clock jumps back an hour; TZ and LANG=C", "durations right, results equal"
)
def test_clock_and_place(trial, seen):
    jump = "import time\nreal = time.time\ntime.time = lambda: real() - 3600"
    trial.notebook("good", *GOOD)
    assert trial.run("run", "good", TZ="UTC", new=True)[0] == 0
    there = Result.read(trial.directory("good"))
    shutil.rmtree(trial.reports)
    before = "import threading, time\nreal = time.time\nbegan = real()\n" + (
        "time.time = lambda: real() - (3600 if real() > began + 3 else 0)"
    )
    code, said = trial.run(
        "run", "good", before=before, new=True, TZ="Pacific/Auckland", LANG="C", LC_ALL="C"
    )
    assert code == 0, said
    here = Result.read(trial.directory("good"))
    assert_equal(here, there)
    assert 0 < here.cost.seconds < 300
    trial.notebook("jumps", jump, *GOOD)
    assert trial.run("run", "jumps", new=True)[0] == 0
    jumped = Result.read(trial.directory("jumps"))
    assert jumped.metrics == there.metrics
    assert 0 < jumped.cost.seconds < 300
    assert state.read(trial.directory("jumps"))["seconds"] > 0
    seen("durations monotonic, results equal")


@pytest.mark.fault(
    1, "the same in forked kernels: killed, endless, leaking", "each said, no orphan"
)
def test_faults_in_forked_kernels(trial, seen):
    trial.notebook("killed", *KILL)
    trial.notebook("endless", "while True: pass")
    trial.notebook("leaky", "print('planted-' + 'value-0001')", "1 / 0")
    trial.notebook("good", *GOOD)
    names = ("killed", "endless", "leaky", "good")
    suite = ", ".join(f"{{notebook: {name}, timeout_s: 4}}" for name in names)
    path = trial.folder / "suite.yaml"
    path.write_text(f"runs: [{suite}]")
    code, said = trial.run("run-all", str(path), new=True, **SECRETS)
    facts = [state.read(trial.directory(name)) for name in names]
    assert [found["status"] for found in facts] == ["killed", "timeout", "failed", "succeeded"]
    assert {found["kernel"] for found in facts} == {"forked"}
    assert code == 7, said
    log = (trial.directory("leaky") / "run.log").read_text()
    assert "***" in log
    assert "planted-value-0001" not in log
    trial.wait_until_none_is_left(10)
    seen("killed, timeout, failed, succeeded; no orphan; the secret masked")


STARTING = (5, "the first process ends while the server of kernels starts", "no run begins")


@pytest.mark.fault(*STARTING)
@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGKILL, marks=pytest.mark.long)]
)
def test_end_while_the_server_starts(trial, seen, number):
    trial.notebook("good", *GOOD)
    path = trial.folder / "suite.yaml"
    path.write_text("runs: [{notebook: good, seeds: [0, 1]}]")
    process = trial.start("run-all", str(path), new=True)
    began = time.monotonic()
    while not any("forkserver" in " ".join(p.cmdline()) for p in trial.processes()):
        assert process.poll() is None
        assert time.monotonic() - began < 60
        time.sleep(0.05)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == (8 if number == signal.SIGINT else -number)
    trial.wait_until_none_is_left(20)
    assert not list(trial.reports.glob("runs/*/state.json"))
    seen(f"{signal.Signals(number).name}: no run began, no process left")


FLOOD = "line = 'x' * 99\nfor _ in range(20):\n    print('\\n'.join([line] * 100_000))"
PROGRESS = "for n in range(50_000):\n    print(f'\\rstep {n} of 50,000', end='', flush=True)"


@pytest.mark.long
@pytest.mark.fault(37, "a cell prints 200 MB; 50,000 progress updates", "under the caps, marked")
def test_floods(trial, seen):
    trial.notebook("flood", FLOOD, "print('after')", PROGRESS, *GOOD)
    began = time.monotonic()
    code, said = trial.run("run", "flood", timeout=600, new=True)
    took = time.monotonic() - began
    assert code == 0, said
    directory = trial.directory("flood")
    sizes = {name: (directory / name).stat().st_size / 1e6
             for name in ("notebook.ipynb", "run.log", "report.html")}  # fmt: skip
    assert sizes["notebook.ipynb"] < 5
    assert sizes["run.log"] < 1.1 * client.MAX_LOG / 1e6
    assert sizes["report.html"] < 2
    cells = nbformat.read(directory / "notebook.ipynb", as_version=4).cells
    printed = "".join(output.text for output in cells[2].outputs)
    assert printed.startswith("xxx")
    assert printed.rstrip().endswith("xxx")
    assert re.search(r"\[19[\d,]+ characters of printed output were cut here\]", printed)
    assert cells[4].outputs[0].text.strip() == "step 49999 of 50,000"
    log = (directory / "run.log").read_text()
    assert re.search(r"cell 3: 19[\d,]+ characters of printed output were cut", log)
    assert re.search(r"this log ends here: \d[\d,]+ more characters were printed", log)
    seen(f"notebook {sizes['notebook.ipynb']:.1f} MB, log {sizes['run.log']:.0f} MB, page "
         f"{sizes['report.html']:.1f} MB, both say what was cut; {took:.0f} s in all")  # fmt: skip


@pytest.mark.long
@pytest.mark.fault(37, "a cell prints 200 MB; 50,000 progress updates", "under the caps, marked")
def test_floods_of_papermill(trial, peer):
    source = trial.notebook("flood", FLOOD, "print('after')", PROGRESS)
    target = trial.folder / "out.ipynb"
    began = time.monotonic()
    process = papermill(source, target)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=300)
    took = time.monotonic() - began
    process.kill()
    process.communicate()
    size = target.stat().st_size / 1e6
    assert size > 100
    peer(f"notebook of {size:.0f} MB, written again at each save; "
         f"{'stopped after' if took > 299 else 'done in'} {took:.0f} s")  # fmt: skip


CLEARED = """
from IPython.display import clear_output
for n in range(300):
    clear_output(wait=True)
    print("x" * 10_000, n)
"""


def test_what_is_shown_in_place_of_another_is_not_cut(trial):
    trial.notebook("live", CLEARED, "raise ValueError('y' * 1_000_000)")
    code, said = trial.run("run", "live")
    assert code == 5
    assert len(said) < 10_000
    notebook = nbformat.read(trial.directory("live") / "notebook.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.source == CLEARED)
    assert cell.outputs[0].text.rstrip().endswith("x 299")
    assert (trial.directory("live") / "notebook.ipynb").stat().st_size < 300_000


BEHIND = """
import time
from workbench.batch import client
real = client.Client.process_message
def process_message(self, *message):
    time.sleep(0.001)
    return real(self, *message)
client.Client.process_message = process_message
"""
AHEAD = """
import zmq
from IPython.display import clear_output
for n in range(5000):
    clear_output(wait=True)
    print(n, flush=True)
print(get_ipython().kernel.iopub_thread.socket.getsockopt(zmq.SNDHWM))
"""


def test_a_kernel_far_ahead_of_its_reader_loses_no_message(trial):
    trial.notebook("ahead", AHEAD, *GOOD)
    code, said = trial.run("run", "ahead", before=BEHIND)
    assert code == 0, said
    notebook = nbformat.read(trial.directory("ahead") / "notebook.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.source == AHEAD)
    assert cell.outputs[0].text.split() == ["4999", "0"]


def test_where_one_stands_is_no_secret(monkeypatch):
    monkeypatch.setenv("PWD", "/srv/research/project")
    monkeypatch.setenv("MYSQL_PWD", "not-to-be-seen")
    shown = scrub.of_environment().shown("in /srv/research/project with not-to-be-seen")
    assert shown == "in /srv/research/project with ***"


def test_a_cell_that_prints_under_the_cap_keeps_everything():
    printed, outputs = client.Printed(), []
    for number in range(3000):
        printed.add(outputs, "stdout" if number % 7 else "stderr", f"line {number}\n")
    text = "".join(output.text for output in outputs)
    assert text == "".join(f"line {number}\n" for number in range(3000))
    assert not printed.close(outputs)


def test_run_that_another_process_has_done_is_left_as_it_is(trial, monkeypatch, execute_forked):
    monkeypatch.setattr(paths, "NOTEBOOKS", trial.notebooks)
    monkeypatch.setenv("WORKBENCH_REPORTS", str(trial.reports))
    trial.notebook("good", *GOOD)
    run = plan.resolve(plan.from_texts("good", {}))
    assert execute_forked(run).status == "succeeded"
    before = bytes_of(run.directory)
    outcome = execute(run)
    assert (outcome.status, outcome.exit_code) == ("succeeded", 0)
    assert bytes_of(run.directory) == before
