"""A tagger of transformers says the same here: its own argmax, read as tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bertwright
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import Parts
from bertwright.tasks.tag_schemes import BIO2, mend
from bertwright.tokens.layout import tokenizer_files
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.parity.reference import config_of_transformers, put_weights, random_model

transformers: Any = pytest.importorskip("transformers")

TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, "i", "like", "dog", "play", "##ing", "##s", ".", "中"]))
LABELS = ("O", "B-x", "I-x", "B-y", "I-y")
CONFIG = EncoderConfig(
    num_hidden_layers=2,
    hidden_size=32,
    num_attention_heads=4,
    intermediate_size=72,
    vocab_size=16,
    max_position_embeddings=20,
)


def test_a_foreign_tagger_gives_its_own_tags(tmp_path: Path) -> None:
    config = config_of_transformers(transformers, CONFIG, "sdpa")
    config.id2label, config.label2id = dict(enumerate(LABELS)), {label: number for number, label in enumerate(LABELS)}
    theirs = transformers.BertForTokenClassification(config).eval()
    put_weights(theirs, random_model(CONFIG, Parts(pooler=False, tags=5), deviation=0.5, seed=6))
    theirs.save_pretrained(tmp_path)
    for name, content in tokenizer_files(TOKENIZER, max_length=CONFIG.max_position_embeddings).items():
        (tmp_path / name).write_bytes(content)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ours = bertwright.load(tmp_path)

    random = np.random.default_rng(0)
    words = ["i", "Like", "dogs", "playing", ".", "cat", "中"]
    sentences = [random.choice(words, random.integers(1, 8)).tolist() for _ in range(60)]
    valid = 0
    for sentence, found in zip(sentences, ours.tag(sentences), strict=True):
        inputs = tokenizer(sentence, is_split_into_words=True, return_tensors="pt")
        with torch.inference_mode():
            best = theirs(**inputs).logits[0].argmax(dim=-1).tolist()
        numbers = inputs.word_ids()
        tags = tuple(LABELS[best[numbers.index(number)]] for number in range(len(sentence)))
        read, wrong = mend(tags, BIO2)
        assert found.tags == read
        valid += wrong == 0
    assert valid >= 5
    assert valid < len(sentences)
