"""The shape of an encoder. Only builders and files see it; layers take plain numbers."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from bertwright.settings import Settings


class EncoderConfig(Settings):
    """Numbers that fix an encoder's shape and behaviour, under the names of transformers' `config.json`."""

    vocab_size: int = Field(default=30522, ge=1, le=1 << 26)
    hidden_size: int = Field(default=768, ge=1, le=1 << 17)
    num_hidden_layers: int = Field(default=12, ge=1, le=1 << 12)
    num_attention_heads: int = Field(default=12, ge=1)
    intermediate_size: int = Field(default=3072, ge=1, le=1 << 19)
    max_position_embeddings: int = Field(default=512, ge=1, le=1 << 20)
    type_vocab_size: int = Field(default=2, ge=1, le=1 << 10)
    hidden_dropout_prob: float = Field(default=0.1, ge=0, lt=1)
    attention_probs_dropout_prob: float = Field(default=0.1, ge=0, lt=1)
    layer_norm_eps: float = Field(default=1e-12, gt=0)
    initializer_range: float = Field(default=0.02, gt=0)
    pad_token_id: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        check_heads(hidden_size=self.hidden_size, num_attention_heads=self.num_attention_heads)
        return self


def check_heads(*, hidden_size: int, num_attention_heads: int) -> None:
    """Raise ValueError where the heads do not divide the hidden size."""
    if hidden_size % num_attention_heads:
        raise ValueError(f"`hidden_size` {hidden_size} is no multiple of `num_attention_heads` {num_attention_heads}")


# Layers, hidden size and heads: base and large from the paper (section 3), the smaller ones from Turc et al.,
# "Well-Read Students Learn Better" (2019). The feed-forward is always four times as wide, a head always 64.
_SHAPES = {
    "tiny": (2, 128, 2),
    "mini": (4, 256, 4),
    "small": (4, 512, 8),
    "medium": (8, 512, 8),
    "base": (12, 768, 12),
    "large": (24, 1024, 16),
}

PRESETS: dict[str, EncoderConfig] = {
    f"bert-{name}": EncoderConfig(
        num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads, intermediate_size=4 * hidden
    )
    for name, (layers, hidden, heads) in _SHAPES.items()
}
