"""A model and a vocabulary of a few pieces, quick to write and to break."""

from __future__ import annotations

import torch

from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Bert, Parts
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, "i", "like", "dog", "play", "##ing"]))
CONFIG = EncoderConfig(
    num_hidden_layers=2,
    hidden_size=8,
    num_attention_heads=2,
    intermediate_size=16,
    vocab_size=10,
    max_position_embeddings=12,
)


def small_model(parts: Parts, *, config: EncoderConfig = CONFIG, seed: int = 0) -> Bert:
    """A model without a neutral value anywhere: biases and norms are random too."""
    model = Bert(config, parts)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()
