"""Compiling the encoder with torch.compile."""

from __future__ import annotations

import os
import shutil

import torch

from bertwright.errors import SettingsError
from bertwright.heads.model import Bert


def compile_encoder(model: Bert) -> None:
    """Compile the encoder in place, for batches of one shape.

    The heads stay as they are: their loss is written by hand, and their input changes with every batch.
    """
    # A ramp, phases and measuring each bring shapes of their own; past the limit torch goes on without compiling.
    torch._dynamo.config.recompile_limit = 64  # noqa: SLF001  # the documented name
    model.encoder.compile(dynamic=False)


def refuse_without_compiler(device: torch.device) -> None:
    """Raise SettingsError where torch.compile would find no compiler to work with."""
    if device.type == "cpu" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "c++"))):
        cure = "install g++, or set it to false"
        raise SettingsError("`machine.compile` is true, but there is no C++ compiler here", cure=cure)
