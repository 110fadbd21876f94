"""A directory of 2020 with a `.bin` file: transformers' own logits, and those of every form that we make of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bertwright.cli.main import main
from bertwright.inference.engines.engine import Arrays
from bertwright.interchange.opening import open_engine
from bertwright.interchange.parity import compare
from bertwright.interchange.texts import TEXTS
from bertwright.progress import Silent

transformers: Any = pytest.importorskip("transformers")
pytestmark = pytest.mark.data


@pytest.fixture
def directory(data_dir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "camphr"
    shutil.copytree(data_dir / "checkpoints/tiny_bert_token_classifier_camphr", path, copy_function=shutil.copyfile)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("to", ["hf", "google", "onnx", "openvino", "torch-export"])
def test_every_form_gives_the_logits_of_transformers(directory: Path, tmp_path: Path, to: str) -> None:
    out = tmp_path / "out"
    assert main(["convert", str(directory), str(out), "--to", to]) == 0
    theirs = open_engine(f"transformers:{directory}", progress=Silent())
    found = compare(theirs, open_engine(out, trusted=True, progress=Silent()), TEXTS, tolerance=1e-4)
    assert found.passed, found
    (logits,) = (each for each in found.differences if each.name == "logits")
    assert logits.worst < 1e-5
    assert logits.agreement == 1


def test_its_logits_are_those_of_its_own_forward(directory: Path) -> None:
    """Not by way of our comparison: one sentence, straight."""
    model = transformers.AutoModelForTokenClassification.from_pretrained(directory).eval()
    ids = torch.tensor([[2, 5, 6, 7, 3]])
    with torch.inference_mode():
        expected = model(ids).logits
    engine = open_engine(directory, progress=Silent())
    batch = _Batch(ids)
    found: Arrays = engine.run(batch)  # type: ignore[arg-type]
    assert torch.allclose(torch.from_numpy(found["logits"]), expected, atol=1e-6)


class _Batch:
    def __init__(self, ids: torch.Tensor) -> None:
        self.input_ids = ids
        self.token_type_ids = torch.zeros_like(ids)
        self.attention_mask = torch.ones_like(ids, dtype=torch.bool)
