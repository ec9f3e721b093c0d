"""Questions about passages, as SQuAD and CMRC 2018 publish them, as rows of question and answer."""

from collections import Counter
from typing import Any

import pandas

from workbench.core.errors import DataError
from workbench.data.choices import answer_form


def flat(frame: pandas.DataFrame, counts: Counter[str], where: str) -> pandas.DataFrame:
    """A row for each question, its passage before it; another table stays as it is.

    Passages are in `paragraphs` (SQuAD's layout) or are the rows themselves, with `qas` (CMRC's
    trial data). Of several accepted answers that differ, the first is taken; `counts` gets the
    questions that have `several`. Answers of which none stands in its passage are placeholders,
    which some test splits have: they become None. Raises DataError for passages of another form.
    """
    if not {"paragraphs", "qas"} & set(frame.columns):
        return frame
    found: list[tuple[str, str, list[str]]] = []
    try:
        rows = frame.to_dict("records")
        passages = [each for row in rows for each in row.get("paragraphs", [row])]
        for passage in passages:
            context = str(_of(passage, "context", "context_text"))
            for asked in passage["qas"]:
                question = _of(asked, "question", "query_text")
                answers = _answers(asked.get("answers"))
                found.append((context, f"{context}\n{question}", answers))
    except (AttributeError, KeyError, TypeError) as error:
        raise DataError(
            f"{where}: its passages can't be read: {type(error).__name__} {error}",
            expected="context and qas in each passage, and question and answers in each of qas",
        ) from None
    if not any(answer in context for context, _, answers in found for answer in answers):
        found = [(context, question, []) for context, question, _ in found]
    counts["several"] += sum(len(set(map(answer_form, answers))) > 1 for _, _, answers in found)
    first = [(question, next(iter(answers), None)) for _, question, answers in found]
    return pandas.DataFrame(first, columns=["question", "answer"], dtype=object)


def _of(row: dict[str, Any], *names: str) -> Any:
    """What a row has under the first of these names; KeyError where it has none."""
    return row[next((name for name in names if name in row), names[0])]


def _answers(given: Any) -> list[str]:
    """The accepted answers, each given as text or as an object with `text`."""
    texts = [each["text"] if isinstance(each, dict) else each for each in given or []]
    return [text for text in map(str, texts) if text.strip()]
