"""What a model says of a text, typed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Candidate:
    """A word for a [MASK], as the vocabulary writes it (`##` where it goes on with a word), and its probability."""

    word: str
    probability: float


@dataclass(frozen=True, slots=True)
class Filled:
    """One [MASK] of a text: where it stands (`text[start:end] == "[MASK]"`), and the likeliest words."""

    start: int
    end: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The number of the choice, counted from 0, and what share each of them has (softmax)."""

    choice: int
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """pieces: the tokens, [CLS] and [SEP] among them. second: the place where the second text begins.

    shares: (layers, heads, tokens, tokens) fp32, how much of its look a token gives to each; rows sum to 1.
    """

    pieces: tuple[str, ...]
    second: int
    shares: NDArray[np.float32]
