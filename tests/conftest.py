"""Fixtures shared by all tests. Tests reach no network: the Hub is off, or a stand-in of ours."""

import contextlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["WORKBENCH_MODELS"] = "none"
if "PYTEST_XDIST_WORKER" in os.environ:  # two at a time: a core for each, and what it starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import psutil
import pytest
import torch

from workbench.batch import child, server
from workbench.core import paths, sources
from workbench.data import ner
from workbench.data.conll import read

WORDPIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SENTIMENTS = ("negative", "neutral", "positive")


@pytest.fixture
def reports(tmp_path, monkeypatch) -> Path:
    """An empty reports folder, for this process and those it starts."""
    folder = tmp_path / "reports"
    monkeypatch.setenv("WORKBENCH_REPORTS", str(folder))
    return folder


@pytest.fixture
def workbench():
    """Call the command line as a user does."""

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "workbench", *arguments],
            env=os.environ | environment,
            cwd=paths.ROOT,
            text=True,
            capture_output=True,
            timeout=300,
            check=False,
        )

    return call


@pytest.fixture
def wait_for():
    """Wait until something is so while a process goes on."""

    def wait(so, process: subprocess.Popen, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while not so():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)

    return wait


@pytest.fixture
def until_training(reports, wait_for):
    """Wait until so many runs of a process train; return all that it has started."""
    started = []

    def wait(process: subprocess.Popen, runs: int) -> list[psutil.Process]:
        wait_for(lambda: len(list(reports.glob("runs/*/metrics.jsonl"))) >= runs, process)
        own = psutil.Process(process.pid)
        started.extend([own, *own.children(recursive=True)])
        return started[1:]

    yield wait
    for left in started:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.kill()


@pytest.fixture(scope="session")
def decoder_tokenizer():
    """That of the real decoder."""
    from workbench.models.causal_lm import CausalLM

    return CausalLM(sources.resolve("smollm2", "model")).tokenizer


@pytest.fixture
def tiny_decoder(tmp_path, decoder_tokenizer):
    """Make a random decoder of an architecture, with the tokenizer of the real one."""
    from transformers import AutoConfig, AutoModelForCausalLM

    from workbench.models.causal_lm import CausalLM

    def make(kind: str, **changes: int) -> CausalLM:
        tokenizer = decoder_tokenizer
        small = {
            "vocab_size": len(tokenizer), "hidden_size": 32, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 64,
            "max_position_embeddings": 256,
        }  # fmt: skip
        more = {
            "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256},
            "gemma3_text": {"head_dim": 8, "sliding_window": 128, "query_pre_attn_scalar": 8},
            "mistral": {"sliding_window": 128},
            "llama-tied": {"tie_word_embeddings": True},
            "qwen3": {"head_dim": 8},
            "gemma2": {"head_dim": 8, "sliding_window": 128, "final_logit_softcapping": 0.5},
            "granite": {"logits_scaling": 8.0},
            "gpt_neo": {
                "num_layers": 2,
                "num_heads": 4,
                "attention_types": [[["global", "local"], 1]],
                "window_size": 16,
            },
            "cohere": {"logit_scale": 0.25},
        }
        values = small | more.get(kind, {}) | changes
        config = AutoConfig.for_model(kind.removesuffix("-tied"), **values)
        torch.manual_seed(0)
        AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return CausalLM(sources.resolve(str(tmp_path), "model"))

    return make


