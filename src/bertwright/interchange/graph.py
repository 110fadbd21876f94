"""A model as a graph of any batch size and any length: what ONNX, OpenVINO and torch.export packages are made from."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.export import Dim, ExportedProgram

from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import ModelError
from bertwright.inference.outputs import INPUTS, Outputs, example, outputs_of
from bertwright.interchange.fused import FusedEncoder


def traced(loaded: LoadedModel, *, fused: bool = False) -> tuple[ExportedProgram, tuple[str, ...]]:
    """The graph of all that a model says, and the names of its outputs in order.

    fused: with the operators of onnxruntime, so that nothing else can run it. Raises ModelError.
    """
    if loaded.model.parts.lstm:
        what = "its tagger is an LSTM that ends at each row's own last token, which no graph of fixed steps holds"
        raise ModelError(what, where=loaded.path, cure="fine-tune a tagger without tag_features to export one")
    outputs = outputs_of(loaded)
    if fused:
        outputs = _with_fused_encoder(outputs)
    # At least two of each while tracing: a dimension of one would be taken for a constant.
    batch, length = Dim("batch", min=1), Dim("length", min=2, max=max(loaded.longest, 2))
    with quiet():
        program = torch.export.export(
            outputs, example(loaded), dynamic_shapes=({0: batch, 1: length},) * len(INPUTS), strict=False
        )
    return program, outputs.names


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of exporters about what is none of the user's business."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _with_fused_encoder(outputs: Outputs) -> Outputs:
    # The model is copied as an object; its weights are shared.
    model = copy.copy(outputs.model)
    model._modules = dict(outputs.model._modules) | {"encoder": FusedEncoder(outputs.model.encoder)}  # noqa: SLF001
    return Outputs(model, pooling=outputs.pooling, normalize=outputs.normalize).eval()
