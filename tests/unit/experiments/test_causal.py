"""Reading from left to right: who sees whom, and which word is asked for where."""

from __future__ import annotations

import torch

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import WORDS_ALONE, Bert
from lab.causal import NextWords, make_causal

CONFIG = EncoderConfig(
    vocab_size=12,
    hidden_size=8,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=16,
    max_position_embeddings=8,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)


def causal() -> Bert:
    model = Bert(CONFIG, WORDS_ALONE)
    model.initialise(0)
    make_causal(model)
    return model.eval()


def seen(model: Bert, ids: torch.Tensor, mask: torch.Tensor | None = None, *, packed: bool = False) -> list[str]:
    """A row for each token, `x` where its vector follows from the token of the column."""
    before = model.encoder(ids, None, mask, packed=packed).hidden
    grid = [["."] * ids.shape[1] for _ in range(ids.shape[1])]
    for column in range(ids.shape[1]):
        other = ids.clone()
        other[0, column] = 11
        after = model.encoder(other, None, mask, packed=packed).hidden
        for row in (after - before).abs().amax(dim=-1)[0].nonzero().flatten().tolist():
            grid[row][column] = "x"
    return ["".join(row) for row in grid]


def test_a_token_sees_itself_and_those_before_it() -> None:
    assert seen(causal(), torch.tensor([[5, 6, 7, 8]])) == [
        "x...",
        "xx..",
        "xxx.",
        "xxxx",
    ]


def test_in_a_packed_row_it_sees_its_own_text_alone() -> None:
    assert seen(causal(), torch.tensor([[5, 6, 7, 8]]), torch.tensor([[1, 1, 2, 2]]), packed=True) == [
        "x...",
        "xx..",
        "..x.",
        "..xx",
    ]


def test_positions_that_are_asked_for_alone_are_the_same() -> None:
    model, ids = causal(), torch.tensor([[5, 6, 7, 8]])
    whole = model.encoder(ids).hidden
    assert torch.allclose(model.encoder(ids, wanted=torch.tensor([[2]])).hidden[:, 0], whole[:, 2], atol=1e-6)


def test_every_token_is_asked_for_the_word_after_it() -> None:
    # Two texts in one row, then padding: [CLS] 5 6 [SEP], [CLS] 7 [SEP].
    ids = torch.tensor([[2, 5, 6, 3, 2, 7, 3, 0]])
    sequence = torch.tensor([[1, 1, 1, 1, 2, 2, 2, 0]])
    nothing = torch.zeros((1, 0), dtype=torch.int64)
    batch = PretrainingBatch(ids, torch.zeros_like(ids), sequence, nothing, nothing, nothing[0], nothing[0])
    asked = NextWords.of(batch, sep_id=3)
    # 5 after [CLS], 6 after 5, 7 after the second [CLS]; never [SEP], nor the [CLS] of the next text.
    assert list(zip(asked.places.tolist(), asked.labels.tolist(), strict=True)) == [(0, 5), (1, 6), (4, 7)]
    assert asked.counts == {"words": 3}
    assert asked.tokens == 7
