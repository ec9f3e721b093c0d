"""The baseline of the CoNLL-2003 shared task: entities remembered from the training data."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from workbench.core.described import Described
from workbench.record.iob import spans

Phrase = tuple[str, ...]


class Lexicon(Described):
    """Tags every phrase that was an entity in training with its most frequent type, longest first.

    Source: Tjong Kim Sang and De Meulder 2003, section 3: precision 71.91, recall 50.90 and F1
    59.61 on the English test split.
    """

    def __init__(self) -> None:
        self.types: dict[Phrase, str] = {}
        self.longest = 0

    def describe(self) -> str:
        """What this model is."""
        return (
            "lexicon: remembers the training entities with their most frequent type; no parameters"
        )

    def fit(self, sentences: Iterable[Sequence[str]], tags: Iterable[Sequence[str]]) -> None:
        """Remember the entities of the training sentences."""
        seen: dict[Phrase, Counter[str]] = defaultdict(Counter)
        for words, labels in zip(sentences, tags, strict=True):
            for kind, start, end in spans(labels):
                seen[tuple(words[start:end])][kind] += 1
        # Equally frequent: the first in the alphabet, so that the order of the data is no matter.
        self.types = {
            phrase: min(kinds, key=lambda kind: (-kinds[kind], kind))
            for phrase, kinds in seen.items()
        }
        self.longest = max(map(len, self.types), default=0)

    def predict(self, words: Sequence[str]) -> list[str]:
        """IOB2 tags of one sentence."""
        tags = ["O"] * len(words)
        start = 0
        while start < len(words):
            end = self._match(words, start)
            if end > start:
                kind = self.types[tuple(words[start:end])]
                tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
            start = max(end, start + 1)
        return tags

    def _match(self, words: Sequence[str], start: int) -> int:
        """End of the longest known phrase at `start`, or `start`."""
        for end in range(min(len(words), start + self.longest), start, -1):
            if tuple(words[start:end]) in self.types:
                return end
        return start
