"""What runs a model: a batch in, named arrays out, whatever form the model lies in.

An Engine knows of no task; a Runner (inference/runners.py) is told what is wanted, and may run an Engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from bertwright.batches.sequences import InputBatch
from bertwright.tokens.vocabulary import Vocabulary

Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Streams:
    """How many batches are read at a time, and by how many threads each."""

    count: int
    threads: int


class Engine(Protocol):
    """A model that is ready to run.

    form: what it lies in. task: what its head is for, empty where that is not known. longest: tokens that an input may
    have. segments: how many it tells apart.
    """

    form: str
    task: str
    vocabulary: Vocabulary
    longest: int
    segments: int

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without [CLS] and [SEP]."""

    def run(self, batch: InputBatch) -> Arrays:
        """What the model says of a batch, under the names of `inference.outputs`."""


class Graph(Engine, Protocol):
    """An engine that tells the names of the arrays that it gives."""

    names: tuple[str, ...]
