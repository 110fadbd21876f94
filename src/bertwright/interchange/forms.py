"""The forms that a model may lie in, and reading it from each that holds weights which may be trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from bertwright.checkpoints.model_directory import LoadedModel, read_model
from bertwright.checkpoints.sentence_layout import MODULES
from bertwright.errors import ModelError
from bertwright.hub import located
from bertwright.interchange.google.checkpoint import read_checkpoint
from bertwright.interchange.google.files import is_checkpoint
from bertwright.progress import Progress

Form = Literal["hf", "google", "sentence-transformers", "onnx", "openvino", "torch-export"]


def form_of(source: Path) -> Form:
    """What form a path holds, by the files that are there; `hf` where none of them tells."""
    if is_checkpoint(source):
        return "google"
    return "sentence-transformers" if (located(source, weights=False) / MODULES).exists() else "hf"


def read_form(source: Path, *, lowercase: bool | None = None, progress: Progress) -> LoadedModel:
    """Read a model in any form. lowercase: for a checkpoint of the original code, which does not tell.

    Raises ModelError or VocabularyError.
    """
    if form_of(source) == "google":
        return read_checkpoint(source, lowercase=lowercase, progress=progress)
    if lowercase is not None:
        what = "says in its own files whether case matters; --lower-case is for checkpoints of the original code"
        raise ModelError(what, where=source, cure="leave it out")
    return read_model(source)
