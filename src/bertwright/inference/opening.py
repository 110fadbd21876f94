"""A model directory or one with a graph, opened to answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from bertwright.checkpoints.graphs import graph_in
from bertwright.checkpoints.model_directory import read_model
from bertwright.errors import ModelError, SettingsError
from bertwright.inference.engines.graphs import ENGINES, UNTRUSTED
from bertwright.inference.runners import GraphRunner, Runner, TorchRunner


def open_runner(path: Path, device: torch.device | None = None, say: Callable[[str], None] | None = None) -> Runner:
    """What answers for the model at `path`, which may be the name of one on the hub; weights on `device`.

    What of the directory is not used is told to `say`.

    Raises ModelError or VocabularyError where there is none, SettingsError where a graph's runtime is not installed.
    """
    runner = _opened(path, device)
    if say is not None and runner.described.unused:
        say(f"{path}: not used, {', '.join(runner.described.unused)}")
    return runner


def _opened(path: Path, device: torch.device | None) -> Runner:
    form = graph_in(path)
    if form is None:
        return TorchRunner(read_model(path), device or torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if device is not None and device.type != "cpu":
        raise SettingsError(f"{path}: a graph is run on the CPU", cure="leave the device out, or load the model itself")
    if form not in ENGINES:
        cure = "run the model that it was exported from, or its ONNX or OpenVINO form"
        raise ModelError(UNTRUSTED, where=path, cure=cure)
    engine = ENGINES[form](path)
    return GraphRunner(engine, engine.described)
