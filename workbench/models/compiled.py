"""Training through a compiled network: a few shapes of batches, each compiled once.

A small encoder's step is many small kernels, and starting them takes a GPU longer than running
them. Compiled, they are fused, and on a GPU recorded as one CUDA graph for each shape. Graphs need
batches of equal shapes, so a batch is padded to the next of a coarse grid of them.
"""

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

WIDTHS, ROWS = 32, 8
"""Steps of the grid: tokens of a row, and rows; on a processor each row costs, so none is added."""
MOST = 8
"""Most shapes that are compiled; a batch of any other runs as it is."""


class Compiled:
    """Reads batches with a network, compiled for the first MOST shapes of the grid."""

    def __init__(self, network: nn.Module, longest: int, *, backend: str = "inductor") -> None:
        """For rows of at most `longest` tokens, which is where positions end.

        Compiling itself comes with the first batch of a shape, and takes seconds to minutes.
        """
        self.network, self.longest = network, longest
        self.shapes = set[tuple[int, int]]()
        on_gpu = next(network.parameters()).device.type == "cuda"
        self.rows = ROWS if on_gpu else 1
        mode = "reduce-overhead" if on_gpu and backend == "inductor" else None
        # Each network counts its own shapes; torch's stubs don't know of that yet.
        options: dict[str, Any] = {"mode": mode, "isolate_recompiles": True}
        self._run = torch.compile(_states, dynamic=False, backend=backend, **options)

    def __call__(self, attention_mask: Tensor, inputs: dict[str, Tensor]) -> Tensor:
        """Last hidden states [B, T, H] of a mask [B, T] and inputs [B, T] or [B, T, H]."""
        rows, width = attention_mask.shape
        widest = max(width, self.longest)
        shape = (rows + -rows % self.rows, min(width + -width % WIDTHS, widest))
        if shape not in self.shapes and len(self.shapes) == MOST:
            return _states(self.network, attention_mask, inputs)
        self.shapes.add(shape)
        more_rows, more_width = shape[0] - rows, shape[1] - width
        mask = pad(attention_mask, (0, more_width))
        # A row of padding reads itself: attention to nothing has no softmax.
        mask = pad(mask, (0, 0, 0, more_rows), value=1)
        around = {2: (0, more_width, 0, more_rows), 3: (0, 0, 0, more_width, 0, more_rows)}
        padded = {name: pad(value, around[value.ndim]) for name, value in inputs.items()}
        torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
        with warnings.catch_warnings():
            # The compiler looks whether embeddings, which come from a layer, have gradients.
            warnings.filterwarnings(
                "ignore", r"The \.grad attribute of a Tensor that is not a leaf"
            )
            return self._run(self.network, mask, padded)[:rows, :width]


def _states(network: nn.Module, attention_mask: Tensor, inputs: dict[str, Tensor]) -> Tensor:
    return network(attention_mask=attention_mask, **inputs).last_hidden_state
