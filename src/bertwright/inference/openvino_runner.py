"""The weights of a model directory, run by OpenVINO for what the model was made for."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import torch

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.configuration import CHOICE
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.inference.engines.engine import Streams
from bertwright.inference.engines.graphs import runtime
from bertwright.inference.engines.openvino import Compiled, Precision
from bertwright.inference.known_task import lengths_of, pooling_of, task_of
from bertwright.inference.outputs import INPUTS, inputs_of
from bertwright.inference.runners import TorchRunner
from bertwright.inference.tracing import TaskOutputs, quiet, traced_module
from bertwright.tasks.embed import Embed
from bertwright.tasks.task import Said, Task


class OpenVinoRunner(TorchRunner):
    """The model's task becomes a graph, for a model without one its vectors; seconds of work before the first answer.

    All else stays with torch: words for a [MASK], of which it computes no more than is looked at, the vectors of a
    model that was made for another task, attention, and what a tagger through an LSTM says, which no graph holds.
    """

    def __init__(self, loaded: LoadedModel, *, precision: Precision, streams: Streams) -> None:
        """Raises SettingsError where OpenVINO is not installed."""
        super().__init__(loaded, torch.device("cpu"), streams=streams)
        self.engine_told = f"openvino {precision} on cpu"
        openvino = runtime("openvino", "openvino")
        self._graph: Compiled | None = None
        self._asks: Hashable = None
        if loaded.model.parts.lstm or loaded.task == CHOICE:
            self.engine_told = "torch fp32 on cpu"
            return
        # Whether a classifier reads one text or two is the same to the graph.
        vectors = Embed(lengths=lengths_of(loaded), pooling=pooling_of(loaded))
        task: Task[Any, Any] = task_of(loaded) if loaded.task else vectors
        self._asks = _asks(task)
        program = traced_module(TaskOutputs(self.model, task), loaded)
        with quiet():
            graph = openvino.convert_model(program)
        for port, name in zip(graph.inputs, INPUTS, strict=True):
            port.get_tensor().set_names({name})
        self.spreads = False
        self._graph = Compiled(openvino, graph, precision=precision, streams=streams)
        if self._graph.computes != precision:
            self.engine_told = f"openvino fp32 on cpu, which computes no {precision}"

    def say(self, task: Task[Any, Any], inputs: InputBatch) -> Said:
        """By the graph, where the task is the model's own."""
        if self._graph is None or _asks(task) != self._asks:
            return super().say(task, inputs)
        (said,) = self._graph.run({name: tensor.numpy() for name, tensor in inputs_of(inputs).items()}).values()
        return said


def _asks(task: Task[Any, Any]) -> Hashable:
    # A classifier of pairs and one of texts ask the same.
    return ("classify" if task.name == "pair" else task.name, task.asks)
