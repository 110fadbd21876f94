"""torch.export: a package that torch runs without this project, `torch.export.load(...).module()`."""

from __future__ import annotations

import io
from pathlib import Path

import torch

from bertwright.checkpoints.graphs import EXPORTED
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.files import write_atomic
from bertwright.inference.tracing import quiet, traced


def write_exported(path: Path, loaded: LoadedModel) -> tuple[str, ...]:
    """Write the graph with its weights into the existing directory `path`; the names of its outputs."""
    program, names = traced(loaded)
    content = io.BytesIO()
    with quiet():
        torch.export.save(program, content)
    write_atomic(path / EXPORTED, content.getvalue())
    return names
