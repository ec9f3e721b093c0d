"""The record a run leaves: numbers with intervals, baselines, data issues, cost, predictions.

A run directory holds `result.json` (strict JSON, no NaN), `items.parquet` (one row an item, one
format for all tasks) and `metrics.jsonl` (one line a training report).
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, PrivateAttr, ValidationError, model_validator

from workbench.core import arguments
from workbench.core.described import Described
from workbench.core.errors import DataError, ParameterError, VersionError
from workbench.core.files import read_json, replacing, strict_json, write_json, write_text
from workbench.record.artefacts import Artefact, is_unchanged, listed
from workbench.record.facts import Cost as Cost  # noqa: PLC0414  all take it from here
from workbench.record.facts import DataIssue as DataIssue  # noqa: PLC0414
from workbench.record.facts import Record
from workbench.record.metric import Metric as Metric  # noqa: PLC0414  all take it from here

if TYPE_CHECKING:
    import pandas

RESULT, ITEMS, HISTORY = "result.json", "items.parquet", "metrics.jsonl"
NOTEBOOK, PAGE, LOG, PARAMETERS = "notebook.ipynb", "report.html", "run.log", "params.json"
STATE, LOCK = "state.json", "lock"
CHECKPOINTS = "checkpoints"
"""Where a run in batch keeps what its trainings can go on from, until it is done."""
DRAFT = "result.draft.json"
"""What a notebook in batch writes, for the supervisor to complete."""
Predict = Callable[..., Iterable[dict[str, Any]]]
OLDER_NAMES = {"losses": "data_issues", "trained_pieces": "trained_tokens"}
"""Fields as they were called before -> as they are called."""
FIGURE = "application/vnd.workbench.figure+json"
"""Kind of output with a figure's files, `svg`, `pdf` (base64) and `csv`; None for one too large."""
MAX_FIGURE_FILE = 150_000
"""Characters of such a file at most, so that pages stay small."""
ITEM_COLUMNS = ("item", "split", "method", "cluster", "input", "gold", "predicted", "loss")


def words(metric: str) -> str:
    """A metric's name as people write it, its split left out.

    >>> words("test/macro_f1"), words("test/mcc"), words("test/accuracy")
    ('macro F1', 'MCC', 'accuracy')
    """
    name = metric.partition("/")[2]
    return {
        "mcc": "MCC",
        "macro_f1": "macro F1",
        "entity_f1": "entity F1",
        "ndcg_at_10": "NDCG at 10",
    }.get(name, name.replace("_", " "))


