"""How long the default suite's runs take on a machine where none of them has run yet.

Times of the README's machine, and how fast this one is beside it in a short test. The test counts
matrix products alone, so what comes of it is an estimate: half or twice of it is usual.
"""

import time
from collections.abc import Mapping
from functools import cache

from workbench.batch.plan import Job
from workbench.core.errors import ParameterError

REFERENCE_GFLOPS = 400.0
"""Of two cores with AVX-512 bfloat16, on the shapes of a small encoder, in bfloat16."""
REFERENCE_S: Mapping[str, float] = {
    "00_template": 10,
    "10_inspect_pretraining": 120,
    "20_fine_tuning": 180,
    "30_prompting": 240,
    "30_prompting dataset=conll2003 shot_seeds=1": 180,
    "31_multiple_choice": 40,
    "31_multiple_choice distractors=near": 40,
    "32_prompted_ner": 60,
    "35_contest": 240,
    "40_finance": 150,
    "50_ner": 180,
    "60_language_transfer": 80,  # as without bfloat16: nearly all of it is in float32
    "70_recommendation": 120,  # 192 s without bfloat16, where others take about 1.6 times as long
}
"""Notebook and parameters that are not its own -> seconds on that machine, as in the README."""
TEST_S = 1.0
SHAPE = (1024, 384, 1536)
"""Rows, inner and outer size of the products: a batch in the widest layer of a small encoder."""


def expected(job: Job) -> float | None:
    """Seconds that a run of the default suite may take here; None for any other run.

    None beside a GPU too, of which the test says nothing.
    """
    seconds = REFERENCE_S.get(key(job))
    found = gflops() if seconds is not None else None
    return seconds * REFERENCE_GFLOPS / found if seconds and found else None


def key(job: Job) -> str:
    """The notebook, and the parameters that are not its own once a task has read those."""
    try:
        own = job.notebook.config.check(job.notebook.parameters).model_dump(mode="json")
    except ParameterError:  # of a cell that is only right with other values
        return ""
    values = job.config.model_dump(mode="json").items()
    changed = (f"{name}={value}" for name, value in values if own[name] != value)
    return " ".join([job.notebook.name, *changed])


@cache
def gflops() -> float | None:
    """Best rate of this processor in a second, in the precision it trains in; None beside a GPU."""
    import torch

    from workbench.core import machine

    place = machine.device()
    if place.type != "cpu":
        return None
    rows, inner, outer = SHAPE
    dtype = machine.precision("auto", place)
    left, right = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, outer, dtype=dtype)
    best, end = float("inf"), time.monotonic() + TEST_S
    # The best of many: other work beside makes most of them slower.
    while time.monotonic() < end:
        began = time.perf_counter()
        left @ right
        best = min(best, time.perf_counter() - began)
    return 2 * rows * inner * outer / best / 1e9