@pytest.fixture(scope="session")
def tiny_decoder_folder(tmp_path_factory, decoder_tokenizer) -> Path:
    """A folder with a two-layer Llama of fixed random weights and the real decoder's tokenizer."""
    from transformers import AutoModelForCausalLM, LlamaConfig

    folder = tmp_path_factory.mktemp("tiny-decoder")
    config = LlamaConfig(
        vocab_size=len(decoder_tokenizer), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=2048, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    decoder_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def varied_decoder_folder(tmp_path_factory, decoder_tokenizer) -> Path:
    """A folder with a two-layer Llama whose answers vary with the text and often name a sentiment.

    Its weights are random and large, so that a text changes its scores by nats. Of the head's rows
    those of the sentiments' words and of what ends an answer are larger than the others.
    """
    from transformers import AutoModelForCausalLM, LlamaConfig

    folder = tmp_path_factory.mktemp("varied-decoder")
    config = LlamaConfig(
        vocab_size=len(decoder_tokenizer), hidden_size=32, intermediate_size=64,
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=2048, tie_word_embeddings=False, initializer_range=0.3,
    )  # fmt: skip
    torch.manual_seed(0)
    network = AutoModelForCausalLM.from_config(config)
    words = [f"{space}{word}" for word in SENTIMENTS for space in ("", " ")]
    with torch.no_grad():
        head = network.lm_head.weight.mul_(1 / 15)
        head[[decoder_tokenizer.encode(word)[0] for word in words]] *= 10
        head[[decoder_tokenizer.eos_token_id, *decoder_tokenizer.encode("\n")]] *= 25
    network.save_pretrained(folder)
    decoder_tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def conll2003():
    """CoNLL-2003, which takes seconds to load; nobody changes it."""
    return ner.load("conll2003")


@pytest.fixture(scope="session", autouse=True)
def one_server():
    """Suites of tests keep one server of kernels, which takes seconds to start; it ends last."""

    @contextlib.contextmanager
    def kept(environment, runs):
        if not server.possible():
            yield multiprocessing.get_context("spawn")
        else:
            yield server.start(environment)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "processes", kept)
        yield
    server.stop()


@pytest.fixture(scope="session")
def execute_forked():
    """Execute a run in a forked kernel, in a process of its own; seconds less than a new one."""

    def call(run, **options):
        processes = server.start(os.environ)
        return child.Child.start(run, dict(os.environ), processes, **options).outcome()

    return call


COMMAND = """
import ctypes, multiprocessing, os, signal, sys
from pathlib import Path
for number, path in enumerate(printed, 1):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
ctypes.CDLL(None).prctl(15, mark.encode())  # PR_SET_NAME: what is forked from here has it too
os.environ.clear()
os.environ.update(environment)
from workbench import cli
from workbench.batch import server
from workbench.core import paths
os.chdir(paths.ROOT)
spawn, fork = (multiprocessing.get_context(kind) for kind in ("spawn", "fork"))
spawn.Process, server.possible = fork.Process, lambda: False
signal.signal(signal.SIGINT, signal.default_int_handler)
{before}
sys.exit(cli.main(arguments))
"""
"""The command line in a process forked from the server; it forks its runs in turn."""


class ForkedCommand:
    """The command line in a process that starts with everything imported, as a `Popen`.

    Its runs are forked from it, for it has no thread, and their kernels from them. All of them have
    the name `mark`, whoever their parent is.
    """

    def __init__(self, folder: Path, arguments: tuple[str, ...], before: str, environment: dict):
        place = Path(tempfile.mkdtemp(prefix="command-", dir=folder))
        self.mark = f"wb-{place.name[-8:]}"
        self.printed = [place / "out", place / "error"]
        values = {
            "printed": list(map(str, self.printed)), "mark": self.mark,
            "environment": os.environ | environment, "arguments": list(arguments),
        }  # fmt: skip
        code = COMMAND.format(before=before)
        self._process = server.start(os.environ).Process(target=exec, args=(code, values))
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.mark, timeout)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        self.wait(timeout)
        out, error = (path.read_text("utf-8") if path.exists() else "" for path in self.printed)
        return out, error

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def family(self) -> list[psutil.Process]:
        """It and all that was forked from it, also what has lost its parent."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


@pytest.fixture
def start_forked(tmp_path):
    """Start the command line in a forked process, after `before`; seconds less than a new one."""
    started = []

    def start(*arguments: str, before: str = "", **environment: str) -> ForkedCommand:
        started.append(ForkedCommand(tmp_path, arguments, before, environment))
        return started[-1]

    yield start
    for command in started:
        for process in command.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        command.wait(30)


@pytest.fixture
def call_forked(start_forked):
    """Call the command line as `workbench` does, in a forked process."""

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
        process = start_forked(*arguments, **environment)
        out, error = process.communicate(timeout=300)
        return subprocess.CompletedProcess(arguments, process.returncode, out, error)

    return call


def chromium_program() -> str:
    """The system's Chromium; where there is none, the test that asks is skipped."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium on this machine: install the system's package chromium")
    return program


