"""Which answers a decoder may write: one of some labels, or JSON of a schema.

Kept by llguidance (MIT), which says at each step which tokens may come next.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

from workbench.core.errors import ParameterError


@dataclass(frozen=True)
class Grammar:
    """Which answers there are, in llguidance's notation; ParameterError where that has faults."""

    notation: str
    labels: tuple[str, ...] = ()
    """All answers, where they can be listed."""

    def __post_init__(self) -> None:
        wrong, messages = LLMatcher.validate_grammar_with_warnings(self.notation)
        if wrong:
            raise ParameterError(
                f"answers can't be held to this grammar: {messages[0]}",
                expected="labels, or a JSON schema of keywords that llguidance knows",
            )

    @property
    def most_tokens(self) -> int:
        """Enough for any label, had each byte a token of its own; 0 without labels."""
        return max((len(label.encode()) + 1 for label in self.labels), default=0)


def one_of(labels: Sequence[str], *, end: str = "\n") -> Grammar:
    """The grammar of answers that are one of these labels, to the letter: spaces count.

    A label that begins another is meant where the model goes on with `end`, or ends the text; so
    no label may hold `end`.
    """
    if broken := [label for label in labels if end in label]:
        raise ParameterError(f"label {broken[0]!r} holds {end!r}, which ends labels")
    if not labels or "" in labels:
        raise ParameterError(f"labels to write: {list(labels)}", expected="one at least, none ''")
    listed = " | ".join(json.dumps(label) for label in dict.fromkeys(labels))
    notation = f"start: ({listed}) end?\nend: {json.dumps(end)} /(?s:.*)/"
    return Grammar(LLMatcher.grammar_from_lark(notation), tuple(dict.fromkeys(labels)))


def json_of(schema: Mapping[str, Any]) -> Grammar:
    """The grammar of JSON texts of a schema, without spaces between their parts.

    A keyword that can't be enforced is refused, so that each answer that ended is valid.
    """
    strict: Any = {"whitespace_flexible": False, "lenient": False}
    return Grammar(LLMatcher.grammar_from_json_schema(dict(schema), overrides=strict))


@lru_cache(maxsize=4)
def automaton(tokenizer: Any, size: int, ends: frozenset[int]) -> LLTokenizer:
    """A tokenizer as grammars read it: a second's work, so it is kept."""
    try:
        return from_tokenizer(tokenizer, n_vocab=size, eos_token=sorted(ends) or None)
    except ValueError as error:
        raise ParameterError(
            f"a tokenizer of kind {type(tokenizer).__name__} can't be held to a grammar: {error}",
            expected="a fast tokenizer, one with a tokenizer.json",
        ) from error
