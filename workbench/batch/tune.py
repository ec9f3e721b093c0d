"""Carry out a search: Optuna proposes parameters, ordinary runs try them, validation decides.

What was tried is kept in `reports/searches/<name>-<hash>/journal.log`, so that the same search goes
on where it was. The hash is over all that the numbers depend on; with other code or data the search
begins anew. A setting that was run before, by whatever command, is not run again.
"""

import json
import os
import shutil
import time
from datetime import datetime
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from workbench.batch import search as searches
from workbench.batch.child import Child, stop
from workbench.batch.execute import Outcome
from workbench.batch.plan import Run, resolve
from workbench.batch.search import Range, Search
from workbench.batch.watch import terminated_as_interrupted
from workbench.core import paths
from workbench.core.errors import (
    InterruptedRunError,
    MachineError,
    NotebookError,
    ParameterError,
    printable,
)
from workbench.record import state
from workbench.record.result import CHECKPOINTS, HISTORY, Metric, Result, duration, is_whole
from workbench.report import index

POLL_S = 1.0
STARTS = 4
"""Runs that were as far in training before one may be stopped."""
REPEATS = 20
"""Proposals in a row that were tried before: the space holds little else."""
IN_VAIN = 3
"""Failures with no success, after which a search gives up."""
RUN, FAILED, REPEATED, SCORE, TEST = "run_id", "failed", "repeated", "score", "test"
"""What a trial keeps beside its parameters: the last two in words, with intervals."""
PASSING = {kind.exit_code: kind for kind in (InterruptedRunError, MachineError)}
"""Ends of a run that say nothing of its parameters."""


def tune(name: str, trials: int | None = None) -> int:
    """Try settings until there are `trials`, the search's own number by default; print them.

    Returns an exit code. Raises ParameterError for a search that can't be, NotebookError when the
    first runs all fail, MachineError or InterruptedRunError where a run could not be tried, or
    another process is at the same search; it can then be called again.
    """
    stem, search = searches.read(name)
    wanted = search.trials if trials is None else trials
    if wanted < 1:
        raise ParameterError(f"--trials {wanted}", expected="1 or more")
    study = _Study(stem, search)
    with state.held(study.folder), terminated_as_interrupted():
        state.write(study.folder, started=datetime.now().astimezone().isoformat(timespec="seconds"))
        study.begin_or_take_back()
        study.go_on(wanted)
    index.write(paths.reports())
    print(printable(study.table()))
    return 0 if study.done() else NotebookError.exit_code


