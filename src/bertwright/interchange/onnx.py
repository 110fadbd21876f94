"""ONNX: `model.onnx` of any batch size and length, as it is or with the operators of onnxruntime."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import torch

from bertwright.checkpoints.graphs import ONNX
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import SettingsError
from bertwright.files import write_atomic
from bertwright.inference.outputs import INPUTS
from bertwright.inference.tracing import quiet, traced

# A file of protocol buffers can hold no more; then the weights lie beside it.
_LARGEST = 1_900_000_000
_NAMES = ("batch", "length")


def write_onnx(path: Path, loaded: LoadedModel, *, fused: bool) -> tuple[str, ...]:
    """Write the graph into the existing directory `path`; the names of its outputs.

    fused: with `Attention`, `SkipLayerNormalization` and `BiasGelu` of onnxruntime, which are faster there and unknown
    elsewhere. Raises SettingsError where the extra is not installed.
    """
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise SettingsError("ONNX needs the extra `onnx`", cure="pip install 'bertwright[onnx]'")
    program, names = traced(loaded, fused=fused)
    with quiet():
        graph = torch.onnx.export(
            program, dynamo=True, input_names=list(INPUTS), output_names=list(names), verbose=False, optimize=True
        )
    assert graph is not None
    size = sum(parameter.numel() * 4 for parameter in loaded.model.parameters())
    if size > _LARGEST:
        graph.save(path / ONNX, external_data=True)
        return names
    proto = graph.model_proto
    # The exporter calls the two dimensions by numbers of its own.
    symbols = [dimension.dim_param for dimension in proto.graph.input[0].type.tensor_type.shape.dim]
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param in symbols:
                dimension.dim_param = _NAMES[symbols.index(dimension.dim_param)]
    write_atomic(path / ONNX, proto.SerializeToString())
    return names
