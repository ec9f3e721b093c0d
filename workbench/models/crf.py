"""A linear-chain conditional random field over a tagger's scores: tags depend on the tag before.

Source: Lafferty et al. 2001, "Conditional Random Fields", sections 3 and 4; as the last layer of
a tagger, Lample et al. 2016, "Neural Architectures for Named Entity Recognition", section 2.2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workbench import iob

NEVER = -1e4
"""Score of a step that IOB2 forbids; finite, so that gradients are."""


class Crf(nn.Module):
    """Scores of steps from one tag to the next, learned; those that IOB2 forbids never happen."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        forbidden = torch.from_numpy(iob.forbidden(tuple(labels))).float().clamp(min=NEVER)
        self.forbidden: Tensor
        self.register_buffer("forbidden", forbidden, persistent=False)
        self.steps = nn.Parameter(torch.zeros_like(forbidden))
        """[L + 1, L]: from a tag, the last row from the start of a sentence, to a tag."""

    def loss(self, scores: Tensor, target: Tensor, runs: Sequence[int]) -> Tensor:
        """Mean negative log-likelihood a word, in nats.

        Scores are [W, L], `target` [W] the gold tags, `runs` the number of words of each sentence.
        """
        steps = self.steps + self.forbidden
        starts = torch.zeros_like(target, dtype=torch.bool)
        starts[_firsts(runs)] = True
        before = torch.where(starts, len(steps) - 1, target.roll(1))
        gold = scores.gather(1, target[:, None]).sum() + steps[before, target].sum()
        return (self._log_partition(scores, runs) - gold) / len(target)

    @torch.enable_grad()
    def log_marginals(self, scores: Tensor, runs: Sequence[int]) -> Tensor:
        """Log-probability [W, L] of each tag of each word, over all tags of its sentence.

        The gradient of the log partition function by the scores is the probabilities.
        """
        leaf = scores.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(self._log_partition(leaf, runs), leaf)
        return found.clamp(min=1e-12).log()

    def _log_partition(self, scores: Tensor, runs: Sequence[int]) -> Tensor:
        """Sum over the sentences of the log of the summed scores of all their taggings."""
        steps = self.steps + self.forbidden
        rows = nn.utils.rnn.pad_sequence(
            list(torch.split(scores, list(runs)))
        )  # [words, sentences, L]
        lengths = torch.tensor(runs, device=scores.device)
        reached = rows[0] + steps[-1]
        for place in range(1, len(rows)):
            further = (reached[:, :, None] + steps[:-1]).logsumexp(1) + rows[place]
            reached = torch.where((place < lengths)[:, None], further, reached)
        return reached.logsumexp(1).sum()


def _firsts(runs: Sequence[int]) -> list[int]:
    """Place of each sentence's first word."""
    places, place = [], 0
    for run in runs:
        places.append(place)
        place += run
    return places


def runs_of(sentences: Sequence[int], words: Sequence[int]) -> list[int]:
    """Numbers of consecutive words of one sentence.

    >>> runs_of([4, 4, 7, 7, 7], [0, 1, 5, 6, 7])
    [2, 3]
    """
    runs: list[int] = []
    last = (-1, -1)
    for here in zip(sentences, words, strict=True):
        if here == (last[0], last[1] + 1):
            runs[-1] += 1
        else:
            runs.append(1)
        last = here
    return runs
