"""OpenVINO's IR: `openvino_model.xml` and `.bin`, in fp32, bf16 or int8."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import torch

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.graphs import OPENVINO
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.errors import SettingsError
from bertwright.files import storage_faults
from bertwright.inference.outputs import INPUTS, inputs_of
from bertwright.inference.tracing import quiet, traced

IrPrecision = Literal["fp32", "bf16", "int8"]


def write_openvino(
    path: Path, loaded: LoadedModel, *, precision: IrPrecision, calibration: Sequence[InputBatch] = ()
) -> tuple[str, ...]:
    """Write the graph into the existing directory `path`; the names of its outputs.

    bf16: weights of 16 bits (fp16, the narrow form that OpenVINO stores), products in bf16 where the machine has it.
    int8: weights and activations of 8 bits, whose ranges are those of the batches for `calibration` (nncf, with the
    activations of a transformer smoothed).
    Whoever runs it says in what it is computed: OpenVINO takes bf16 on processors that have it, whatever the graph is.
    Raises SettingsError where the extra is not installed.
    """
    openvino = _library("openvino")
    largest = max(float(parameter.detach().abs().max()) for parameter in loaded.model.parameters())
    if precision == "bf16" and largest > torch.finfo(torch.float16).max:
        raise SettingsError(f"a weight is {largest:.3g}, more than 16 bits hold here", cure="take --precision fp32")
    program, names = traced(loaded)
    with quiet():
        graph = openvino.convert_model(program)
        for port, name in zip((*graph.inputs, *graph.outputs), (*INPUTS, *names), strict=True):
            port.get_tensor().set_names({name})
        if precision == "int8":
            graph = _quantized(graph, calibration)
        with storage_faults(path):
            openvino.save_model(graph, path / OPENVINO, compress_to_fp16=precision == "bf16")
    return names


def _quantized(graph: Any, calibration: Sequence[InputBatch]) -> Any:
    nncf = _library("nncf")
    rows = [{name: tensor.numpy() for name, tensor in inputs_of(batch).items()} for batch in calibration]
    # It draws its bars on stdout, which is for data.
    with redirect_stdout(sys.stderr):
        return nncf.quantize(
            graph, nncf.Dataset(rows), model_type=nncf.ModelType.TRANSFORMER, subset_size=len(calibration)
        )


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise SettingsError(f"OpenVINO's IR needs {name}", cure="pip install 'bertwright[openvino]'") from None
