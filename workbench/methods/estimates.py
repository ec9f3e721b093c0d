"""What prompting and learning from ever more labels will take: said before they start."""

import time
from collections.abc import Sequence

from workbench.core.machine import peak_memory_mb
from workbench.decoding.score import log_likelihoods
from workbench.methods.classifiers import Reading, encode
from workbench.methods.embeddings import MOST_PAIRS, ROUNDS
from workbench.methods.learners import BITFIT, FULL, HEAD, LORA, NEAREST, SETFIT
from workbench.methods.prompt_scores import Asked, Draw
from workbench.methods.templates import Template
from workbench.models.causal_lm import CausalLM
from workbench.models.encoder import Encoder
from workbench.record.result import duration

PROBE = 16
"""Texts read by the clock."""
WORTH_TOKENS = 20_000
"""Fewer tokens are read sooner than an estimate is made."""
WORTH_SECONDS = 10
BACKWARD = 3
"""A training step in forward passes: its backward pass takes twice as long (Kaplan et al. 2020,
"Scaling Laws for Neural Language Models", section 2.1)."""


def scoring(asked: Asked, draws: Sequence[Draw]) -> float | None:
    """Print how many tokens the scoring of all prompts reads, how long that takes, and memory.

    Returns the seconds; None, and nothing is printed, where little is to be read. The first texts
    are scored once more than needed, in the longest prompts, to measure tokens per second; batches
    of more texts are faster, so it is rather too long than too short.
    """
    jobs = [(template, drawn) for drawn in draws for template in asked.prompts.templates]
    count = len(asked.items) + len(asked.sample)
    shared, each = zip(*(_lengths(asked, *job) for job in jobs), strict=True)
    total = sum(shared) + count * sum(each)
    if total < WORTH_TOKENS:
        return None
    template, drawn = jobs[max(range(len(jobs)), key=lambda job: shared[job] + each[job])]
    contexts = _contexts(asked, template, drawn)
    answers = asked.prompts.answers(template)
    log_likelihoods(asked.model, contexts[:1], answers, dtype=asked.dtype, progress="measuring")
    began = time.monotonic()
    found = log_likelihoods(asked.model, contexts, answers, dtype=asked.dtype, progress="measuring")
    speed = found.read / (time.monotonic() - began)
    print(
        f"scoring: {len(jobs)} prompts for {count:,} texts and {len(answers):,} labels, "
        f"{total:,.0f} tokens, about {duration(total / speed)} at {speed:,.0f} tokens/s; at least "
        f"{_memory(asked.model)}. Written answers and training are not counted. Fewer items, shots "
        "or draws shorten it, and so do fewer tokens of a text.",
        flush=True,
    )
    return total / speed


def _memory(model: CausalLM | Encoder) -> str:
    """Most memory held so far, on the GPU where the model is on one."""
    peak = peak_memory_mb(model.device)
    kind = "gpu" if "gpu" in peak else "resident"
    return f"{peak[kind]:,.0f} MiB {kind} memory"


def _lengths(asked: Asked, template: Template, drawn: Draw) -> tuple[float, float]:
    """Tokens that all texts share in a prompt, read once; and the mean of each text's own."""
    plain = [len(asked.model.encode(template.fill([], each))) for each in asked.items[:PROBE]]
    whole = [len(asked.model.encode(text)) for text in _contexts(asked, template, drawn)]
    answers = sum(len(asked.model.encode(answer)) for answer in asked.prompts.answers(template))
    capacity = asked.model.capacity
    if drawn.own:
        return 0, sum(min(each, capacity) for each in whole) / len(whole) + answers
    mean = sum(plain) / len(plain)
    return max(0, min(sum(whole) / len(whole), capacity) - mean), mean + answers


def _contexts(asked: Asked, template: Template, drawn: Draw) -> list[str]:
    """The prompts of the first items, with as many examples as fit the model."""
    room = asked.model.capacity - asked.prompts.new_tokens
    for kept in range(drawn.count, -1, -1):
        shown = drawn.kept(kept)
        found = [
            template.fill(shown.of(place), each) for place, each in enumerate(asked.items[:PROBE])
        ]
        if max(len(asked.model.encode(text)) for text in found) <= room:
            break
    return found


def learning(
    methods: Sequence[tuple[str, Encoder]],
    sizes: Sequence[int],
    epochs: Sequence[int],
    draws: int,
    texts: Sequence[str],
    reading: Reading,
) -> float | None:
    """Print how long methods take to learn from every size of every draw, and to answer; memory.

    `methods` are names as in `adaptation`, each with the encoder that it adapts; `epochs` are the
    passes over each of the sizes; `texts` are those to answer for. Memory is the most held so far:
    what trains adds to it. Returns the seconds; None, and nothing is printed, where it is short.
    """
    speeds: dict[int, float] = {}
    total = 0.0
    for method, encoder in methods:
        if id(encoder) not in speeds:
            probe = [*texts[:PROBE]]
            encode(encoder, probe[:1], reading)
            began = time.monotonic()
            encode(encoder, probe, reading)
            speeds[id(encoder)] = (time.monotonic() - began) / len(probe)
        read = sum(
            _texts_read(method, size, passes, len(texts))
            for size, passes in zip(sizes, epochs, strict=True)
        )
        total += draws * read * speeds[id(encoder)]
    if total < WORTH_SECONDS:
        return None
    count = len(methods) * len(sizes) * draws
    print(
        f"learning: {count:,} trainings, about {duration(total)}, prompts not counted; at least "
        f"{_memory(methods[0][1])}. Fewer methods, draws or items shorten it, and so does a "
        "smaller largest size.",
        flush=True,
    )
    return total


def _texts_read(method: str, size: int, epochs: int, asked: int) -> float:
    """Texts that one training and its answers read, in forward passes of the encoder."""
    if method in {FULL, LORA, BITFIT}:
        return BACKWARD * epochs * size + asked
    if method == SETFIT:
        pairs = min(MOST_PAIRS, 2 * ROUNDS * size)
        return BACKWARD * 2 * pairs + size + asked
    return size + asked if method in {HEAD, NEAREST} else 0.0
