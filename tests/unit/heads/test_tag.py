from __future__ import annotations

import torch
from torch.nn import functional

from bertwright.heads.tag import TaggingHead


def test_every_token_is_scored_by_itself() -> None:
    head = TaggingHead(hidden_size=2, labels=3, dropout=0.5).eval()
    with torch.no_grad():
        head.dense.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        head.dense.bias.copy_(torch.tensor([0.0, 0.0, 10.0]))
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    assert head(hidden).tolist() == [[[1, 2, 13], [3, 4, 17]]]


def test_in_training_the_vectors_lose_elements() -> None:
    torch.manual_seed(0)
    head = TaggingHead(hidden_size=64, labels=64, dropout=0.5).train()
    with torch.no_grad():
        head.dense.weight.copy_(torch.eye(64))
        head.dense.bias.zero_()
    scores = head(torch.ones(4, 8, 64))
    assert scores.unique().tolist() == [0, 2]
    assert 0.4 < float((scores == 0).float().mean()) < 0.6


def test_it_is_the_head_of_transformers() -> None:
    """`BertForTokenClassification`: dropout and `classifier`, a dense layer with bias."""
    head = TaggingHead(hidden_size=8, labels=5, dropout=0.1).eval()
    assert {name: tuple(parameter.shape) for name, parameter in head.named_parameters()} == {
        "dense.weight": (5, 8),
        "dense.bias": (5,),
    }
    hidden = torch.randn(2, 3, 8)
    torch.testing.assert_close(head(hidden), functional.linear(hidden, head.dense.weight, head.dense.bias))