class _Study:
    """A search and what was tried of it."""

    def __init__(self, stem: str, search: Search) -> None:
        self.search, self.space = search, _distributions(search)
        self.name = f"{stem}-{searches.digest(search)}"
        self.folder = paths.reports() / "searches" / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(str(self.folder / "journal.log")))
        self.study = optuna.create_study(
            study_name=self.name,
            storage=storage,
            direction=search.direction,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTS, n_min_trials=STARTS),
            load_if_exists=True,
        )
        # Proposals that go on must not be those of the beginning again.
        seed = search.seed + len(self.study.trials)
        self.study.sampler = optuna.samplers.TPESampler(seed=seed)

    def begin_or_take_back(self) -> None:
        """Ask for the notebook's own values first; again for those of runs that were cut off."""
        usual = self.search.usual()
        if not self.study.trials and usual:
            self.study.enqueue_trial(usual)
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            self._take_back(trial.number, trial.params)

    def _take_back(self, number: int, parameters: dict[str, Any]) -> None:
        self.study.tell(number, state=TrialState.FAIL)
        self.study.enqueue_trial(parameters)

    def done(self) -> list[FrozenTrial]:
        """Finished trials, the best first."""
        found = self.study.get_trials(states=[TrialState.COMPLETE])
        sign = -1 if self.search.direction == "maximize" else 1
        return sorted(found, key=lambda trial: sign * (trial.value or 0.0))

    def _counted(self) -> list[FrozenTrial]:
        """Trials that count: finished, stopped or failed; neither repeated nor cut off."""
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        trials = self.study.get_trials()
        return [trial for trial in trials if trial.state in ended or FAILED in trial.user_attrs]

    def go_on(self, wanted: int) -> None:
        """Try settings until there are so many, or no others are proposed."""
        repeats = 0
        while (tried := len(self._counted())) < wanted and repeats < REPEATS:
            trial = self.study.ask(self.space)
            run = resolve(self.search.job(trial.params))
            trial.set_user_attr(RUN, run.run_id)
            if any(before.user_attrs.get(RUN) == run.run_id for before in self._counted()):
                trial.set_user_attr(REPEATED, True)
                self.study.tell(trial, state=TrialState.FAIL)
                repeats += 1
                continue
            repeats = 0
            shown = ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
            print(f"trial {tried + 1} of {wanted}: {shown}; {run.run_id}", flush=True)
            self._try(trial, run)
        if repeats == REPEATS:
            print(f"the last {REPEATS} proposals had all been tried: the space is small")

    def _try(self, trial: Trial, run: Run) -> None:
        """Do a run, unless it is done, and tell how it went."""
        began = time.monotonic()
        outcome, stopped = Outcome("succeeded", 0, "", 0.0), False
        if not is_whole(run.directory):
            outcome, stopped = self._run(trial, run)
        took = duration(time.monotonic() - began)
        if stopped:
            self.study.tell(trial, state=TrialState.PRUNED)
            _leave_stopped(run, f"stopped by the search {self.name} for its validation score")
            print(f"  stopped after {took}: below the median of the others so far", flush=True)
        elif outcome.exit_code in PASSING:
            self._take_back(trial.number, trial.params)
            raise PASSING[outcome.exit_code](outcome.message, do="call it again: it goes on")
        elif outcome.exit_code:
            trial.set_user_attr(FAILED, outcome.message)
            self.study.tell(trial, state=TrialState.FAIL)
            print(printable(f"  {outcome.status} after {took}: {outcome.message}"), flush=True)
            self._give_up_in_vain()
        else:
            score = self._score(trial, run)
            self.study.tell(trial, score.value)
            print(f"  {self.search.metric} {score} after {took}", flush=True)

    def _run(self, trial: Trial, run: Run) -> tuple[Outcome, bool]:
        """How a run ended, and whether it was stopped for its score."""
        began, told = time.time(), 0
        child = Child.start(run, dict(os.environ))
        try:
            while not child.answer.poll(POLL_S):
                told = self._report(trial, run, began, told)
                if self.search.pruning and told and trial.should_prune():
                    stop([child])
                    outcome = child.outcome()
                    return outcome, bool(outcome.exit_code)
            return child.outcome(), False
        except BaseException:
            stop([child])
            child.outcome()
            raise

    def _report(self, trial: Trial, run: Run, since: float, told: int) -> int:
        """Tell the study the scores of a run's epochs so far, but the `told` first; count them."""
        found = _scores(run, self._training(), since)
        for step, score in found[told:]:
            trial.report(score if self.search.direction == "maximize" else -score, step)
        return len(found)

    def _training(self) -> str:
        """The training whose score the deciding metric is, as a run's history calls it."""
        return self.search.job(self.search.first()).config.validation[self.search.metric]

    def _score(self, trial: Trial, run: Run) -> Metric:
        """The deciding metric of a finished run, kept in words with its counterpart on test."""
        self._report(trial, run, 0.0, len(self.study.trials[trial.number].intermediate_values))
        metrics = Result.read_record(run.directory).metrics
        trial.set_user_attr(SCORE, str(metrics[self.search.metric]))
        trial.set_user_attr(TEST, str(metrics.get(self._tested(), "")))
        return metrics[self.search.metric]

    def _tested(self) -> str:
        """The deciding metric's counterpart on the test split."""
        return self.search.metric.replace("validation/", "test/")

    def _give_up_in_vain(self) -> None:
        failed = [t for t in self._counted() if FAILED in t.user_attrs]
        if len(failed) >= IN_VAIN and not self.done():
            raise NotebookError(
                f"the first {len(failed)} runs failed: {failed[-1].user_attrs[FAILED]}",
                do="look at the pages of these runs, or narrow the space",
            )

    def table(self) -> str:
        """The finished trials, the best first, and what may be said of the best."""
        done, counted = self.done(), self._counted()
        failed = sum(FAILED in trial.user_attrs for trial in counted)
        stopped = len(counted) - len(done) - failed
        lines = [f"\n{self.name}: {len(done)} finished, {stopped} stopped early, {failed} failed"]
        axes = list(self.search.space)
        rows = [[self.search.metric, *axes, "run"]] if done else []
        for trial in done:
            values = [_short(trial.params[name]) for name in axes]
            rows.append([trial.user_attrs[SCORE], *values, trial.user_attrs[RUN]])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *(self._of_the_best(done) if done else [])])

    def _of_the_best(self, done: list[FrozenTrial]) -> list[str]:
        best, lines = done[0].user_attrs, []
        if len(done) > 1:
            lines.append(f"the best of {len(done)}: its validation score is somewhat too good")
        if best[TEST]:
            lines.append(f"its {self._tested()}, which chose nothing: {best[TEST]}")
        own = [trial.user_attrs[RUN] for trial in done if trial.params == self.search.usual()]
        if own and own[0] != best[RUN]:
            lines.append(
                f"beside the notebook's own values: workbench compare {best[RUN]} {own[0]}"
            )
        return lines


def _distributions(search: Search) -> dict[str, BaseDistribution]:
    config = search.job(search.first()).config
    found: dict[str, BaseDistribution] = {}
    for name, axis in search.space.items():
        if not isinstance(axis, Range):
            found[name] = CategoricalDistribution(axis)
        elif isinstance(getattr(config, name), int):
            found[name] = IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        else:
            found[name] = FloatDistribution(axis.low, axis.high, log=axis.log)
    return found


def _scores(run: Run, training: str, since: float) -> list[tuple[int, float]]:
    """Scores of a training's epochs but the last, each with how far it is, in per cent."""
    path = run.directory / HISTORY
    try:
        if path.stat().st_mtime < since:  # of an earlier attempt
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[tuple[int, float]] = []
    for line in lines:
        try:
            record: dict[str, Any] = json.loads(line)
        except ValueError:  # being written
            break
        ended = record["event"] == "epoch" and record["epoch"] < record["epochs"]
        if ended and record["method"] == training and record["score"] is not None:
            found.append((100 * record["epoch"] // record["epochs"], record["score"]))
    return found


def _leave_stopped(run: Run, message: str) -> None:
    """Say in a run's state why it was stopped; nobody will go on with its training."""
    shutil.rmtree(run.directory / CHECKPOINTS, ignore_errors=True)
    state.write(run.directory, **(state.read(run.directory) | {"message": message}))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
