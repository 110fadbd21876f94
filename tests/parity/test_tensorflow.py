"""Checkpoints that we write are read by TensorFlow itself, and those that it writes here.

TensorFlow needs other versions of much that we use, so that it lives in an environment of its own: `make
test-tensorflow` makes one, and names its Python in BERTWRIGHT_TENSORFLOW.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.heads.model import PRETRAINING
from bertwright.interchange.google.bundle import Bundle, write_bundle
from bertwright.interchange.google.checkpoint import PREFIX, write_checkpoint
from bertwright.interchange.google.files import Folder
from bertwright.progress import Silent
from tests.unit.checkpoints.small import TOKENIZER, small_model

PYTHON = os.environ.get("BERTWRIGHT_TENSORFLOW")
pytestmark = pytest.mark.skipif(not PYTHON, reason="BERTWRIGHT_TENSORFLOW is not set: make test-tensorflow")


def tensorflow(command: str, prefix: Path, path: Path) -> dict[str, NDArray[Any]]:
    side = Path(__file__).with_name("tensorflow_side.py")
    done = subprocess.run(
        [str(PYTHON), str(side), command, str(prefix), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(path))


def test_tensorflow_reads_what_we_write(tmp_path: Path) -> None:
    model = small_model(PRETRAINING)
    write_checkpoint(tmp_path, LoadedModel(Path(), model, TOKENIZER), say=Silent().say)
    found = tensorflow("read", tmp_path / PREFIX, tmp_path / "read.npz")
    bundle = Bundle(Folder(tmp_path), PREFIX)
    ours = bundle.read(bundle.entries)
    assert found.keys() == ours.keys()
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in ours.items())
    assert model.pooler is not None
    assert np.array_equal(found["bert/pooler/dense/kernel"], model.pooler.dense.weight.detach().numpy().T)


def test_tensorflow_reads_an_index_of_several_blocks(tmp_path: Path) -> None:
    tensors = {
        f"layer/{number:05d}/{'name' * 20}": torch.full((1 + number % 3,), float(number)) for number in range(4000)
    }
    write_bundle(tmp_path, "many", tensors)
    assert (tmp_path / "many.index").stat().st_size > 200_000
    found = tensorflow("read", tmp_path / "many", tmp_path / "read.npz")
    assert found.keys() == tensors.keys()
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in tensors.items())


def test_we_read_what_tensorflow_writes(tmp_path: Path) -> None:
    expected = tensorflow("write", tmp_path / "made", tmp_path / "written.npz")
    assert {path.name for path in tmp_path.glob("made.data*")} == {
        "made.data-00000-of-00002",
        "made.data-00001-of-00002",
    }
    bundle = Bundle(Folder(tmp_path), "made")
    assert bundle.entries.keys() == {*expected, "global_step"}
    words = bundle.entries["bert/embeddings/word_embeddings"]
    assert len(words.slices) == 3
    assert words.shape == (100, 70)
    found = bundle.read(expected)
    for name, array in expected.items():
        assert np.array_equal(found[name].numpy(), array), name