@pytest.fixture(scope="session")
def browse():
    """Open an address in headless Chromium, scripts on; return the page as it then stands."""
    program = chromium_program()

    def call(address: str, *options: str) -> str:
        done = subprocess.run(
            [
                program, "--headless", "--no-sandbox", "--disable-gpu",
                "--disable-background-networking", "--virtual-time-budget=4000",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                *options, "--dump-dom", address,
            ],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        return done.stdout

    return call


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """A folder with a two-layer BERT whose weights are a formula, and a character tokenizer."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny-bert")
    words = {
        word for tokens in read(paths.FIXTURES / "tiny_ner/train.txt").tokens for word in tokens
    }
    letters = sorted({letter for word in words for letter in word.lower()})
    vocabulary = [*WORDPIECES, *letters, *(f"##{letter}" for letter in letters)]
    tokenizer = Tokenizer(
        models.WordPiece(
            {token: number for number, token in enumerate(vocabulary)}, unk_token="[UNK]"
        )
    )
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
    ).save_pretrained(folder)  # fmt: skip
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
        intermediate_size=64, max_position_embeddings=128,
    )  # fmt: skip
    network = BertModel(config)
    with torch.no_grad():
        for number, weight in enumerate(network.parameters()):
            wave = torch.sin(torch.arange(weight.numel(), dtype=torch.float64) * (number + 1.7))
            if weight.ndim > 1:
                weight.copy_(0.05 * wave.reshape(weight.shape))
    network.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def chromium():
    """The system's Chromium, driven by playwright; where there is none, its tests are skipped.

    Of one module, as its event loop goes on until it is closed, and notebooks run in their own.
    """
    from playwright.sync_api import sync_playwright

    program = chromium_program()
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Open a file as a reader does; a request to elsewhere or an error in the console fails."""
    opened, wrong = [], []

    def asked(request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            wrong.append(f"asked for {request.url}")

    def open_file(path: Path, *, width: int = 1280, height: int = 900, **options):
        context = chromium.new_context(viewport={"width": width, "height": height}, **options)
        opened.append(context)
        page = context.new_page()
        page.on("request", asked)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: said.type == "error" and wrong.append(said.text))
        page.goto(path.as_uri())
        return page

    yield open_file
    for context in opened:
        context.close()
    assert not wrong


@pytest.fixture(scope="session")
def within():
    """Say of seconds that the table of faults expects how many there were, and if they were more.

    A busy machine takes longer without being wrong, so the tests' own limits are looser.
    """
    return lambda took, limit: f"{took:.1f} s" + (" (exceeded)" if took > limit else "")


TABLE = "<!-- table -->"
"""Where the table of faults begins in the file that holds it."""


def pytest_addoption(parser):
    parser.addoption("--fault-table", metavar="FILE", help="write the table of faults there")


def pytest_configure(config):
    for line in (
        "fault(number, injected, expected): a fault that is injected, a row of the table",
        "long: takes minutes; `make test-faults` runs it",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    report.faults = [marker.args for marker in item.iter_markers("fault")]
    return report


def pytest_terminal_summary(terminalreporter, config):
    """Print what was injected, expected and seen; write it as well where a file is named."""
    rows: dict[tuple, dict[str, list[str]]] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            for fault in map(tuple, getattr(report, "faults", [])):  # from a worker: lists
                if report.when == "call" or outcome != "passed":
                    row = rows.setdefault(fault, {"seen": [], "peer": []})
                    found = [(name, text) for name, text in report.user_properties if name in row]
                    for name, text in found or [("seen", "as expected")]:
                        said = text if outcome == "passed" else f"{outcome}: {report.head_line}"
                        row[name].append(said)
    if not config.getoption("--fault-table") or not rows:
        return
    lines = [
        "| # | injected | expected | seen | papermill and nbconvert |",
        "|---|---|---|---|---|",
    ]
    for (number, injected, expected), row in sorted(rows.items()):
        counts = (Counter(row[name]).items() for name in ("seen", "peer"))
        said = ("; ".join(f"{t} ({n} times)" if n > 1 else t for t, n in each) for each in counts)
        cells = [str(number), injected, expected, *said]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    terminalreporter.section("faults")
    terminalreporter.write_line("\n".join(lines))
    target = Path(config.getoption("--fault-table"))
    head = target.read_text(encoding="utf-8").partition(TABLE)[0] if target.exists() else ""
    target.write_text(f"{head}{TABLE}\n\n" + "\n".join(lines) + "\n", encoding="utf-8")
