"""Lists of words, tokenized as the words would be in running text."""

from typing import Any

from workbench.core.unspaced import begins_unspaced

SAMPLE = "a 1996 b."
"""Words that tokenizers read in their own ways, to see that lists of them keep their spaces."""
SPACE = "\u2581"
"""In SentencePiece's tokens, a space."""


def space_before(tokenizer: Any) -> str | None:
    """What a listed word must begin with to be read as in a text: nothing, or a space.

    None where neither does it.
    """
    for space in ("", " "):
        words = [space + word for word in SAMPLE.split()]
        listed = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
        if listed["input_ids"] == tokenizer(space + SAMPLE, add_special_tokens=False)["input_ids"]:
            return space
    return None


def unspaced(tokenizer: Any, word: str, tokens: list[int]) -> list[int]:
    """A word's tokens without SentencePiece's sign of a space, where none is written before it."""
    if not (tokens and begins_unspaced(word)):
        return tokens
    first = tokenizer.convert_ids_to_tokens(tokens[0])
    if first == SPACE:
        return tokens[1:]
    bare = first.removeprefix(SPACE)
    known = tokenizer.convert_tokens_to_ids(bare) if bare != first else None
    return tokens if known in (None, tokenizer.unk_token_id) else [known, *tokens[1:]]
