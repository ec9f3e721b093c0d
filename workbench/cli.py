"""Command line: parse, call, print, exit code. Progress goes to stderr, results to stdout."""

import argparse
import errno
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from workbench.core import distributed, paths
from workbench.core.errors import ParameterError, WorkbenchError, printable, shown

Command = Callable[[argparse.Namespace], int]
MAX_PROCESSES = 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code (see `workbench.core.errors`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # half a character must not end a command
            stream.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    try:
        paths.make_absolute()
        if distributed.count() == 1:  # the first of several has the folder of its command already
            os.environ[paths.SHELL] = str(Path.cwd())
        code: int = options.command(options)
    except WorkbenchError as error:
        _say(f"error: {shown(str(error))}")
        return error.exit_code
    except OSError as error:
        long = error.errno == errno.ENAMETOOLONG
        do = "give a shorter name" if long else "look at the disk and its permissions"
        _say(f"error: {shown(str(error))}\ndo: {do}")
        return 2 if long else 9
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 8
    except Exception:  # noqa: BLE001  a bug: say so, with the trace
        traceback.print_exc()
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workbench",
        description="Notebooks on language models: run them, keep their numbers, read the pages.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=24, width=96),
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")

    def add(name: str, command: Command, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    one = add("run", run, "Run one notebook; the last line is its run directory.")
    one.add_argument("name", help="notebook, such as ner")
    one.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a parameter")
    one.add_argument("--force", action="store_true", help="run again even if it is done")
    one.add_argument("--require-gpu", action="store_true", help="stop where there is no GPU")
    one.add_argument("--timeout-s", type=int, metavar="N", help="longest time of a cell; 3600")
    one.add_argument("--processes", type=int, default=1, metavar="N", help="train in N, a GPU each")
    _add_run_all(add("run-all", run_all, "Run a suite; do only what is not done yet."))
    planned = add("plan", plan, "Show what a suite would run and why; fetch what it needs.")
    planned.add_argument("suite", nargs="?", default="default", help="name in suites/, or a file")
    _add_compare(add("compare", compare, "Compare runs on the items they share, with verdicts."))
    _add_predict(add("predict", predict, "What a run's model says of new text, as JSON lines."))
    asked = add("prompts", prompts, "The exact prompts of a run, as JSON lines.")
    asked.add_argument("run", metavar="RUN", help="id, beginning of one, or directory")
    asked.add_argument("item", metavar="ITEM", nargs="?", default="", help="of one item only")
    _add_tune(add("tune", tune, "Search for good parameters; goes on where it was."))
    shown = add("params", params, "Show a notebook's parameters.")
    shown.add_argument("name", help="notebook, such as ner")
    got = add("fetch", fetch, "Download and verify models and data sets of the catalogue.")
    got.add_argument("names", nargs="*", metavar="NAME", help="all, if none is named")
    got.add_argument("--repair", action="store_true", help="replace damaged files")
    add("assets", assets, "List models and data sets of the catalogue, and their state.")
    add("report", report, "Write all pages and the index anew from the runs' records.")
    served = add("lab", lab, "Open JupyterLab on copies of the notebooks, for this machine only.")
    served.add_argument("--port", type=int, default=8888, help="the next free one, if it is taken")
    served.add_argument("--no-browser", action="store_true", help="print the address only")
    served.add_argument("--allow-root", action="store_true", help="start it as root")
    return parser


def _add_compare(asked: argparse.ArgumentParser) -> None:
    """The arguments of `compare`."""
    asked.add_argument("first", metavar="RUN", help="id, beginning of one, or directory")
    asked.add_argument("others", nargs="+", metavar="RUN", help="each is compared with the first")
    known = "one of all runs, or one each; else each run's own"
    asked.add_argument("--method", nargs="+", action="extend", default=[], help=known)
    known = "items shown that only one of two runs has right; default: 3"
    asked.add_argument("--examples", type=int, default=3, metavar="N", help=known)
    asked.add_argument("--json", action="store_true", help="the same as one JSON object")


def _add_predict(asked: argparse.ArgumentParser) -> None:
    """The arguments of `predict`."""
    asked.add_argument("run", metavar="RUN", help="id, beginning of one, or directory")
    known = "text, a line each; .conll; .csv, .jsonl or .parquet; - reads stdin"
    asked.add_argument("file", metavar="FILE", nargs="?", default="-", help=known)
    asked.add_argument("--column", default="text", help="of a table; default: text")


def _add_tune(asked: argparse.ArgumentParser) -> None:
    """The arguments of `tune`."""
    asked.add_argument("search", help="name in suites/searches/, or a YAML file")
    asked.add_argument(
        "--trials", type=int, metavar="N", help="settings to try; default: the search's own number"
    )


def _add_run_all(many: argparse.ArgumentParser) -> None:
    """The options of `run-all`."""
    many.add_argument("suite", nargs="?", default="default", help="name in suites/, or a YAML file")
    many.add_argument(
        "--jobs", type=int, default=0, metavar="N", help="runs at once; default: one a GPU, or one"
    )
    many.add_argument("--require-gpu", action="store_true", help="stop where there is no GPU")
    many.add_argument(
        "--engine", choices=["processes", "ray"], default="processes",
        help="of this machine, or tasks of a Ray cluster",
    )  # fmt: skip
    many.add_argument(
        "--address", metavar="HOST:PORT",
        help="the Ray cluster's; default: RAY_ADDRESS, or a local one for this call",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Run one notebook with `--set` parameters."""
    from workbench.batch import gpus, plan_status
    from workbench.batch import plan as plans
    from workbench.record.result import is_whole

    if options.require_gpu:
        gpus.require()
    texts = {}
    for text in options.set:
        key, separator, value = text.partition("=")
        if not separator:
            raise ParameterError(f"--set {text!r}", expected="key=value, such as --set epochs=3")
        texts[key] = value
    job = plans.from_texts(options.name, texts, timeout_s=options.timeout_s)
    planned = plan_status.limited(plans.resolve(job))
    if not 1 <= options.processes <= MAX_PROCESSES:
        raise ParameterError(f"--processes {options.processes}", expected=f"1 to {MAX_PROCESSES}")
    if is_whole(planned.directory) and not options.force:
        _say(f"{planned.run_id} is done: same notebook, parameters, code, data and lock file")
        print(planned.directory)
        return 0
    from workbench.batch import distributed_run

    directory = planned.directory
    if distributed.rank() == 0:
        _say(f"running {planned.job.label} as {planned.run_id}; its log is {directory / 'run.log'}")
    if options.processes > 1:
        outcome = distributed_run.launch(
            planned, options.processes, options.name, options.set, again=options.force
        )
    else:
        outcome = distributed_run.execute(planned, again=options.force)
    if distributed.rank() == 0:
        if outcome.exit_code:
            _say(f"error: {shown(outcome.message)}")
        print(directory)
    return outcome.exit_code


def run_all(options: argparse.Namespace) -> int:
    """Run a suite's runs and end with a table."""
    from workbench.batch import gpus, runner

    if options.require_gpu:
        gpus.require()
    return runner.run_suite(options.suite, options.jobs, options.engine, options.address)


def plan(options: argparse.Namespace) -> int:
    """Print how each run of a suite stands; return the worst code of those that can't run."""
    from workbench.batch import plan_status, suite

    statuses = plan_status.judge(suite.read(options.suite))
    print(printable(plan_status.table(statuses)))
    return max(found.exit_code for found in statuses)


def compare(options: argparse.Namespace) -> int:
    """Print what two runs, or several next to the first, say of the items they share."""
    from workbench.record import runs
    from workbench.record.comparison import text

    read = [runs.read(name) for name in (options.first, *options.others)]
    print(text.compared(read, options.method, options.examples, as_json=options.json))
    return 0


def predict(options: argparse.Namespace) -> int:
    """Print one JSON object for each line or row of a file."""
    from workbench.data import lines
    from workbench.methods import predict as predicting
    from workbench.record import runs

    if options.file == "-" and sys.stdin.isatty():
        _say("reading lines from the terminal; Ctrl-D ends them")
    asked = lines.read(options.file, options.column)
    _print_lines(predicting.predict(runs.find(options.run), **vars(asked)))
    return 0


def prompts(options: argparse.Namespace) -> int:
    """Print one JSON object for each prompt of an item, or of all."""
    from workbench.methods import prompt_record
    from workbench.record import runs

    _print_lines(prompt_record.read(runs.find(options.run), options.item))
    return 0


def _print_lines(rows: Iterable[object]) -> None:
    """Print a JSON object a line, until whoever reads has enough, as `head` has."""
    try:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tune(options: argparse.Namespace) -> int:
    """Try settings of a search and print them, the best first."""
    from workbench.batch import tune as tuning

    return tuning.tune(options.search, options.trials)


def params(options: argparse.Namespace) -> int:
    """Print type, range, meaning and default of each parameter."""
    from workbench import notebooks
    from workbench.core.config import describe

    fields = notebooks.find(options.name).config.model_fields
    for name, field in fields.items():
        print(f"{name:<18} {describe(field)}")
    return 0


def fetch(options: argparse.Namespace) -> int:
    """Fetch the named assets, or all."""
    from workbench.core import assets as catalogue

    for name in options.names:
        catalogue.find(name)
    for done in catalogue.fetch_all(options.names or catalogue.catalogue(), repair=options.repair):
        print(done)
    return 0


def assets(_options: argparse.Namespace) -> int:
    """Print one line an asset."""
    from workbench.core.assets import catalogue

    for asset in catalogue().values():
        print(f"{asset.name:<12} {asset.kind:<8} {asset.state():<11} {asset.download_mb:>6.1f} MB  "
              f"{asset.license:<13} {asset.about}")  # fmt: skip
    return 0


def report(_options: argparse.Namespace) -> int:
    """Render pages and index from records; no notebook is run."""
    from workbench.report import index

    print(index.refresh(paths.reports()))
    return 0


def lab(options: argparse.Namespace) -> int:
    """Become JupyterLab on working copies of the notebooks."""
    from workbench import lab as working_copies

    browser = not options.no_browser
    working_copies.serve(options.port, browser=browser, root=options.allow_root)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
