"""A model directory or one with a graph, opened to answer: a Runner. To be compared: interchange/opening.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import torch

from bertwright.checkpoints.graphs import graph_in
from bertwright.checkpoints.model_directory import read_model
from bertwright.errors import ModelError, SettingsError
from bertwright.inference.engines.engine import Streams
from bertwright.inference.engines.graphs import UNTRUSTED, OnnxEngine, OpenVinoEngine
from bertwright.inference.engines.openvino import Precision
from bertwright.inference.openvino_runner import OpenVinoRunner
from bertwright.inference.runners import GraphRunner, Runner, TorchRunner
from bertwright.parallel import processors

EngineName = Literal["auto", "torch", "torch-bf16", "torch-int8", "torch-compiled", "openvino", "openvino-bf16"]


def open_runner(
    path: Path,
    device: torch.device | None = None,
    say: Callable[[str], None] | None = None,
    *,
    engine: EngineName = "auto",
    lasting: bool = False,
    streams: Streams | None = None,
) -> Runner:
    """What answers for the model at `path`, which may be the name of one on the hub; weights on `device`.

    engine: what runs the weights of a model directory; "auto" is torch in fp32. A graph is run by its own runtime.
    lasting: there will be many texts. streams: batches that are read at a time; None: OpenVINO as the machine has
    cores, onnxruntime and torch too where the work is `lasting`, but for torch's compiler and a GPU. What of the
    directory is not used is told to `say`.

    Raises ModelError or VocabularyError where there is no model, SettingsError where what should run it is not
    installed, or is none for it.
    """
    runner = _opened(path, device, engine, streams, lasting=lasting)
    if say is not None and runner.described.unused:
        say(f"{path}: not used, {', '.join(runner.described.unused)}")
    return runner


def _opened(
    path: Path, device: torch.device | None, engine: EngineName, streams: Streams | None, *, lasting: bool
) -> Runner:
    form = graph_in(path)
    if form is not None:
        if device is not None and device.type != "cpu":
            cure = "leave the device out, or load the model itself"
            raise SettingsError(f"{path}: a graph is run on the CPU", cure=cure)
        if engine not in ("auto", form):
            raise SettingsError(f"{path}: is a graph for {form}, not for {engine}", cure="leave --engine out")
        return _graph(path, form, streams, lasting=lasting)
    on_cpu = engine in ("torch-int8", "openvino", "openvino-bf16") or not torch.cuda.is_available()
    device = device or torch.device("cpu" if on_cpu else "cuda")
    if engine in ("openvino", "openvino-bf16"):
        if device.type != "cpu":
            raise SettingsError("OpenVINO runs on the CPU here", cure="leave the device out, or take --engine torch")
        precision: Precision = "fp32" if engine == "openvino" else "bf16"
        return OpenVinoRunner(read_model(path), precision=precision, streams=streams or _streams())
    if engine == "torch-int8" and device.type != "cpu":
        raise SettingsError("torch-int8 runs on the CPU", cure="leave the device out, or take --engine torch-bf16")
    compiled = engine == "torch-compiled"
    if streams is None and lasting and device.type == "cpu" and not compiled:
        streams = _streams()
    dtype = torch.bfloat16 if engine == "torch-bf16" else torch.float32
    int8 = engine == "torch-int8"
    return TorchRunner(read_model(path), device, dtype=dtype, int8=int8, compiled=compiled, streams=streams)


def _graph(path: Path, form: str, streams: Streams | None, *, lasting: bool) -> GraphRunner:
    if form == "openvino":
        streams = streams or _streams()
        opened = OpenVinoEngine(path, streams)
        return GraphRunner(opened, opened.described, streams=streams.count)
    if form == "onnx":
        # One batch alone is answered soonest by all cores, many are by a core each.
        streams = streams or (_streams() if lasting else Streams(1, torch.get_num_threads()))
        onnx = OnnxEngine(path, streams)
        return GraphRunner(onnx, onnx.described, streams=streams.count)
    raise ModelError(
        UNTRUSTED, where=path, cure="run the model that it was exported from, or its ONNX or OpenVINO form"
    )


def _streams() -> Streams:
    """One for each core, on machines with many for every four: a batch on one core waits for no other."""
    cores = min(processors(), torch.get_num_threads())
    count = cores if cores <= 4 else cores // 4
    return Streams(count, cores // count)
