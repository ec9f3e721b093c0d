"""Sentences of a document packed into windows, long texts parted into them, and their batches.

Each sentence gets its neighbours as context at no extra tokens, and every word is predicted.
"""

import dataclasses
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NO_SHAPE = 0
MAX_WINDOWS = 16
"""Maximum number of windows read of a text to classify. Of 128 tokens each they hold 2,048, more
than nearly every review or news article, and a pasted log costs no more than sixteen texts."""


@dataclass(frozen=True)
class Segment:
    """Consecutive words of one sentence: a whole one, or a part of one longer than the model."""

    sentence: int
    document: int
    first_word: int
    tokens: list[list[int]]
    """Token ids of each word."""
    shapes: list[int]
    """Letter-case class of each word (see `encoder.word_shape`)."""

    @property
    def length(self) -> int:
        """Number of tokens."""
        return sum(map(len, self.tokens))


Window = list[Segment]


@dataclass(frozen=True)
class Batch:
    """Padded windows. B windows, T tokens, W words in all of them."""

    input_ids: Tensor  # [B, T]
    attention_mask: Tensor  # [B, T]
    shapes: Tensor  # [B, T]
    positions: Tensor  # [W], each word's first token as an index into the flattened B * T
    sentences: list[int]  # [W]
    words: list[int]  # [W], index of the word in its sentence
    tokens: int
    """Tokens without padding."""

    @property
    def items(self) -> list[int]:
        """The sentence of each word."""
        return self.sentences

    def to(self, device: torch.device) -> "Batch":
        """The same batch with its tensors on `device`."""
        names = ("input_ids", "attention_mask", "shapes", "positions")
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in names}
        return dataclasses.replace(self, **moved)

    def part(self, index: int, count: int) -> "Batch | None":
        """The windows `index`, `index + count`, ... with their words; None where there are none."""
        mask, width = self.attention_mask[index::count], self.attention_mask.shape[1]
        if not len(mask):
            return None
        rows, columns = self.positions // width, self.positions % width
        kept = (rows % count == index).nonzero().flatten()
        places = kept.tolist()
        return Batch(
            input_ids=self.input_ids[index::count],
            attention_mask=mask,
            shapes=self.shapes[index::count],
            positions=rows[kept] // count * width + columns[kept],
            sentences=[self.sentences[place] for place in places],
            words=[self.words[place] for place in places],
            tokens=int(mask.sum()),
        )


@dataclass(frozen=True)
class TextWindows:
    """Which of N texts each of W windows is part of, in the order of the texts."""

    texts: NDArray[np.intp]  # [W]
    tokens: NDArray[np.intp]  # [W], special tokens counted
    cut: int
    """Texts with words beyond their last window."""

    @property
    def counts(self) -> NDArray[np.intp]:
        """Number of windows of each text [N], one at least."""
        return np.bincount(self.texts)

    @property
    def lengths(self) -> NDArray[np.intp]:
        """Number of tokens of each text [N], over all its windows."""
        return np.bincount(self.texts, self.tokens).astype(int)

    @property
    def fractions(self) -> NDArray[np.float32]:
        """Each window's fraction of its text's tokens [W]: exactly 1 for an only window."""
        return (self.tokens / self.lengths[self.texts]).astype(np.float32)

    def turn(self, number: int) -> NDArray[np.intp]:
        """One window of each text [N], the first for `number` 0, the next for 1, and so on."""
        return np.cumsum(self.counts) - self.counts + number % self.counts


def even_spans(
    words: Sequence[int | None], size: int, most: int = MAX_WINDOWS
) -> list[tuple[int, int]]:
    """First token and end of each of a text's windows, which hold at most `size` tokens.

    `words` has the number of each token's word. Windows are about equally long and part no word,
    except one that fills half a window. Tokens beyond `most` windows are in none.

    >>> even_spans([0, 1, 2, 2, 3], 4)
    [(0, 2), (2, 5)]
    """
    spans: list[tuple[int, int]] = []
    start, total = 0, min(len(words), most * size)
    while len(spans) < most:
        if len(words) - start <= size:
            return [*spans, (start, len(words))]
        left = min(math.ceil((total - start) / size), most - len(spans))
        even = min((total - start) / left, size)
        whole = [n for n in range(1, size + 1) if words[start + n] != words[start + n - 1]]
        gap, length = min((abs(n - even), n) for n in [*whole, 2 * size])
        length = length if gap <= even / 2 else math.ceil(even)
        spans.append((start, start + length))
        start += length
    return spans