def duration(seconds: float) -> str:
    """Seconds as people say them.

    >>> duration(7.2), duration(432), duration(7500)
    ('7.2 s', '7 min 12 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


class Result(Described, BaseModel):
    """Everything a run found. `metrics` maps `<split>/<metric>` to a number with its interval."""

    model_config = Record.model_config

    run_id: str = ""
    notebook: str = ""
    task: str
    status: str = "interactive"
    """`succeeded` for a whole batch run, `interactive` for one saved by hand."""
    started: str = ""
    """Local time with offset, ISO 8601."""
    parameters: dict[str, Any]
    sources: dict[str, dict[str, str]]
    """`model` and `dataset`: name, fingerprint, what it is, licence."""
    metrics: dict[str, Metric]
    headline: tuple[str, ...]
    """The metrics an index shows, most important first."""
    main_measure: str = ""
    """What its items are compared by, as the task's `Config` says; empty in old records."""
    right: str = ""
    """What makes an item right, in words; empty where the task has no right items."""
    test: dict[str, Any] | None = None
    """Parameters that change the test items or the question; None in old records."""
    answer: str = ""
    """What was found, in one sentence (`record.answer`); empty in old records."""
    method: str = ""
    """What `metrics` are of, where several methods are compared: the run's own."""
    baselines: dict[str, dict[str, Metric]] = {}
    """What the run's own method is compared with -> metric name as in `metrics` -> number."""
    comparisons: dict[str, dict[str, Metric]] = {}
    """Baseline -> metric name -> paired difference on the same items, this run's minus its."""
    data_issues: dict[str, DataIssue] = {}
    cost: Cost
    environment: dict[str, Any]
    tables: dict[str, Any] = {}
    """Larger results of the task, such as a report by class: JSON values only."""
    items_file: str | None = None
    artefacts: dict[str, Artefact] = {}

    @model_validator(mode="before")
    @classmethod
    def _of_older_records(cls, fields: Any) -> Any:
        """Take a record's fields by the names that earlier versions wrote them with."""
        if isinstance(fields, dict):
            fields = {OLDER_NAMES.get(name, name): value for name, value in fields.items()}
            if isinstance(fields.get("cost"), dict):
                cost = fields["cost"].items()
                fields["cost"] = {OLDER_NAMES.get(name, name): value for name, value in cost}
        return fields

    def describe(self) -> str:
        """Its answer, first numbers, data issues and cost, and where it lies."""
        found = [name for name in self.headline if name in self.metrics]
        width = max(map(len, found), default=0)
        numbers = [f"{n:<{width}}  {self.metrics[n]}, n = {self.metrics[n].n:,}" for n in found]
        issues = sum(issue.count > 0 for issue in self.data_issues.values())
        place = "not saved: result.save()"
        if self._directory and (self._directory / RESULT).is_file():
            place = f"saved in {_short(self._directory)}"
        took = f"{issues} data issues counted; {duration(self.cost.seconds)} on {self.cost.device}"
        lines = [f"result of the task {self.task}", self.answer, *numbers, took, place]
        return "\n".join(filter(None, lines))

    _items: "pandas.DataFrame | None" = PrivateAttr(default=None)
    _history: list[dict[str, Any]] = PrivateAttr(default_factory=list)
    _directory: Path | None = PrivateAttr(default=None)
    _predict: Predict | None = PrivateAttr(default=None)

    @property
    def directory(self) -> Path | None:
        """Where the run lies, or will when it is saved."""
        return self._directory

    @property
    def can_predict(self) -> bool:
        """Whether this process has the model or prompts that the run scored."""
        return self._predict is not None

    def predict(self, texts: Any) -> list[dict[str, Any]]:
        """What the model or prompts of this run say of new texts, as they were scored.

        `texts` is a list of texts, or for a tagger of lists of words. ParameterError where the
        task has nothing that could, or the run was another process's.
        """
        if self._predict is None:
            raise ParameterError(
                f"this result of {self.task} has nothing to predict with in this process",
                expected="a result that wb.run gave, of a task that fits a tagger or a classifier "
                "or prompts for labels: ner, fine_tuning, prompting",
                do="wb.predict(run, texts), where the run kept its model",
            )
        found, words = arguments.texts_or_words(texts, "texts")
        return list(self._predict(found, words=words))

    @property
    def items(self) -> "pandas.DataFrame":
        """One row an item and method: item, split, method, cluster, input, gold, predicted, loss.

        `input`, `gold` and `predicted` are lists of str; a classification has one of each. `item`
        is the same in any run over the same data; `cluster` says what belongs together when
        intervals are made; `loss` is the mean cross-entropy in nats, of running text the nats of
        the whole passage, or missing.
        """
        if self._items is None:
            raise DataError("this result was read without its items", do="Result.read(directory)")
        return self._items

    @property
    def history(self) -> list[dict[str, Any]]:
        """Training reports in order, each with an `event` of `step` or `epoch`."""
        return self._history

    def with_details(
        self,
        *,
        directory: Path | None,
        items: "pandas.DataFrame | None",
        history: list[dict[str, Any]],
        predict: Predict | None = None,
    ) -> Self:
        """Attach the run directory, items, training reports, and what predicts new texts."""
        if items is not None and tuple(items.columns) != ITEM_COLUMNS:
            raise ValueError(f"items have the columns {tuple(items.columns)}, not {ITEM_COLUMNS}")
        self._directory, self._items, self._history = directory, items, history
        self._predict = predict
        return self

    def save(self, directory: str | Path | None = None) -> Path:
        """Write items, history and, last, `result.json`; return the run directory.

        In batch the supervisor completes the record once notebook and page are written, so the
        file is then `result.draft.json`: only a whole run has a `result.json`.
        """
        directory = Path(directory) if directory else self._directory
        if directory is None:
            raise DataError(
                "this result has no run directory",
                do="start with workbench.start(...), or give save() a directory",
            )
        directory.mkdir(parents=True, exist_ok=True)
        record = self
        if self._items is not None:
            with replacing(directory / ITEMS) as partial:
                self._items.to_parquet(partial, index=False)
            record = self.model_copy(update={"items_file": ITEMS})
        lines = (json.dumps(line, allow_nan=False) + "\n" for line in self._history)
        write_text(directory / HISTORY, "".join(lines))
        in_batch = os.environ.get("WORKBENCH_RUN_DIRECTORY") == str(directory)
        target = directory / (DRAFT if in_batch else RESULT)
        if not in_batch:
            record = record.model_copy(
                update={"artefacts": artefacts(directory), "run_id": directory.name}
            )
        write_json(target, record.model_dump(mode="json"))
        print(f"saved in {_short(directory)}")
        return directory

    @classmethod
    def read(cls, directory: Path) -> Self:
        """Read a run back, items and history included; DataError for a file that is not whole."""
        import pandas

        record = cls.read_record(directory)
        items = None
        history = directory / HISTORY
        try:
            if record.items_file:
                items = pandas.read_parquet(directory / record.items_file)
            lines = history.read_text(encoding="utf-8").splitlines() if history.is_file() else []
            return record.with_details(
                directory=directory, items=items, history=[strict_json(line) for line in lines]
            )
        except Exception as error:  # noqa: BLE001  parquet's readers raise errors of many classes
            raise DataError(f"{directory}: items or history can't be read: {error}") from None

    @classmethod
    def read_record(cls, directory: Path, name: str = RESULT) -> Self:
        """Read `result.json` alone, or the draft of it.

        DataError where it can't be read; VersionError where it has fields that this version of the
        package does not know.
        """
        path = directory / name
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            found = error.errors()
            if unknown := [each for each in found if each["type"] == "extra_forbidden"]:
                names = ", ".join(".".join(map(str, each["loc"])) for each in unknown[:3])
                raise VersionError(
                    f"{path} is of another version of this package, as it has {names[:200]}",
                    do="read it with that version, or run the notebook again",
                ) from None
            where = ".".join(map(str, found[0]["loc"]))
            reason = f"{where}: {found[0]['msg']}".lstrip(": ")
        except (OSError, ValueError) as error:
            reason = str(error)
        raise DataError(f"{path} can't be read: {reason}", expected="the record of a run")


def is_whole(directory: Path) -> bool:
    """Whether a run is done: its record is there and every file it lists is unchanged."""
    try:
        recorded = Result.read_record(directory).artefacts.items()
        return all(is_unchanged(directory, name, file) for name, file in recorded)
    except (OSError, DataError):
        return False


def artefacts(directory: Path) -> dict[str, Artefact]:
    """Hash and size of every finished file of a run.

    Not of its record and state, nor of its page, which can be rebuilt from the rest.
    """
    return listed(directory, {RESULT, DRAFT, STATE, LOCK, PAGE})


def _short(path: Path) -> str:
    """A path as seen from the working directory, where it lies below it."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
