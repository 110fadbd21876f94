"""Compiling the encoder with torch.compile."""

from __future__ import annotations

import os
import shutil

from bertwright.errors import SettingsError
from bertwright.heads.model import Bert


def compile_encoder(model: Bert) -> None:
    """Compile the encoder in place, for batches of one shape. Raises SettingsError where there is no compiler for it.

    The heads stay as they are: their loss is written by hand, and their input changes with every batch.
    """
    on_cpu = next(model.parameters()).device.type == "cpu"
    if on_cpu and not any(shutil.which(name) for name in (os.environ.get("CXX"), "g++", "clang++", "c++") if name):
        cure = "install g++, or set it to false"
        raise SettingsError("`training.compile` is true, but there is no C++ compiler here", cure=cure)
    model.encoder.compile(dynamic=False)
