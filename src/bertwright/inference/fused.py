"""An encoder made of onnxruntime's own operators, for export: what its optimizer for BERT would make of a plain graph.

`Attention` takes the joined matrix of query, key and value as it lies here, `SkipLayerNormalization` adds a bias, a
residual and normalises, `BiasGelu` adds and bends. It stands in the place of an Encoder while a graph is traced, and
computes nothing by itself.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bertwright.encoder.attention import SelfAttention, select_positions
from bertwright.encoder.encoder import Encoder, EncoderOutput
from bertwright.encoder.layer import EncoderLayer

_DOMAIN = "com.microsoft"


class FusedEncoder(nn.Module):
    """The weights of an Encoder, and its inputs and outputs as far as `inference.outputs` needs them."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.embeddings = encoder.embeddings
        self.layers = nn.ModuleList(_FusedLayer(layer) for layer in encoder.layers if isinstance(layer, EncoderLayer))

    def forward(
        self, input_ids: Tensor, token_type_ids: Tensor, attention_mask: Tensor, *, wanted: Tensor | None = None
    ) -> EncoderOutput:
        """As Encoder.forward."""
        hidden = self.embeddings(input_ids, token_type_ids)
        mask = attention_mask.to(torch.int32)
        last = len(self.layers) - 1
        for number, layer in enumerate(self.layers):
            hidden = layer(hidden, mask, wanted if number == last else None)
        return EncoderOutput(hidden)


class _FusedLayer(nn.Module):
    def __init__(self, layer: EncoderLayer) -> None:
        super().__init__()
        attention = layer.attention
        assert isinstance(attention, SelfAttention)
        self.heads = attention.heads
        self.joined = attention.query_key_value
        self.projection = attention.output
        self.attention_norm = layer.attention_norm
        self.expand, self.contract = layer.expand, layer.contract
        self.feed_forward_norm = layer.feed_forward_norm

    def forward(self, hidden: Tensor, mask: Tensor, asking: Tensor | None) -> Tensor:
        attended = torch.onnx.ops.symbolic(
            f"{_DOMAIN}::Attention",
            (hidden, self.joined.weight.T, self.joined.bias, mask),
            {"num_heads": self.heads},
            dtype=hidden.dtype,
            shape=hidden.shape,
            version=1,
        )
        if asking is not None:
            attended, hidden = select_positions(attended, asking), select_positions(hidden, asking)
        hidden = _add_and_norm(attended @ self.projection.weight.T, hidden, self.attention_norm, self.projection.bias)
        wide = hidden @ self.expand.weight.T
        bent = torch.onnx.ops.symbolic(
            f"{_DOMAIN}::BiasGelu", (wide, self.expand.bias), dtype=wide.dtype, shape=wide.shape, version=1
        )
        return _add_and_norm(bent @ self.contract.weight.T, hidden, self.feed_forward_norm, self.contract.bias)


def _add_and_norm(product: Tensor, hidden: Tensor, norm: nn.LayerNorm, bias: Tensor) -> Tensor:
    found: Tensor = torch.onnx.ops.symbolic(
        f"{_DOMAIN}::SkipLayerNormalization",
        (product, hidden, norm.weight, norm.bias, bias),
        {"epsilon": norm.eps},
        dtype=hidden.dtype,
        shape=hidden.shape,
        version=1,
    )
    return found
