"""A linear-chain conditional random field over a tagger's scores: tags depend on the tag before.

Source: Lafferty et al. 2001, "Conditional Random Fields", sections 3 and 4; trained as the last
layer of a tagger as in Lample et al. 2016, "Neural Architectures for Named Entity Recognition",
section 2.2. What it says of a word are marginal probabilities, so that several readings can be
averaged; the best valid tags by their sum are taken, not the single best path.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from workbench.record import iob

Run = tuple[int, bool]
"""Consecutive words of a sentence: how many, and whether they begin it."""
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

    def loss(self, scores: Tensor, target: Tensor, runs: Sequence[Run]) -> Tensor:
        """Mean negative log-likelihood a word, in nats; scores are [W, L], `target` [W] gold tags.

        Of words that go on with a sentence cut before them, the first may have any tag.
        """
        steps = self._steps()
        firsts = torch.tensor([0, *(count for count, _ in runs)][:-1]).cumsum(0)
        before = target.roll(1)
        before[firsts] = self._starts(runs)
        gold = scores.gather(1, target[:, None]).sum() + steps[before, target].sum()
        return (self._log_partition(scores, runs) - gold) / len(target)

    @torch.enable_grad()
    def log_marginals(self, scores: Tensor, runs: Sequence[Run]) -> Tensor:
        """Log-probability [W, L] of each tag of each word, over all tags of its sentence.

        The gradient of the log partition function by the scores is the probabilities.
        """
        leaf = scores.detach().clone().requires_grad_()
        (found,) = torch.autograd.grad(self._log_partition(leaf, runs), leaf)
        return found.clamp(min=1e-12).log()

    def _log_partition(self, scores: Tensor, runs: Sequence[Run]) -> Tensor:
        """Sum over the sentences of the log of the summed scores of all their taggings."""
        steps = self._steps()
        sentences = list(torch.split(scores, [count for count, _ in runs]))
        rows = nn.utils.rnn.pad_sequence(sentences)  # [words, sentences, L]
        lengths = torch.tensor([count for count, _ in runs], device=scores.device)
        reached = rows[0] + steps[self._starts(runs)]
        for place in range(1, len(rows)):
            further = (reached[:, :, None] + steps[:-2]).logsumexp(1) + rows[place]
            reached = torch.where((place < lengths)[:, None], further, reached)
        return reached.logsumexp(1).sum()

    def _steps(self) -> Tensor:
        """[L + 2, L]: from a tag, from a sentence's start, and from a cut, which says nothing."""
        steps = self.steps + self.forbidden
        return torch.cat([steps, torch.zeros_like(steps[:1])])

    def _starts(self, runs: Sequence[Run]) -> Tensor:
        """The row of the steps that each run begins with."""
        start = len(self.steps) - 1
        rows = [start if begins else start + 1 for _, begins in runs]
        return torch.tensor(rows, device=self.steps.device)


def runs_of(sentences: Sequence[int], words: Sequence[int]) -> list[Run]:
    """The runs of consecutive words of one sentence, by each word's sentence and number in it.

    >>> runs_of([4, 4, 7, 7, 7], [0, 1, 5, 6, 7])
    [(2, True), (3, False)]
    """
    runs: list[Run] = []
    last = (-1, -1)
    for here in zip(sentences, words, strict=True):
        if here == (last[0], last[1] + 1) and runs:
            runs[-1] = (runs[-1][0] + 1, runs[-1][1])
        else:
            runs.append((1, here[1] == 0))
        last = here
    return runs
