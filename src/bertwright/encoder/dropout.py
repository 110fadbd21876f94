"""Dropout that costs little on a CPU, and drops the same whatever else is in the batch.

torch draws one Bernoulli number an element, on one core, which was a quarter of a small model's training step. Here the
raw 16-bit words of numpy's SFC64 become a mask of all ones or all zeros; dropping is then an AND on the bits of the
activations. The probability is met to within 2**-16. Each row of a batch has words of its own, so a row loses the same
elements in a batch of 32, in four of 8, or on another process (law 1). On other devices dropout is torch's.
"""

from __future__ import annotations

import math
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from bertwright.randomness import Stream

_ONE = 1 << 15


class RowDraws:
    """Random words for the rows of a batch: a function of the stream, the row and what it drew before."""

    def __init__(self, stream: Stream, first_row: int) -> None:
        self._stream = stream
        self._first_row = first_row
        self._generators: list[np.random.SFC64] = []

    def generators(self, rows: int) -> list[np.random.SFC64]:
        """One generator a row, which goes on from draw to draw: to seed one takes longer than a short row's words."""
        known = len(self._generators)
        if known < rows:
            words = self._stream.words(np.arange(self._first_row + known, self._first_row + rows))
            self._generators += [np.random.SFC64(int(high) << 32 | int(low)) for high, low in words[:, :2]]
        return self._generators[:rows]

    def states(self) -> list[Any]:
        """How far each generator is."""
        return [each.state for each in self._generators]

    def go_back(self, states: list[Any]) -> None:
        """Draw once more what was drawn after `states`."""
        del self._generators[len(states) :]
        for generator, state in zip(self._generators, states, strict=True):
            generator.state = state


_draws: ContextVar[RowDraws | None] = ContextVar("draws", default=None)


@contextmanager
def drawing(stream: Stream, first_row: int) -> Iterator[RowDraws]:
    """A block in which dropout on a CPU draws from `stream`, for rows that count from `first_row`."""
    draws = RowDraws(stream, first_row)
    token = _draws.set(draws)
    try:
        yield draws
    finally:
        _draws.reset(token)


def drawing_again() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts for a computation and for its repetition in the backward pass: both draw the same."""
    draws = _draws.get()
    return nullcontext(), nullcontext() if draws is None else _drawn_from(draws, draws.states())


@contextmanager
def _drawn_from(draws: RowDraws, states: list[Any]) -> Iterator[None]:
    draws.go_back(states)
    yield


class Dropout(nn.Module):
    """In training, zero each element with probability `probability` and scale the rest to the same expectation."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, hidden: Tensor, positions: Tensor | None = None, length: int = 0) -> Tensor:
        """Any shape and float type -> the same.

        positions: (batch, n) which of `length` the n of hidden's last dimension but one are. The elements dropped there
        are those that would be if all were computed.
        """
        if not self.training or self.probability == 0:
            return hidden
        if hidden.device.type != "cpu" or torch.compiler.is_compiling():
            return functional.dropout(hidden, self.probability)
        # What is as good as 1 leaves a little: nothing could be multiplied up from none.
        dropped = min(round(self.probability * _ONE), _ONE - 1)
        mask = _keep_mask(hidden.shape, dropped, positions, length)
        kept: Tensor = _MaskedDropout.apply(hidden, mask, _ONE / (_ONE - dropped))  # type: ignore[no-untyped-call]
        return kept

    def extra_repr(self) -> str:
        return f"{self.probability}"


class _MaskedDropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, mask: Tensor, scale: float) -> Tensor:
        # Saved as torch saves: where activations are computed again, so is the mask.
        ctx.save_for_backward(mask)
        ctx.scale = scale
        return _keep(hidden, mask).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (mask,) = ctx.saved_tensors
        return _keep(gradient, mask).mul_(ctx.scale), None, None


def _keep_mask(shape: torch.Size, dropped: int, positions: Tensor | None, length: int) -> Tensor:
    """int16 of `shape`: 0 with probability dropped / 2**15, else -1, which is all ones."""
    draws = _draws.get()
    rows, *inner = shape
    if draws is None:
        # Nobody says which rows these are: torch's own generator does.
        generators = [np.random.SFC64(int(torch.randint(2**62, ())))]
        words = _words(generators[0], math.prod(shape)).reshape(shape)
    elif positions is None:
        words = _rows_of_words(draws.generators(rows), math.prod(inner)).reshape(shape)
    else:
        whole = (*inner[:-2], length, inner[-1])
        chosen = positions.numpy()
        words = np.stack(
            [
                _words(each, math.prod(whole)).reshape(whole)[..., chosen[row], :]
                for row, each in enumerate(draws.generators(rows))
            ]
        )
    uniform = torch.from_numpy(words).bitwise_and_(_ONE - 1)
    # Negative for kept elements; the shift spreads the sign over all bits.
    return uniform.sub_(_ONE - dropped).bitwise_right_shift_(15)


def _words(generator: np.random.SFC64, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """`count` random 16-bit words."""
    return np.asarray(generator.random_raw((count + 3) // 4)).view(np.int16)[:count]


def _rows_of_words(generators: list[np.random.SFC64], count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """(rows, count) random 16-bit words, those of each row from its own generator."""
    raw = np.empty((len(generators), (count + 3) // 4), dtype=np.uint64)
    for row, generator in zip(raw, generators, strict=True):
        row[:] = generator.random_raw(raw.shape[1])
    return raw.view(np.int16)[:, :count]


def _keep(hidden: Tensor, mask: Tensor) -> Tensor:
    # A 0 or -1 of 16 bits stays one when it is widened to the 32 of fp32.
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[hidden.element_size()]
    return torch.bitwise_and(hidden.contiguous().view(bits), mask.to(bits)).view(hidden.dtype)
