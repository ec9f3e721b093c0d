"""What a decoder writes about sentences, read as entities: scores, data issues and cost."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.core import machine
from workbench.core.files import write_text
from workbench.data.ner import NerData
from workbench.decoding import generate
from workbench.decoding.generate import Written
from workbench.methods import prompt_record, tag_scores
from workbench.models.causal_lm import CausalLM
from workbench.models.lexicon import Lexicon
from workbench.record import metrics as m
from workbench.record.draws import Counts
from workbench.record.iob import spans
from workbench.record.metric import UNPARSED
from workbench.record.metrics import Tags
from workbench.record.result import DataIssue, Metric
from workbench.record.statistics import difference, measure
from workbench.tasks.prompted_ner import answers as ner_answers
from workbench.tasks.prompted_ner.answers import DROPPED, PLACED, STOPS, MatchOutcome
from workbench.tasks.prompted_ner.config import Config
from workbench.tasks.prompted_ner.prompts import Asked

BATCH_TOKENS = 16384
"""Tokens of a batch: about 32 prompts, as a step costs little more for many rows than one."""
ANY = "ANY"
"""The type of every entity where types are left aside."""
EXAMPLES = 4
"""Examples shown of each thing that went wrong."""
CUT = "cut"


@dataclass(frozen=True)
class Read:
    """An answer and what was read of it."""

    words: list[str]
    answer: str
    """What was written, up to what ends it."""
    problem: str
    """UNPARSED, CUT for an answer that was not at its end, or nothing."""
    outcomes: list[MatchOutcome]
    tokens: int
    """Of all that was written."""

    @property
    def unplaced(self) -> list[str]:
        """Types of the written entities that have no place in the sentence."""
        return [match.written.kind for match in self.outcomes if match.span is None]

    @property
    def tags(self) -> list[str]:
        """IOB2 tags of the sentence."""
        return ner_answers.tags_of(self.outcomes, len(self.words))


@dataclass(frozen=True)
class Scored:
    """What is known beside the scores that every tagger has."""

    metrics: dict[str, Metric]
    baselines: dict[str, dict[str, Metric]]
    comparisons: dict[str, dict[str, Metric]]


def write(config: Config, model: CausalLM, asked: Asked) -> list[Written]:
    """What the model writes after each prompt up to its end, always its most likely token."""
    return generate.generate(
        model,
        asked.prompts,
        max_new_tokens=config.max_tokens,
        stop=STOPS[asked.form],
        dtype=machine.precision(config.precision, model.device),
        batch_tokens=BATCH_TOKENS,
        progress="writing the names",
    )


def read(model: CausalLM, asked: Asked, answers: Sequence[Written], data: NerData) -> list[Read]:
    """Each answer read by its grammar; one that was not at its end gives no entity."""
    found = []
    for answer, words in zip(answers, data.splits["test"]["tokens"], strict=True):
        whole, text = answer.ended, answer.text
        named = ner_answers.parse(text, words, asked.form, asked.kinds) if whole else None
        problem = "" if named is not None else UNPARSED if whole else CUT
        outcomes = ner_answers.place(words, named or [])
        found.append(Read(words, text, problem, outcomes, len(model.encode(text))))
    return found


def scores(data: NerData, asked: Asked, read: Sequence[Read]) -> Scored:
    """Other views of the same answers, and paired differences from the baselines.

    Entity F1 counts each string that could not be placed as a wrong entity; `placed_only` leaves
    such strings out, as if they had not been written. `any_type` leaves the types aside.
    """
    gold, tags = list(data.splits["test"]["ner_tags"]), [each.tags for each in read]
    clusters, unit = tag_scores.drawn(data, "test")
    placed = _entities(data, tags)
    untyped = m.entity_counts(_untyped(gold), _untyped(tags), clusters, [ANY])[:, 0]
    dropped = np.zeros_like(placed)
    places = {cluster: row for row, cluster in enumerate(dict.fromkeys(clusters))}
    answered = np.zeros((len(places), 2))
    for cluster, each in zip(clusters, read, strict=True):
        dropped[places[cluster], 1] += len(each.unplaced)
        answered[places[cluster]] += [bool(each.problem), 1]
    own = placed + dropped
    n = int(own[:, 2].sum())
    found = {
        "entity_f1_placed_only": measure(placed, m.f1, n=n, clusters=unit),
        "entity_f1_any_type": measure(untyped + dropped, m.f1, n=n, clusters=unit),
        "unparsed": measure(
            answered, lambda sums: sums[..., 0] / sums[..., 1], n=len(read), clusters=unit
        ),
    }
    others = {
        "majority": tag_scores.outside(data),
        "lexicon": tag_scores.remembered(data),
        "lexicon of the shots": _shown(data, asked),
    }
    differences = {
        name: difference(np.stack([own, _entities(data, other)], axis=1), m.f1, n=n, clusters=unit)
        for name, other in others.items()
    }
    return Scored(
        {f"test/{name}": metric for name, metric in found.items() if metric},
        {name: tag_scores.baseline(data, other) for name, other in others.items()},
        {name: {"test/entity_f1": metric} for name, metric in differences.items() if metric},
    )


def _shown(data: NerData, asked: Asked) -> list[list[str]]:
    """Tags of the test split by remembering the entities of each sentence's own shots."""
    train, found = data.splits["train"], []
    words, tags = list(train["tokens"]), list(train["ner_tags"])
    for shots, sentence in zip(asked.shots, data.splits["test"]["tokens"], strict=True):
        lexicon = Lexicon()
        lexicon.fit([words[place] for place in shots], [tags[place] for place in shots])
        found.append(lexicon.predict(sentence))
    return found


