"""BERT: embeddings, a stack of layers, and a pooler over [CLS] (Devlin et al. 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from bertwright.encoder.attention import SelfAttention
from bertwright.encoder.dropout import drawing_again
from bertwright.encoder.embeddings import Embeddings
from bertwright.encoder.layer import EncoderLayer
from bertwright.encoder.varlen import attends_apart_on, sequences_of

if TYPE_CHECKING:
    from bertwright.encoder.config import EncoderConfig


@dataclass(frozen=True, slots=True)
class EncoderOutput:
    """What an encoder says of its input.

    hidden: (batch, length, hidden) of the last layer. layers: the embeddings and each layer's output, all of that
    shape, where they were asked for.
    """

    hidden: Tensor
    layers: tuple[Tensor, ...] = ()


class Encoder(nn.Module):
    """Token ids in, one vector a token out."""

    def __init__(self, embeddings: Embeddings, layers: list[EncoderLayer]) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)
        # In training, keep only what goes into each layer, and compute the rest again for the gradients: half as fast
        # again, in a fraction of the memory.
        self.recompute = False

    def forward(
        self,
        input_ids: Tensor,
        token_type_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        *,
        packed: bool = False,
        wanted: Tensor | None = None,
        all_layers: bool = False,
    ) -> EncoderOutput:
        """Encode a batch.

        input_ids, token_type_ids: (batch, length) int64; segments default to 0. attention_mask: (batch, length), true
        or 1 on tokens, false or 0 on padding; None means that there is none. packed: a row holds several sequences one
        after the other, which `attention_mask` numbers 1, 2, 3 ...; they do not see each other, and the positions of
        each count from 0. wanted: (batch, n) positions whose vectors are used; the last layer computes no others, which
        is exact, and `hidden` is then (batch, n, hidden).
        """
        if token_type_ids is None:
            token_type_ids = torch.zeros_like(input_ids)
        bias = positions = None
        if attention_mask is not None:
            bias = packing_bias(attention_mask) if packed else padding_bias(attention_mask)
            positions = positions_within(attention_mask) if packed else None
        hidden = self.embeddings(input_ids, token_type_ids, positions)
        apart = None
        if attention_mask is not None and packed and self._attends_apart(hidden):
            apart = sequences_of(attention_mask)
        outputs = [hidden]
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            inputs = (hidden, bias, wanted if number == last else None, apart)
            if self.recompute and torch.is_grad_enabled():
                hidden = checkpoint(layer, *inputs, use_reentrant=False, context_fn=drawing_again)
            else:
                hidden = layer(*inputs)
            outputs.append(hidden)
        return EncoderOutput(hidden, tuple(outputs) if all_layers else ())

    def attention_shares(self, input_ids: Tensor, token_type_ids: Tensor) -> Tensor:
        """What each token looks at, for whoever wants to see it: (layers, batch, heads, length, length).

        input_ids, token_type_ids: (batch, length), without padding.
        """
        found = []
        for layer, hidden in zip(self.layers, self(input_ids, token_type_ids, all_layers=True).layers, strict=False):
            assert isinstance(layer.attention, SelfAttention)
            found.append(layer.attention.shares(hidden))
        return torch.stack(found)

    def _attends_apart(self, hidden: Tensor) -> bool:
        attention = self.layers[0].attention
        assert isinstance(attention, SelfAttention)
        drops = self.training and attention.dropout.probability > 0
        return not drops and attends_apart_on(hidden.device)


def padding_bias(attention_mask: Tensor) -> Tensor:
    """(batch, length), false or 0 on padding -> (batch, 1, 1, length), 0 on tokens and -inf on padding."""
    zeros = torch.zeros(attention_mask.shape, device=attention_mask.device)
    return zeros.masked_fill(~attention_mask.bool(), float("-inf"))[:, None, None, :]


def packing_bias(sequences: Tensor) -> Tensor:
    """(batch, length), the number of each token's sequence -> (batch, 1, length, length), -inf between sequences."""
    apart = sequences[:, :, None] != sequences[:, None, :]
    return torch.zeros(apart.shape, device=sequences.device).masked_fill(apart, float("-inf"))[:, None]


def positions_within(sequences: Tensor) -> Tensor:
    """(batch, length), the number of each token's sequence -> (batch, length), the token's place in it from 0."""
    places = torch.arange(sequences.shape[1], device=sequences.device).expand_as(sequences)
    begins = functional.pad(sequences[:, 1:] != sequences[:, :-1], (1, 0), value=True)
    return places - torch.where(begins, places, 0).cummax(dim=1).values


class Pooler(nn.Module):
    """The sequence as one vector: a dense layer with tanh over the vector of [CLS]."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden_size, hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """hidden: (batch, length, hidden) -> (batch, hidden)."""
        return self.of_first(hidden[:, 0])

    def of_first(self, first: Tensor) -> Tensor:
        """first: (..., hidden), the vectors of [CLS] -> (..., hidden)."""
        return torch.tanh(self.dense(first))


def build_encoder(config: EncoderConfig) -> Encoder:
    """An encoder of the given shape, with weights not yet initialised as BERT's (see `initialise`)."""
    embeddings = Embeddings(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        max_position_embeddings=config.max_position_embeddings,
        type_vocab_size=config.type_vocab_size,
        layer_norm_eps=config.layer_norm_eps,
        dropout=config.hidden_dropout_prob,
    )
    layers = [
        EncoderLayer(
            hidden_size=config.hidden_size,
            num_attention_heads=config.num_attention_heads,
            intermediate_size=config.intermediate_size,
            layer_norm_eps=config.layer_norm_eps,
            hidden_dropout=config.hidden_dropout_prob,
            attention_dropout=config.attention_probs_dropout_prob,
        )
        for _ in range(config.num_hidden_layers)
    ]
    return Encoder(embeddings, layers)


def initialise(module: nn.Module, *, standard_deviation: float, seed: int) -> None:
    """Draw all weights from a normal distribution cut at two standard deviations; biases 0, norms 1.

    As `create_initializer` of the original code; an LSTM, of which it has none, as torch draws it. Parameters are drawn
    in the order of `module.modules()` from one generator seeded with `seed`.
    """
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
        elif isinstance(part, nn.Linear | nn.Embedding):
            limit = 2 * standard_deviation
            nn.init.trunc_normal_(part.weight, 0.0, standard_deviation, -limit, limit, generator=generator)
            if isinstance(part, nn.Linear) and part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, nn.LSTM):
            limit = part.hidden_size**-0.5
            for parameter in part.parameters():
                nn.init.uniform_(parameter, -limit, limit, generator=generator)
