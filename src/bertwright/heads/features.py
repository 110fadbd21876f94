"""Tags from an encoder that is not fine-tuned (paper, section 5.3, table 7): its last four layers as features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bertwright.encoder.dropout import Dropout

if TYPE_CHECKING:
    from collections.abc import Sequence


class FeatureTagger(nn.Module):
    """The last layers side by side -> a bidirectional LSTM of two layers -> dropout and one dense layer.

    layers: how many; no more than there are. lstm_size: dimensions of each direction. The paper tells no dropout; it is
    the fine-tuned tagger's, and lies where that has it.
    """

    def __init__(self, *, hidden_size: int, labels: int, dropout: float, layers: int = 4, lstm_size: int = 768) -> None:
        super().__init__()
        self.layers = layers
        self.lstm = nn.LSTM(layers * hidden_size, lstm_size, num_layers=2, batch_first=True, bidirectional=True)
        self.dropout = Dropout(dropout)
        self.dense = nn.Linear(2 * lstm_size, labels)

    def forward(self, layers: Sequence[Tensor], attention_mask: Tensor) -> Tensor:
        """Read each row from both its ends.

        layers: those of `EncoderOutput`, (batch, length, hidden) each, the last of them last. attention_mask: (batch,
        length), true on tokens, which stand before the padding; every row has one. Returns (batch, length, labels).
        """
        features = torch.cat([hidden.float() for hidden in layers[-self.layers :]], dim=-1)
        lengths = attention_mask.bool().sum(dim=1).cpu()
        # In fp32: the cell adds up over a whole row what bf16 would round at every token.
        with torch.autocast(features.device.type, enabled=False):
            # Packed, so that the backward direction begins at a row's last token and not in its padding.
            packed = pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
            read, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=features.shape[1])
        scores: Tensor = self.dense(self.dropout(read))
        return scores
