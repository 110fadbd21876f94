"""An encoder that reads from left to right: BERT's own, with a causal mask, and the next word as its objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.encoder.attention import SelfAttention
from bertwright.encoder.config import EncoderConfig
from bertwright.encoder.layer import EncoderLayer
from bertwright.encoder.varlen import Sequences
from bertwright.heads.model import Bert
from bertwright.objectives import masked_word_loss


class CausalAttention(SelfAttention):
    """Every token sees itself and those before it."""

    def forward(
        self, hidden: Tensor, bias: Tensor | None, asking: Tensor | None = None, apart: Sequences | None = None
    ) -> Tensor:
        """As of SelfAttention; `apart` is not used, for that kernel knows no such mask."""
        del apart
        length = hidden.shape[1]
        later = torch.full((1, 1, length, length), float("-inf"), device=hidden.device).triu(1)
        return super().forward(hidden, later if bias is None else bias + later, asking)


def make_causal(model: Bert) -> None:
    """Give every layer a causal mask; the weights stay."""
    config: EncoderConfig = model.config
    for layer in model.encoder.layers:
        assert isinstance(layer, EncoderLayer)
        attention = CausalAttention(
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            dropout=config.attention_probs_dropout_prob,
        )
        attention.load_state_dict(layer.attention.state_dict(), assign=True)
        layer.attention = attention


@dataclass(frozen=True, slots=True)
class NextWords:
    """Text, and the word that follows each token of it.

    input_ids, token_type_ids, attention_mask: as of PretrainingBatch, with nothing hidden. places: (words,) those
    tokens, counted through the whole batch, whose next one is a word of the same text. labels: (words,) these words.
    """

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    places: Tensor
    labels: Tensor

    @classmethod
    def of(cls, batch: PretrainingBatch, sep_id: int) -> Self:
        """Of a batch whose words are all as they stand in the text."""
        ids, sequence = batch.input_ids, batch.attention_mask
        follows = (sequence[:, 1:] == sequence[:, :-1]) & (sequence[:, 1:] > 0) & (ids[:, 1:] != sep_id)
        row, column = follows.nonzero(as_tuple=True)
        return cls(ids, batch.token_type_ids, sequence, row * ids.shape[1] + column, ids[row, column + 1])

    @property
    def tokens(self) -> int:
        """Real tokens."""
        return int((self.attention_mask > 0).sum())

    @property
    def counts(self) -> dict[str, float]:
        """What the mean of the loss is over."""
        return {"words": len(self.labels)}

    def to(self, device: torch.device) -> Self:
        """The same on `device`."""
        parts = (self.input_ids, self.token_type_ids, self.attention_mask, self.places, self.labels)
        return type(self)(*(part.to(device) for part in parts))


def next_word_objective(model: Bert, batch: NextWords, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss on the next words of a causal encoder, and how many are told right."""
    hidden = model.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask, packed=True).hidden
    scores = model.word_scores(hidden.flatten(0, 1).index_select(0, batch.places))
    right = (scores.detach().max(dim=1).indices == batch.labels).sum() / totals["words"]
    return masked_word_loss(scores, batch.labels, totals["words"]), {"accuracy": right}
