"""bertwright: one tool for the whole life of a BERT encoder.

>>> import bertwright
>>> model = bertwright.load("quickstart/model")  # doctest: +SKIP
>>> model.fill("The function returns a [MASK].")  # doctest: +SKIP
>>> bertwright.inspect("bert-base").total
109482240
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from bertwright.version import VERSION

if TYPE_CHECKING:
    from bertwright.inference.predictor import Predictor, load
    from bertwright.recipes.evaluate import evaluate
    from bertwright.recipes.inspection import inspect

__version__ = VERSION
__all__ = ["Predictor", "__version__", "evaluate", "inspect", "load"]

_HOMES = {
    "Predictor": "bertwright.inference.predictor",
    "load": "bertwright.inference.predictor",
    "evaluate": "bertwright.recipes.evaluate",
    "inspect": "bertwright.recipes.inspection",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    # Looked up on first use: `import bertwright.settings` must not bring torch along.
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
