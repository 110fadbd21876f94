"""A model as a graph of any batch size and any length: what ONNX, OpenVINO and torch.export packages are made from."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import ModelError
from bertwright.heads.model import Bert
from bertwright.inference.fused import FusedEncoder
from bertwright.inference.outputs import INPUTS, Outputs, example, outputs_of
from bertwright.tasks.task import Task


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
    return traced_module(outputs, loaded), outputs.names


def traced_module(module: nn.Module, loaded: LoadedModel) -> ExportedProgram:
    """The graph of a function of `INPUTS`, of any batch and any length that the model takes."""
    # At least two of each while tracing: a dimension of one would be taken for a constant.
    batch, length = Dim("batch", min=1), Dim("length", min=2, max=max(loaded.longest, 2))
    with quiet():
        return torch.export.export(
            module, example(loaded), dynamic_shapes=({0: batch, 1: length},) * len(INPUTS), strict=False
        )


class TaskOutputs(nn.Module):
    """What a task asks of a model, as a function of `INPUTS`."""

    def __init__(self, model: Bert, task: Task[Any, Any]) -> None:
        super().__init__()
        self.model, self.task = model, task

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        """As `Task.outputs`."""
        return self.task.outputs(self.model, InputBatch(input_ids, token_type_ids, attention_mask.bool()))


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
