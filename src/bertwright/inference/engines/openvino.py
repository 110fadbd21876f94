"""A graph that OpenVINO has compiled for this processor: run by as many threads at a time as it has streams."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bertwright.inference.engines.engine import Arrays, Streams

Precision = Literal["fp32", "bf16"]
SHAPES_KEPT = 64


class Compiled:
    """graph: OpenVINO's own, or the path of one. precision: what products are computed in."""

    def __init__(self, openvino: Any, graph: Any, *, precision: Precision, streams: Streams) -> None:
        wishes = {
            # Of itself it would take bf16 wherever the processor has it. What an int8 graph has in fp32 stays so.
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "INFERENCE_NUM_THREADS": streams.count * streams.threads,
            "NUM_STREAMS": streams.count,
            # Read and not mapped: a file that is written over would change a model that is in use.
            "ENABLE_MMAP": False,
            # What it makes for a shape of batch it keeps, of itself for thousands of shapes at a megabyte each.
            "CPU_RUNTIME_CACHE_CAPACITY": SHAPES_KEPT,
        }
        self._model = openvino.Core().compile_model(graph, "CPU", wishes)
        # Without instructions for bf16 it computes in fp32 all the same.
        hint = str(self._model.get_property("INFERENCE_PRECISION_HINT"))
        self.computes: Precision = "bf16" if "bf16" in hint or "bfloat16" in hint else "fp32"
        self.names: tuple[str, ...] = tuple(port.get_any_name() for port in self._model.outputs)
        self.taken: frozenset[str] = frozenset(name for port in self._model.inputs for name in port.get_names())
        # A request holds the tensors of one run: each thread has its own.
        self._own = threading.local()

    def run(self, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
        """The outputs by their names. The arrays are the caller's: the next run writes over those of the runtime."""
        request = getattr(self._own, "request", None)
        if request is None:
            request = self._own.request = self._model.create_infer_request()
        found = request.infer(arrays)
        return {name: np.array(found[name], dtype=np.float32) for name in self.names}
