"""Whatever form a model lies in, opened to be compared: an Engine. To answer: inference/opening.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from bertwright.checkpoints.graphs import graph_in
from bertwright.errors import ModelError
from bertwright.inference.engines.engine import Engine
from bertwright.inference.engines.graphs import ENGINES, UNTRUSTED, ExportedEngine
from bertwright.inference.engines.plain import PlainEngine
from bertwright.interchange.forms import form_of, read_form
from bertwright.interchange.libraries import SentenceTransformersEngine, TransformersEngine
from bertwright.progress import Progress

_LIBRARIES: dict[str, Callable[[Path], Engine]] = {
    "transformers:": TransformersEngine,
    "sentence-transformers:": SentenceTransformersEngine,
}
# The engines that answer from weights, as `predict --engine` has them.
_TORCH: dict[str, dict[str, Any]] = {
    "torch-bf16:": {"dtype": torch.bfloat16},
    "torch-int8:": {"int8": True},
    "torch-compiled:": {"compiled": True},
}
_GRAPHS: dict[str, Callable[[Path], Engine]] = {**ENGINES, "torch-export": ExportedEngine}


def open_engine(source: str | Path, *, trusted: bool = False, progress: Progress) -> Engine:
    """A model in any form as an engine; `transformers:` or another of these before its path names what runs it.

    trusted: packages of torch.export may be opened too. Raises ModelError, or SettingsError where the form needs what
    is not installed.
    """
    for prefix, library in _LIBRARIES.items():
        if str(source).startswith(prefix):
            return library(Path(str(source).removeprefix(prefix)))
    for prefix, how in _TORCH.items():
        if str(source).startswith(prefix):
            path = Path(str(source).removeprefix(prefix))
            return PlainEngine(read_form(path, progress=progress), form=prefix.removesuffix(":"), **how)
    path = Path(source)
    graph = graph_in(path)
    if graph is None:
        return PlainEngine(read_form(path, progress=progress), form=form_of(path))
    if graph == "torch-export" and not trusted:
        raise ModelError(UNTRUSTED, where=path, cure="give --trust if you made it")
    return _GRAPHS[graph](path)