def split_long(segment: Segment, capacity: int) -> list[Segment]:
    """Cut a segment of more than `capacity` tokens between words.

    Of a single word longer than `capacity` the first tokens are kept, so it is still predicted.
    """
    if segment.length <= capacity:
        return [segment]
    segment = dataclasses.replace(segment, tokens=[word[:capacity] for word in segment.tokens])
    parts: list[Segment] = []
    start, room = 0, capacity
    for index, word in enumerate(segment.tokens):
        if len(word) > room:
            parts.append(_part(segment, start, index))
            start, room = index, capacity
        room -= len(word)
    return [*parts, _part(segment, start, len(segment.tokens))]


def _part(segment: Segment, start: int, end: int) -> Segment:
    return dataclasses.replace(
        segment,
        first_word=segment.first_word + start,
        tokens=segment.tokens[start:end],
        shapes=segment.shapes[start:end],
    )


def pack(segments: Sequence[Segment], capacity: int) -> list[Window]:
    """Fill windows of about `capacity` tokens with consecutive segments of one document.

    A document is spread evenly over the fewest windows that hold it; a segment longer than
    `capacity` gets a window of its own.
    """
    windows: list[Window] = []
    for document in _by_document(segments):
        total = sum(segment.length for segment in document)
        even = total / math.ceil(total / capacity)
        filled = capacity + 1
        for segment in document:
            if filled + segment.length > capacity or filled + segment.length / 2 > even:
                windows.append([])
                filled = 0
            windows[-1].append(segment)
            filled += segment.length
    return windows


def _by_document(segments: Sequence[Segment]) -> list[list[Segment]]:
    documents: list[list[Segment]] = []
    for segment in segments:
        if documents and documents[-1][-1].document == segment.document:
            documents[-1].append(segment)
        else:
            documents.append([segment])
    return documents


def batches(
    windows: Sequence[Window], max_tokens: int, *, shuffle: random.Random | None = None
) -> list[list[Window]]:
    """Group windows of like length so that a padded batch holds at most `max_tokens` tokens.

    With `shuffle`, windows of equal length change places and the batches come in random order.
    """
    lengths = [sum(segment.length for segment in window) for window in windows]
    groups = group_by_length(lengths, max_tokens, shuffle=shuffle)
    return [[windows[index] for index in group] for group in groups]


def group_by_length(
    lengths: Sequence[int], max_tokens: int, *, shuffle: random.Random | None = None
) -> list[list[int]]:
    """Indices of rows of like length, so that a padded group holds at most `max_tokens` tokens.

    Longest first, or with `shuffle` in random order. A row longer than `max_tokens` is alone.

    >>> group_by_length([2, 9, 3], 6)
    [[1], [2, 0]]
    """
    order = list(range(len(lengths)))
    if shuffle:
        shuffle.shuffle(order)
    order.sort(key=lambda index: lengths[index], reverse=True)
    grouped: list[list[int]] = []
    for index in order:
        # Longest first: a group's first row sets its padded length.
        if grouped and (len(grouped[-1]) + 1) * lengths[grouped[-1][0]] <= max_tokens:
            grouped[-1].append(index)
        else:
            grouped.append([index])
    if shuffle:
        shuffle.shuffle(grouped)
    return grouped


def collate(windows: Sequence[Window], *, start: int, end: int, padding: int) -> Batch:
    """Build the tensors of one batch; `start`, `end` and `padding` are special token ids."""
    rows, shapes, sentences, words, positions = [], [], [], [], []
    width = max(sum(segment.length for segment in window) for window in windows) + 2
    for row, window in enumerate(windows):
        ids, row_shapes = [start], [NO_SHAPE]
        for segment in window:
            for index, (tokens, shape) in enumerate(
                zip(segment.tokens, segment.shapes, strict=True)
            ):
                positions.append(row * width + len(ids))
                sentences.append(segment.sentence)
                words.append(segment.first_word + index)
                ids += tokens
                row_shapes += [shape] * len(tokens)
        rows.append([*ids, end])
        shapes.append([*row_shapes, NO_SHAPE])
    return Batch(
        input_ids=pad(rows, width, padding),
        attention_mask=pad([[1] * len(row) for row in rows], width, 0),
        shapes=pad(shapes, width, NO_SHAPE),
        positions=torch.tensor(positions),
        sentences=sentences,
        words=words,
        tokens=sum(map(len, rows)),
    )


def pad(rows: list[list[int]], width: int, value: int) -> Tensor:
    """Rows [B, width] filled up with `value`."""
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])
