"""ONNX: `model.onnx` of any batch size and length, as it is or with the operators of onnxruntime, in fp32 or int8."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

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


def write_onnx(path: Path, loaded: LoadedModel, *, fused: bool, int8: bool = False) -> tuple[str, ...]:
    """Write the graph into the existing directory `path`; the names of its outputs.

    fused: with `Attention`, `SkipLayerNormalization` and `BiasGelu` of onnxruntime, which are faster there and unknown
    elsewhere. int8: weights of 8 bits, with a range for each column of a product's matrix and one for each table of
    embeddings, and activations of 8 bits, whose range is found anew for each batch. Raises SettingsError where the
    extra is not installed.
    """
    if find_spec("onnx") is None or find_spec("onnxscript") is None:
        raise SettingsError("ONNX needs the extra `onnx`", cure="pip install 'bertwright[onnx]'")
    quantization = _quantization() if int8 else None
    names = _write_exact(path, loaded, fused=fused)
    if quantization is not None:
        _to_int8(path, quantization)
    return names


def _write_exact(path: Path, loaded: LoadedModel, *, fused: bool) -> tuple[str, ...]:
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


def _to_int8(path: Path, quantization: Any) -> None:
    """The graph in `path`, in its place with 8 bits."""
    exact, narrow = path / ONNX, path / f"int8-{ONNX}"
    graph = import_module("onnx").load(exact)
    # It turns the weights of a head around, and then finds them of another shape than the graph says.
    weights = {each.name for each in graph.graph.initializer}
    said = [value for value in graph.graph.value_info if value.name not in weights]
    del graph.graph.value_info[:]
    graph.graph.value_info.extend(said)
    # So that it does not advise by the root logger what the exporter has done: to prepare the graph first.
    prepared = graph.metadata_props.add()
    prepared.key, prepared.value = "onnx.quant.pre_process", "onnxruntime.quant"
    # Unsigned: sums of products of signed and unsigned numbers end at their limit where a processor has no instructions
    # for 8 bits (docs/decisions/0022).
    with _scratch_in(path):
        quantization.quantize_dynamic(graph, narrow, per_channel=True, weight_type=quantization.QuantType.QUInt8)
    (path / f"{ONNX}.data").unlink(missing_ok=True)
    narrow.replace(exact)


@contextmanager
def _scratch_in(path: Path) -> Iterator[None]:
    """Temporary files lie in `path`: the disk that is told when it is full, and cleared after a kill."""
    before = tempfile.tempdir
    tempfile.tempdir = str(path)
    try:
        yield
    finally:
        tempfile.tempdir = before


def _quantization() -> Any:
    try:
        return import_module("onnxruntime.quantization")
    except ImportError:
        raise SettingsError("int8 needs onnxruntime", cure="pip install 'bertwright[onnx]'") from None
