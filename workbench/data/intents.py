"""What people ask of their homes, by intent: sentences out of templates in many languages."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pandas
import yaml
from hassil import expression, intents

from workbench.data.near import sha256

LANGUAGES = {"intents_de": "de", "intents_en": "en", "intents_zh": "zh"}
"""Catalogue data set -> its language."""
FILE = "templates.json"
WORDS = Path(__file__).with_suffix(".yaml")
"""Names that a household chooses itself, of our own."""
FEWEST = 4
"""Templates of an intent; one of fewer is left out, for it would not be in training and test."""
TRIES = 5
"""Draws of a template until its sentence is a new one."""
TRAIN, VALIDATION = 0.5, 0.6
"""Where the splits end among an intent's templates in the order of their hashes; the rest tests."""


def sentences(path: Path, language: str, counts: Counter[str]) -> dict[str, pandas.DataFrame]:
    """A table by split: one sentence `text` of each template, and its intent, `label`.

    A template is drawn from at random, the same way in every run: an alternative of each group,
    with or without what is optional, numbers in digits, names of our own (WORDS). Splits are of
    templates, so that no test sentence is another draw of a template in training; every intent is
    in training and in test. `counts` gets the `templates`, those of `rare_intents`, and those that
    were `redrawn` without a new sentence.
    """
    home = intents.Intents.from_dict(json.loads((path / FILE).read_text(encoding="utf-8")))
    words = yaml.safe_load(WORDS.read_text(encoding="utf-8"))[language]
    own_words = {name: intents.TextSlotList.from_strings(values) for name, values in words.items()}
    found: dict[str, list[tuple[str, str]]] = {"train": [], "validation": [], "test": []}
    seen: set[str] = set()
    for name, intent in home.intents.items():
        templates = [
            (text, sentence.expression, block)
            for block in intent.data
            for text, sentence in zip(block.sentence_texts, block.sentences, strict=True)
        ]
        counts["templates"] += len(templates)
        if len(templates) < FEWEST:
            counts["rare_intents"] += len(templates)
            continue
        # The order of hashes is random and the same in every run; repeats stay in one split.
        templates.sort(key=lambda template: sha256(template[0]))
        places = {text: place for place, (text, _, _) in reversed([*enumerate(templates)])}
        for text, form, block in templates:
            chance = random.Random(f"{language}/{name}/{text}")
            lists = home.slot_lists | own_words | block.slot_lists
            draw = _Draw(chance, lists, home.expansion_rules | block.expansion_rules)
            sentence = next((one for _ in range(TRIES) if (one := draw(form)) not in seen), None)
            if sentence is None:
                counts["redrawn"] += 1
                continue
            seen.add(sentence)
            found[_split(places[text] / len(templates))].append((sentence, _label(name)))
    return {
        split: pandas.DataFrame(rows, columns=["text", "label"]) for split, rows in found.items()
    }


class _Draw:
    """Draws sentences of templates."""

    def __init__(self, chance: random.Random, lists: dict[str, Any], rules: dict[str, Any]) -> None:
        self.chance, self.lists, self.rules = chance, lists, rules

    def __call__(self, form: Any) -> str:
        """One sentence, its white space as in running text."""
        return " ".join(self._draw(form).split())

    def _draw(self, form: Any) -> str:
        match form:
            case expression.TextChunk():
                return form.original_text
            case expression.Alternative():
                return self._draw(self.chance.choice(form.items))
            case expression.Permutation():
                return " ".join(map(self._draw, self.chance.sample(form.items, len(form.items))))
            case expression.Group():
                return "".join(map(self._draw, form.items))
            case expression.RuleReference():
                return self._draw(self.rules[form.rule_name].expression)
            case expression.ListReference():
                return (form.prefix or "") + self._listed(form) + (form.suffix or "")
        raise ValueError(f"unknown part of a template: {type(form).__name__}")

    def _listed(self, form: expression.ListReference) -> str:
        if form.is_inline_range:
            start, stop, step = form.get_inline_range() or (0, 0, 1)
            return str(self.chance.randrange(start, stop + 1, step))
        own = self.lists[form.list_name]
        if isinstance(own, intents.RangeSlotList):
            return str(self.chance.randrange(own.start, own.stop + 1, own.step))
        return self._draw(self.chance.choice(own.values).text_in)


def _split(place: float) -> str:
    """The split at a place among an intent's templates, from 0 to 1."""
    if place < TRAIN:
        return "train"
    return "validation" if place < VALIDATION else "test"


def _label(name: str) -> str:
    """An intent's name in words.

    >>> _label("HassTurnOn")
    'turn on'
    """
    letters = "".join(f" {c.lower()}" if c.isupper() else c for c in name.removeprefix("Hass"))
    return letters.strip()
