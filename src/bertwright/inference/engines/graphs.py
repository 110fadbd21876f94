"""Exported graphs as engines, each run by its own runtime."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.graph_directory import read_graph_directory
from bertwright.checkpoints.graphs import EXPORTED, ONNX, OPENVINO
from bertwright.errors import ModelError, SettingsError
from bertwright.inference.engines.engine import Arrays, Streams
from bertwright.inference.engines.openvino import SHAPES_KEPT, Compiled, Precision
from bertwright.inference.outputs import inputs_of


class _Graph:
    """What all of them have: the files that lie beside a graph."""

    form = ""

    def __init__(self, path: Path) -> None:
        found = read_graph_directory(path)
        self.described = found
        self.path = path
        self.task = found.task
        self.record = found.record
        self.vocabulary = found.tokenizer.vocabulary
        self.ids = found.tokenizer.ids
        self.segments = found.config.type_vocab_size
        self.longest = found.longest


class OnnxEngine(_Graph):
    """`model.onnx`, run by onnxruntime on the CPU."""

    form = "onnx"

    def __init__(self, path: Path, streams: Streams | None = None) -> None:
        """streams: how many of the caller's threads run it at a time, and how many threads there are for each."""
        super().__init__(path)
        onnxruntime = runtime("onnxruntime", "onnx")
        options = onnxruntime.SessionOptions()
        # Each caller's own thread works too. The others lie in one pool, which all callers share.
        streams = streams or Streams(1, torch.get_num_threads())
        options.intra_op_num_threads = streams.count * (streams.threads - 1) + 1
        with _faults(path / ONNX):
            self._session = onnxruntime.InferenceSession(path / ONNX, options, providers=["CPUExecutionProvider"])
        self.names = tuple(output.name for output in self._session.get_outputs())
        # Graphs that others made may do without segments.
        self._taken = frozenset(given.name for given in self._session.get_inputs())

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU."""
        with _faults(self.path / ONNX):
            found = self._session.run(None, _arrays(batch, self._taken))
        return dict(zip(self.names, found, strict=True))


class OpenVinoEngine(_Graph):
    """`openvino_model.xml`, run by OpenVINO on the CPU in the precision that it was exported in."""

    form = "openvino"

    def __init__(self, path: Path, streams: Streams | None = None) -> None:
        super().__init__(path)
        openvino = runtime("openvino", "openvino")
        precision: Precision = "bf16" if self.record.get("precision") == "bf16" else "fp32"
        streams = streams or Streams(1, torch.get_num_threads())
        with _faults(path / OPENVINO):
            self._graph = Compiled(openvino, path / OPENVINO, precision=precision, streams=streams)
        self.names = self._graph.names

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU."""
        with _faults(self.path / OPENVINO):
            return self._graph.run(_arrays(batch, self._graph.taken))


class ExportedEngine(_Graph):
    """`model.pt2`, run by torch, which runs whatever code such a file holds: only for files that one trusts."""

    form = "torch-export"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with _faults(path / EXPORTED):
            self._program = torch.export.load(path / EXPORTED).module()
        self.names: tuple[str, ...] = tuple(self.record.get("outputs", ()))

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU."""
        with torch.inference_mode(), _faults(self.path / EXPORTED):
            found: Sequence[torch.Tensor] = self._program(*inputs_of(batch).values())
        return {name: tensor.numpy() for name, tensor in zip(self.names, found, strict=True)}


UNTRUSTED = "a package of torch.export runs whatever code it holds when it is opened"
# Those that may be opened without trust in who made them.
ENGINES: dict[str, type[OnnxEngine | OpenVinoEngine]] = {"onnx": OnnxEngine, "openvino": OpenVinoEngine}


def _arrays(batch: InputBatch, taken: Collection[str]) -> dict[str, NDArray[np.int64]]:
    return {name: tensor.numpy() for name, tensor in inputs_of(batch).items() if name in taken}


def runtime(name: str, extra: str) -> Any:
    """A library that runs graphs. Raises SettingsError where it is not installed."""
    # The libraries below keep a thousand kernels for the shapes they have met, and have no other way to be told.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", str(SHAPES_KEPT))
    try:
        return import_module(name)
    except ImportError:
        raise SettingsError(f"{name} is not installed", cure=f"pip install 'bertwright[{extra}]'") from None


@contextmanager
def _faults(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a runtime has its own names for all that may be wrong with a file
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(f"cannot be run: {reason}", where=path, cure="export it again") from None
