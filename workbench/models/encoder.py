"""Pretrained encoders, and a head that gives each word a label.

A word is read at its first token. An uncased tokenizer hides letter case; an added embedding,
zero at first, gives it back.
"""

import copy
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import AutoConfig, AutoModel

from workbench.core import machine
from workbench.core.described import Described
from workbench.core.sources import Source
from workbench.models import bidirectional, e5_file, float_copy
from workbench.models.causal_lm import is_causal
from workbench.models.checkpoint import Folder, check
from workbench.models.compiled import Compiled
from workbench.models.head import Head
from workbench.models.listed_words import space_before, unspaced
from workbench.models.loading import (
    UNREADABLE,
    check_vocabulary,
    first_line,
    read_network,
    read_tokenizer,
)
from workbench.models.windows import (
    Batch,
    Segment,
    TextWindows,
    Window,
    collate,
    even_spans,
    split_long,
)

OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "xlm-roberta-xl", "longformer")
"""Model types that count positions from the padding token's id plus one."""
SHORT = 256
"""Tokens of a window up to which a processor trains faster without torch's fused attention, whose
backward pass is made for long ones (docs/log.md)."""
PLAIN = {"add_special_tokens": False, "verbose": False}
"""How texts are tokenized: without special tokens, and without a word on long ones, which are read
in windows."""
SHAPES = ("none", "lower", "capitalised", "capital letter", "upper", "mixed")


def word_shape(word: str) -> int:
    """Letter-case class of a word, an index into SHAPES.

    >>> [SHAPES[word_shape(word)] for word in ("1996", "said", "Paris", "U", "EU", "McCoy")]
    ['none', 'lower', 'capitalised', 'capital letter', 'upper', 'mixed']
    """
    letters = [letter for letter in word if letter.isalpha()]
    upper = [letter.isupper() for letter in letters]
    if not letters:
        return 0
    if not any(upper):
        return 1
    if all(upper):
        return 3 if len(letters) == 1 else 4
    return 2 if upper[0] and not any(upper[1:]) else 5


