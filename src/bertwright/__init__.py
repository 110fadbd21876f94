"""bertwright: one tool for the whole life of a BERT encoder.

>>> import bertwright
>>> model = bertwright.load("quickstart/model")  # doctest: +SKIP
>>> model.fill("The function returns a [MASK].")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bertwright.inference.predictor import Predictor, load

__all__ = ["Predictor", "load"]


def __getattr__(name: str) -> object:
    # Looked up on first use: `import bertwright.settings` must not bring torch along.
    if name in __all__:
        return getattr(importlib.import_module("bertwright.inference.predictor"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