def _entities(data: NerData, tags: Tags) -> Counts:
    """Correct, predicted and gold entities of each cluster [clusters, 3]."""
    clusters, _ = tag_scores.drawn(data, "test")
    gold = list(data.splits["test"]["ner_tags"])
    return m.entity_counts(gold, tags, clusters, data.types).sum(axis=1)


def _untyped(tags: Tags) -> list[list[str]]:
    return [[tag if tag == "O" else f"{tag[:2]}{ANY}" for tag in row] for row in tags]


def data_issues(
    config: Config,
    model: CausalLM,
    data: NerData,
    sample: NerData,
    asked: Asked,
    read: Sequence[Read],
) -> dict[str, DataIssue]:
    """What was not asked, not parsed or not placed, and what no answer could have said."""
    rows, train = sample.splits["test"], list(sample.splits["train"]["tokens"])
    gold = [
        ner_answers.write(row["tokens"], row["ner_tags"], asked.form, asked.kinds) for row in rows
    ]
    long = [len(model.encode(answer + STOPS[asked.form])) > config.max_tokens for answer in gold]
    own = [
        any(train[place] == words for place in shots)
        for shots, words in zip(asked.shots, rows["tokens"], strict=True)
    ]
    problems = [each.problem for each in read]
    n, whole, kept = len(read), len(data.splits["test"]), sum(map(len, asked.shots))
    wanted = sum(len(spans(tags)) for tags in rows["ner_tags"])
    counts = {
        "not_asked": (whole - n, whole, "test sentences that were not asked about (items)"),
        "unparsed": (problems.count(UNPARSED), n, "answers that don't follow the grammar"),
        "cut": (problems.count(CUT), n, "answers not at their end after max_tokens, unparsed"),
        **_of_strings([match for each in read for match in each.outcomes]),
        "long_gold": (sum(long), n, "sentences whose right answer needs more than max_tokens"),
        "format": (_unsaid(gold, sample, asked), wanted, "entities lost by a right answer"),
        "own_shots": (sum(own), n, "sentences that stand among their own shots (kept)"),
        "dropped_shots": (
            asked.dropped_shots,
            asked.dropped_shots + kept,
            "shots left out because the prompt would not fit the model",
        ),
    }
    return {name: DataIssue(count=c, of=of, note=note) for name, (c, of, note) in counts.items()}


def _of_strings(outcomes: Sequence[MatchOutcome]) -> dict[str, tuple[int, int, str]]:
    """What became of the written strings: count, of how many, and a note."""
    counts = {
        name: (sum(match.outcome == name for match in outcomes), len(outcomes), note)
        for name, note in (PLACED | DROPPED).items()
        if name != "exact"
    }
    placed = [match.ambiguous for match in outcomes if match.span]
    note = "strings with more places left than times written; the first was taken"
    return counts | {"ambiguous": (sum(placed), len(placed), note)}


def _unsaid(answers: Sequence[str], data: NerData, asked: Asked) -> int:
    """Gold entities that are not found again in the answers that name them."""
    lost = 0
    for answer, row in zip(answers, data.splits["test"], strict=True):
        named = ner_answers.parse(answer, row["tokens"], asked.form, asked.kinds) or []
        outcomes = ner_answers.place(row["tokens"], named)
        lost += len(spans(row["ner_tags"]) - {match.span for match in outcomes if match.span})
    return lost


def tables(names: Sequence[str], asked: Asked, read: Sequence[Read]) -> dict[str, Any]:
    """The first prompt with its answer, and of each thing that went wrong a count and examples."""
    wrong: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for each in read:
        row = {"sentence": ner_answers.sentence(each.words), "answer": each.answer, "text": ""}
        if each.problem:
            wrong[each.problem].append(row)
        for match in each.outcomes:
            kinds = [match.outcome, *(["ambiguous"] if match.ambiguous else [])]
            for kind in kinds:
                wrong[kind].append(row | {"text": match.written.text})
    first = {"item": names[0], "prompt": asked.prompts[0], "answer": read[0].answer}
    outcomes = {
        name: {"count": len(found), "examples": found[:EXAMPLES] if name != "exact" else []}
        for name, found in wrong.items()
    }
    return {"prompt": first, "outcomes": outcomes}


def asking(
    model: CausalLM, asked: Asked, read: Sequence[Read], times: Mapping[str, float]
) -> dict[str, Any]:
    """What the sentences cost: seconds by part of the work, tokens read and written."""
    return {
        "sentences": len(read),
        "seconds": dict(times),
        "read": sum(len(model.encode(prompt)) for prompt in asked.prompts),
        "written": sum(each.tokens for each in read),
    }


def keep(directory: Path | None, names: Sequence[str], asked: Asked, read: Sequence[Read]) -> None:
    """Write every prompt and answer with what became of it to the run directory, if there is one.

    A line a sentence: item, shots by their places in the training split, prompt, answer, problem,
    and of each written string its type, outcome and words.
    """
    if directory is None:
        return
    lines = []
    for name, shots, prompt, each in zip(names, asked.shots, asked.prompts, read, strict=True):
        strings = [
            {
                "type": match.written.kind,
                "text": match.written.text,
                "outcome": match.outcome,
                "ambiguous": match.ambiguous,
                "words": list(match.span[1:]) if match.span else None,
            }
            for match in each.outcomes
        ]
        line = {"item": name, "shots": shots, "prompt": prompt, "answer": each.answer}
        lines.append(json.dumps(line | {"problem": each.problem, "strings": strings}) + "\n")
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / prompt_record.WRITTEN, "".join(lines))
