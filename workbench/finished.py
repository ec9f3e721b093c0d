"""What a cell does with finished runs: read one, predict with its model, compare two."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.core import arguments
from workbench.core.described import Described
from workbench.methods import predict as predicting
from workbench.record import comparison, runs
from workbench.record.comparison import text as as_text
from workbench.record.result import Result

read = runs.read


def predict(run: str | Path | Result, texts: Any) -> list[dict[str, Any]]:
    """What a run's model says of new texts: entities with their places, or labels.

    `run` is a result of this notebook, whose model is at hand as it was scored, or a finished run,
    by its id or directory, that kept its model. `texts` are a list of texts, each read by itself,
    or for a tagger of lists of words. ParameterError for a run that has no model.
    """
    if isinstance(run, Result) and (run.can_predict or "model_files" not in run.tables):
        return run.predict(texts)
    place = run.directory if isinstance(run, Result) else run
    directory = runs.find(place or "")
    found, words = arguments.texts_or_words(texts, "texts")
    places = range(len(found)) if words else None
    return list(
        predicting.predict(directory, found, consecutive=False, words=words, documents=places)
    )


@dataclass(frozen=True)
class ComparedRuns(Described):
    """Two runs on the items they share."""

    found: comparison.Comparison
    max_lines = 200

    def describe(self) -> str:
        """What `workbench compare` prints."""
        return as_text.as_text(self.found)

    def __str__(self) -> str:
        return self.describe()


def compare_runs(
    a: str | Path | Result, b: str | Path | Result, methods: Sequence[str] = ()
) -> ComparedRuns:
    """Compare two finished runs or results on the items they share, with a verdict.

    `methods` names one of both, or one of each; else each run's own is taken. Errors as of
    `record.comparison.compare`.
    """
    both = [each if isinstance(each, Result) else runs.read(each) for each in (a, b)]
    asked = arguments.texts(methods, "methods")
    return ComparedRuns(comparison.compare(both[0], both[1], methods=asked))
