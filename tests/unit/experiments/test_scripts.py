"""The small parts of the experiments that one can check by eye."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from bertwright.batches.sequences import InputBatch
from bertwright.heads.model import Bert, Parts
from tests.support import PETS, shard_of
from tests.unit.experiments.test_causal import CONFIG

ROOT = Path(__file__).resolve().parents[3]


def script(name: str) -> ModuleType:
    """A script of experiments/, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "experiments" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_words_of_two_pieces_are_those_that_go_on_exactly_once() -> None:
    found = script("independent_masks")
    continues = found.continuing(PETS)
    the, cat, dog, home, s = (PETS.ids[piece] for piece in ("the", "cat", "dog", "home", "##s"))
    #                  0    1   2  3    4  5  6     7    8
    tokens = np.array([the, cat, s, dog, s, s, home, cat, s])
    assert found.two_pieces(tokens, continues).tolist() == [1, 7]


def test_known_words_are_those_of_two_pieces_in_the_text() -> None:
    found = script("independent_masks")
    cat, dog, s = (PETS.ids[piece] for piece in ("cat", "dog", "##s"))
    shard = shard_of([[[cat, s, dog, s, s], [cat, dog]]], within={s})
    assert found.known_words([shard], PETS) == {(cat, s)}


def test_the_mean_of_weights() -> None:
    found = script("averaging")
    one, other = {"w": torch.tensor([1.0, 2.0])}, {"w": torch.tensor([3.0, 6.0])}
    assert found.mean_of([one, other])["w"].tolist() == [2.0, 4.0]


def test_order_shows_with_positions_and_not_without() -> None:
    found = script("word_order")
    model = Bert(CONFIG, Parts(pooler=False)).eval()
    model.initialise(0)
    # The token 6 is the last of one text and the first of the other.
    texts = [2, 5, 7, 6, 3], [2, 6, 7, 5, 3]

    def differs() -> float:
        one, other = (found.vectors(model.encoder, text) for text in texts)
        last: float = found.differences(one[:, 3], other[:, 1])[-1]
        return last

    assert differs() > 0.001
    found.without_positions(model.encoder)
    assert differs() < 1e-6


def test_a_teacher_moves_its_student_and_not_itself() -> None:
    found = script("averaging")
    teacher = Bert(CONFIG, Parts(labels=2)).eval()
    teacher.initialise(0)
    ids = torch.tensor([[2, 5, 3]])
    inputs = InputBatch(ids, torch.zeros_like(ids), torch.ones_like(ids, dtype=torch.bool))
    said = (found.first_token(teacher, inputs) + torch.tensor([[1.0, 0.0]])).detach().requires_grad_()
    loss = found.towards(teacher, inputs, said)
    loss.backward()
    # One of two scores is off by 1.
    assert round(loss.item(), 6) == 0.5
    assert said.grad is not None
    assert said.grad.round(decimals=5).tolist() == [[1.0, 0.0]]
    assert all(parameter.grad is None for parameter in teacher.parameters())
