"""Carry out a search: Optuna proposes parameters, ordinary runs try them, validation decides.

What was tried is kept in `reports/searches/<name>-<hash>/journal.log`, so that the same search goes
on where it was, and several processes can work at one. The hash is over all that the numbers
depend on; with other code or data the search begins anew. A setting that was run before, by
whatever command, is not run again.
"""

import hashlib
import json
import os
import time
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

from workbench import paths, state
from workbench.batch import search as searches
from workbench.batch.execute import Outcome
from workbench.batch.plan import Run, resolve
from workbench.batch.runner import Child, stop
from workbench.batch.search import Range, Search
from workbench.batch.watch import terminated_as_interrupted
from workbench.errors import NotebookError, ParameterError, printable
from workbench.report import index
from workbench.result import HISTORY, Metric, Result, duration, is_whole

POLL_S = 1.0
STARTS = 4
"""Runs that end before the first may be stopped."""
REPEATS = 20
"""Proposals in a row that were tried before: the space holds little else."""
IN_VAIN = 3
"""Failures with no success, after which a search gives up."""
RUN, FAILED, REPEATED = "run_id", "failed", "repeated"
"""What a trial keeps beside its parameters."""


def tune(name: str, trials: int | None = None) -> int:
    """Try settings until there are `trials`, the search's own number by default; print them.

    Returns an exit code. Raises ParameterError for a search that can't be, or a metric that the
    runs lack, and NotebookError when the first runs all fail.
    """
    stem, search = searches.read(name)
    wanted = search.trials if trials is None else trials
    if wanted < 1:
        raise ParameterError(f"--trials {wanted}", expected="1 or more")
    study = _Study(stem, search)
    with terminated_as_interrupted():
        study.go_on(wanted)
    index.write(paths.reports())
    print(printable(study.table()))
    return 0 if study.finished(TrialState.COMPLETE) else NotebookError.exit_code


