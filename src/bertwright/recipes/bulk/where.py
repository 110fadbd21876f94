"""What answers a bulk run, and where: engines of this machine, or workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bertwright.inference.opening import EngineName
from bertwright.inference.predictor import Predictor, load
from bertwright.lines import STANDARD_INPUT, is_remote
from bertwright.parallel import processors

Where = EngineName | Literal["ray"]

# Bytes of a file from which on a batch on each core is faster than all cores on a batch.
_LASTING = 1 << 20


@dataclass(frozen=True)
class Answerer:
    """A model that is read where it is first needed; a copy that is sent to another process reads it there again."""

    model: Path
    engine: EngineName
    lasting: bool

    @cached_property
    def predictor(self) -> Predictor:
        """The model, read. Raises ModelError."""
        return load(self.model, engine=self.engine, lasting=self.lasting)

    def tell(self, say: Callable[[str], None]) -> None:
        """Say what runs the model, and what of its directory is not used."""
        if self.predictor.unused:
            say(f"{self.model}: not used, {', '.join(self.predictor.unused)}")
        say(f"{self.model}: {self.predictor.runner.engine_told}")

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker of a cluster may begin in another folder.
        here = replace(self, model=self.model.resolve() if self.model.exists() else self.model)
        return type(self), tuple(getattr(here, name) for name in self.__dataclass_fields__)


def is_lasting(file: str) -> bool:
    """Whether a file is known to be long."""
    return file != STANDARD_INPUT and not is_remote(file) and Path(file).is_file() and _bytes(file) >= _LASTING


def workers_for(where: Where, workers: int | None) -> int:
    """How many of a Ray cluster, 0 for none of them."""
    return (workers or processors()) if where == "ray" else 0


def engine_for(where: Where) -> EngineName:
    """What runs the model, in each of the workers too."""
    return "auto" if where == "ray" else where


def _bytes(file: str) -> int:
    return Path(file).stat().st_size