class Encoder(Described, nn.Module):
    """A pretrained encoder and its tokenizer: hidden states for the subword tokens of windows."""

    def __init__(self, source: Source, *, casing: bool = True) -> None:
        """Load tokenizer and safetensors weights from `source.path` onto the run's device.

        `casing` adds the letter-case embedding where the tokenizer ignores case. Raises
        ParameterError where the folder holds another kind of model, IntegrityError where it can't
        be read, MachineError where the memory is too small.
        """
        super().__init__()
        self.source = source
        self.tokenizer, self.network, self.prompts = _load(source)
        if (space := space_before(self.tokenizer)) is None:
            folder = Folder(source, "encoder", source.path)
            raise folder.refused("its tokenizer loses the spaces between listed words")
        self.space = space
        self.compiled: Compiled | None = None
        self.shapes = None
        if casing and self.tokenizer.tokenize("Ab") == self.tokenizer.tokenize("ab"):
            inputs = self.network.get_input_embeddings()
            self.shapes = nn.Embedding(
                len(SHAPES), inputs.embedding_dim, device=inputs.weight.device
            )
            nn.init.zeros_(self.shapes.weight)
            if getattr(self.network.config, "word_shapes", False):
                # Learned before and written into the token types, of which row 0 is always added.
                types = self.network.get_submodule("embeddings.token_type_embeddings").weight
                self.shapes.weight.data = (types - types[:1]).detach().clone()

    @property
    def width(self) -> int:
        """Size H of a hidden state."""
        return self.network.config.hidden_size

    @property
    def capacity(self) -> int:
        """Maximum number of tokens in a window, its two special tokens not counted."""
        config = self.network.config
        positions = config.max_position_embeddings
        if config.model_type in OFFSET_POSITIONS:
            positions -= config.pad_token_id + 1
        return min(positions, self.tokenizer.model_max_length) - 2

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def describe(self) -> str:
        """Size, kind, device, and what was added."""
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        config = self.network.config
        dtype, devices = machine.held(self.network)
        added = ", letter-case embedding added" if self.shapes is not None else ""
        added += ", no dropout"
        return (
            f"{self.source.name}: {self.source.about}\n"
            f"{config.model_type}, {config.num_hidden_layers} layers of {self.width}, "
            f"{weights / 1e6:.1f} M parameters, held in {dtype} on {devices}\n"
            f"windows up to {self.capacity} tokens{added}"
        )

    def forward(self, batch: Batch) -> Tensor:
        """Hidden states [W, H] of each word's first token."""
        return self.states(batch).flatten(0, 1)[batch.positions]

    def states(self, batch: Batch) -> Tensor:
        """Hidden states [B, T, H] of all tokens, padding among them."""
        embedded = self.network.get_input_embeddings()(batch.input_ids)
        if self.shapes is not None:
            embedded = embedded + self.shapes(batch.shapes)
        return self._read(inputs_embeds=embedded, attention_mask=batch.attention_mask)

    def encode(
        self, texts: Sequence[str], max_tokens: int, kind: str = ""
    ) -> tuple[list[list[int]], TextWindows]:
        """Token ids of the windows of texts, with this model's special tokens; whose they are.

        A window holds at most `max_tokens` tokens, its two special tokens not counted, and never
        more than the model can. Where embeddings are compared, `kind` is "query", or "passage" for
        what is looked for by one: each window begins as the model wants such texts to; most models
        want nothing.
        """
        limit, prompt = min(max_tokens, self.capacity), self.prompts.get(kind, "")
        own = min(len(self.tokenizer(prompt.strip(), **PLAIN)["input_ids"]), limit // 2)
        encoded = self.tokenizer([prompt + text for text in texts], **PLAIN)
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        rows, owners, cut = [], [], 0
        for text, tokens in enumerate(encoded["input_ids"]):
            begin, rest = [first, *tokens[:own]], tokens[own:]
            spans = even_spans(encoded.word_ids(text)[own:], limit - own)
            rows += [[*begin, *rest[start:end], last] for start, end in spans]
            owners += [text] * len(spans)
            cut += spans[-1][1] < len(rest)
        return rows, TextWindows(np.array(owners, int), np.array([*map(len, rows)], int), cut)

    def pooled(
        self, input_ids: Tensor, attention_mask: Tensor, attention: nn.Module | None = None
    ) -> Tensor:
        """Mean [B, H] of each row's last hidden states; ids and mask are [B, T].

        Weighted by the softmax of the scores [B, T, 1] that `attention` gives them, where it is
        there. Sources: Reimers and Gurevych 2019, "Sentence-BERT", section 3; Yang et al. 2016,
        "Hierarchical Attention Networks for Document Classification", section 2.2, here with
        scores that are linear in the states.
        """
        states = self._read(input_ids=input_ids, attention_mask=attention_mask)
        if attention:
            scores = attention(states).float().squeeze(-1)
            weights = scores.masked_fill(attention_mask == 0, -math.inf).softmax(-1)
            return (states * weights.unsqueeze(-1).to(states.dtype)).sum(1)
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)

    def _read(self, *, attention_mask: Tensor, **inputs: Tensor) -> Tensor:
        """Last hidden states [B, T, H]."""
        short = attention_mask.shape[1] <= SHORT and self.device.type == "cpu"
        plain = sdpa_kernel(SDPBackend.MATH) if short and torch.is_grad_enabled() else nullcontext()
        with plain:
            if self.compiled and torch.is_grad_enabled():
                return self.compiled(attention_mask, inputs)
            return self.network(attention_mask=attention_mask, **inputs).last_hidden_state

    def train_compiled(self) -> None:
        """From now on train through a compiled network; what only reads runs as it is."""
        self.compiled = Compiled(self.network, self.capacity + 2)

    def segments(self, sentences: list[list[str]], documents: list[int]) -> list[Segment]:
        """Subword tokens of all sentences; only one longer than the model is cut, between words.

        A word that the tokenizer reduces to nothing becomes its unknown token.
        """
        found: list[Segment] = []
        texts = [[self.space + word for word in words] for words in sentences]
        encoded = self.tokenizer(texts, is_split_into_words=True, **PLAIN)
        for index, words in enumerate(sentences):
            tokens: list[list[int]] = [[] for _ in words]
            for token, word in zip(
                encoded["input_ids"][index], encoded.word_ids(index), strict=True
            ):
                tokens[word].append(token)
            unknown = [self.tokenizer.unk_token_id]
            whole = Segment(
                sentence=index,
                document=documents[index],
                first_word=0,
                tokens=[
                    unspaced(self.tokenizer, word, own) or unknown
                    for word, own in zip(words, tokens, strict=True)
                ],
                shapes=[word_shape(word) for word in words],
            )
            found += split_long(whole, self.capacity)
        return found

    def collate(self, windows: Sequence[Window]) -> Batch:
        """The batch of some windows, with this model's special tokens, on its device."""
        batch = collate(
            windows,
            start=self.tokenizer.cls_token_id,
            end=self.tokenizer.sep_token_id,
            padding=self.tokenizer.pad_token_id,
        )
        return batch.to(self.device)


class TokenClassifier(nn.Module):
    """A copy of an encoder with a head: one of `labels` for each word."""

    def __init__(self, encoder: Encoder, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = list(labels)
        self.encoder = copy.deepcopy(encoder)
        self.head = Head(encoder.width, len(labels)).to(encoder.device)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [W, labels]."""
        return self.head(self.encoder(batch))


def _load(source: Source) -> tuple[Any, Any, dict[str, str]]:
    folder = Folder(source, "encoder", source.path)
    if is_causal(source):
        try:
            return (*bidirectional.load(source), {})
        except ValueError as error:
            raise folder.refused(str(error)) from error
    if file := float_copy.file_of(source, e5_file.SUFFIX):
        path = float_copy.folder_of(source, file, e5_file.convert)
        folder = Folder(source, "encoder", path, float_copy.repair(file, path))
    found = check(folder)
    try:
        config = AutoConfig.from_pretrained(
            folder.path, trust_remote_code=False, local_files_only=True
        )
    except UNREADABLE as error:
        raise folder.refused(first_line(error)) from error
    for name, value in list(vars(config).items()):
        # No dropout: on a processor its random numbers cost more than the matrix products,
        # and a few epochs don't overfit (docs/log.md).
        if "dropout" in name and isinstance(value, float):
            setattr(config, name, 0.0)
    # Byte-level tokenizers read a word of a list as they would after a space.
    tokenizer = read_tokenizer(found, config=config, add_prefix_space=True)
    # In float32, for it is also trained.
    network = read_network(AutoModel, found, "float32", several=False, config=config)
    special = (tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id)
    if not tokenizer.is_fast or None in (*special, tokenizer.unk_token_id):
        raise folder.refused("its tokenizer lacks one of [CLS], [SEP], [PAD] and [UNK]")
    check_vocabulary(found, tokenizer, network)
    return tokenizer, network, found.prompts