class _Study:
    """A search and what was tried of it."""

    def __init__(self, stem: str, search: Search) -> None:
        self.search, self.space = search, _distributions(search)
        identity = dict(resolve(search.job(search.corners()[0])).identity)
        identity["parameters"] = search.model_dump(mode="json", exclude={"trials"})
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
        self.name = f"{stem}-{digest}"
        folder = paths.reports() / "searches" / self.name
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        storage = JournalStorage(JournalFileBackend(str(folder / "journal.log")))
        self.study = optuna.create_study(
            study_name=self.name,
            storage=storage,
            direction=search.direction,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTS, n_warmup_steps=0),
            load_if_exists=True,
        )
        # Proposals that go on must not be those of the beginning again.
        seed = search.seed + len(self.study.trials)
        self.study.sampler = optuna.samplers.TPESampler(seed=seed)
        self._begin_or_take_back()

    def _begin_or_take_back(self) -> None:
        """Ask for the notebook's own values first; again for those of runs that were cut off."""
        usual = self.search.usual()
        if not self.study.trials and usual:
            self.study.enqueue_trial(usual)
        for trial in self.study.get_trials(states=[TrialState.RUNNING]):
            if not self._is_running(trial):
                self.study.tell(trial.number, state=TrialState.FAIL)
                self.study.enqueue_trial(trial.params)

    @staticmethod
    def _is_running(trial: FrozenTrial) -> bool:
        directory = paths.reports() / "runs" / trial.user_attrs.get(RUN, "-")
        return bool(state.read(directory).get("status") == "running")

    def finished(self, *states: TrialState) -> list[FrozenTrial]:
        """Trials in one of the states, each setting once, the best first."""
        found = [t for t in self.study.get_trials(states=states) if REPEATED not in t.user_attrs]
        sign = -1 if self.search.direction == "maximize" else 1
        return sorted(found, key=lambda trial: sign * (trial.value or 0.0))

    def go_on(self, wanted: int) -> None:
        """Try settings until there are so many, or no others are proposed."""
        repeats = 0
        while len(self._counted()) < wanted and repeats < REPEATS:
            trial = self.study.ask(self.space)
            run = resolve(self.search.job(trial.params))
            before = [t for t in self._counted() if t.user_attrs.get(RUN) == run.run_id]
            trial.set_user_attr(RUN, run.run_id)
            if before:
                repeats += 1
                trial.set_user_attr(REPEATED, before[0].number)
                self._repeat(trial, before[0])
                continue
            repeats = 0
            self._try(trial, run)
        if repeats == REPEATS:
            print(f"the last {REPEATS} proposals had all been tried: the space is small")

    def _counted(self) -> list[FrozenTrial]:
        """Trials that count: tried by themselves, or on their way in another process."""
        return [
            trial
            for trial in self.study.get_trials()
            if REPEATED not in trial.user_attrs
            and (trial.state in _DONE or FAILED in trial.user_attrs or self._is_running(trial))
        ]

    def _repeat(self, trial: Trial, before: FrozenTrial) -> None:
        """End a trial as the one before with the same parameters ended, at no cost."""
        if before.state == TrialState.COMPLETE:
            self.study.tell(trial, before.value)
        else:
            ended = TrialState.PRUNED if before.state == TrialState.PRUNED else TrialState.FAIL
            self.study.tell(trial, state=ended)

    def _try(self, trial: Trial, run: Run) -> None:
        """Do a run, unless it is done, and tell how it went."""
        shown = ", ".join(f"{name}={_short(value)}" for name, value in trial.params.items())
        print(f"trial {trial.number + 1}: {shown}; {run.run_id}", flush=True)
        began = time.monotonic()
        outcome = Outcome("succeeded", 0, "", 0.0)
        stopped = False
        if not is_whole(run.directory):
            outcome, stopped = self._run(trial, run)
        took = duration(time.monotonic() - began)
        if stopped:
            self.study.tell(trial, state=TrialState.PRUNED)
            print(f"  stopped after {took}: below the median of the others so far")
        elif outcome.exit_code:
            trial.set_user_attr(FAILED, outcome.message)
            self.study.tell(trial, state=TrialState.FAIL)
            print(printable(f"  {outcome.status} after {took}: {outcome.message}"))
            self._give_up_in_vain()
        else:
            score = self.score(run.run_id)
            self.study.tell(trial, score.value)
            print(f"  {self.search.metric} {score} after {took}", flush=True)

    def _run(self, trial: Trial, run: Run) -> tuple[Outcome, bool]:
        """How a run ended, and whether it was stopped for its score."""
        began, told = time.time(), 0
        child = Child.start(run, dict(os.environ))
        try:
            while not child.answer.poll(POLL_S):
                scores = _scores(run, since=began)
                for step, score in scores[told:]:
                    trial.report(score if self.search.direction == "maximize" else -score, step)
                    if self.search.pruning and trial.should_prune():
                        stop([child])
                        return child.outcome(), True
                told = len(scores)
            return child.outcome(), False
        except KeyboardInterrupt:
            stop([child])
            child.outcome()
            raise

    def score(self, run_id: str) -> Metric:
        """The deciding metric of a finished run; ParameterError where it has none of that name."""
        metrics = Result.read_record(paths.reports() / "runs" / run_id).metrics
        if self.search.metric not in metrics:
            known = ", ".join(name for name in metrics if name.startswith("validation/"))
            raise ParameterError(
                f"runs of {self.search.notebook} have no metric {self.search.metric!r}",
                expected=f"one of {known}" if known else "a notebook with validation metrics",
            )
        return metrics[self.search.metric]

    def _give_up_in_vain(self) -> None:
        failed = [t for t in self._counted() if FAILED in t.user_attrs]
        if len(failed) >= IN_VAIN and not self.finished(TrialState.COMPLETE):
            raise NotebookError(
                f"the first {len(failed)} runs failed: {failed[-1].user_attrs[FAILED]}",
                do="look at the pages of these runs, or narrow the space",
            )

    def table(self) -> str:
        """The finished trials, the best first, and what may be said of the best."""
        done, metric = self.finished(TrialState.COMPLETE), self.search.metric
        stopped = len(self.finished(TrialState.PRUNED))
        failed = sum(FAILED in trial.user_attrs for trial in self.study.get_trials())
        lines = [f"\n{self.name}: {len(done)} finished, {stopped} stopped early, {failed} failed"]
        if not done:
            return lines[0]
        names = list(self.search.space)
        rows = [[metric, *names, "run"]]
        for trial in done:
            run_id = trial.user_attrs[RUN]
            values = [_short(trial.params[name]) for name in names]
            rows.append([str(self.score(run_id)), *values, run_id])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join([*lines, *self._of_the_best(done)])

    def _of_the_best(self, done: list[FrozenTrial]) -> list[str]:
        best = done[0].user_attrs[RUN]
        lines = [
            f"the first is the best of {len(done)}, so its validation score is somewhat too good"
        ]
        test = self.search.metric.replace("validation/", "test/")
        metrics = Result.read_record(paths.reports() / "runs" / best).metrics
        if test in metrics:
            lines.append(f"its {test}, which chose nothing: {metrics[test]}")
        usual = self.search.usual()
        own = [t.user_attrs[RUN] for t in done if t.params == usual]
        if own and own[0] != best:
            lines.append(f"beside the notebook's own values: workbench compare {best} {own[0]}")
        return lines


_DONE = (TrialState.COMPLETE, TrialState.PRUNED)


def _distributions(search: Search) -> dict[str, BaseDistribution]:
    config = search.job(search.corners()[0]).config
    found: dict[str, BaseDistribution] = {}
    for name, axis in search.space.items():
        if not isinstance(axis, Range):
            found[name] = CategoricalDistribution(axis)
        elif isinstance(getattr(config, name), int):
            found[name] = IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        else:
            found[name] = FloatDistribution(axis.low, axis.high, log=axis.log)
    return found


def _scores(run: Run, since: float) -> list[tuple[int, float]]:
    """Scores of a run's epochs but the last, each with how far its training is, in per cent.

    The second training of a run counts from 100, and so on.
    """
    path = run.directory / HISTORY
    try:
        if path.stat().st_mtime < since:  # of an earlier attempt
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: list[tuple[int, float]] = []
    methods: list[str] = []
    for line in lines:
        try:
            record: dict[str, Any] = json.loads(line)
        except ValueError:  # being written
            break
        if record["method"] not in methods:
            methods.append(record["method"])
        if record["event"] == "epoch" and record["epoch"] < record["epochs"]:
            share = 100 * record["epoch"] // record["epochs"]
            if record["score"] is not None:
                found.append((100 * methods.index(record["method"]) + share, record["score"]))
    return found


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
