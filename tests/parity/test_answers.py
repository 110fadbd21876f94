"""A directory that transformers wrote answers as its own logits say, searched in full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import bertwright
from bertwright.files import write_atomic
from bertwright.tokens.layout import tokenizer_files
from tests.parity.test_transformers_directories import TOKENIZER

transformers: Any = pytest.importorskip("transformers")

QUESTION = "I play?"
CONTEXTS = ["I like DOG playing", "中 dog,  i Play i like 中 Dog", "dog"]


def test_the_best_span_is_that_of_all_pairs_of_logits(tmp_path: Path) -> None:
    torch.manual_seed(3)
    config = transformers.BertConfig(
        num_hidden_layers=2,
        hidden_size=32,
        num_attention_heads=4,
        intermediate_size=72,
        vocab_size=16,
        max_position_embeddings=20,
        initializer_range=0.5,
    )
    theirs = transformers.BertForQuestionAnswering(config).eval()
    theirs.save_pretrained(tmp_path)
    for name, content in tokenizer_files(TOKENIZER).items():
        write_atomic(tmp_path / name, content)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    found = bertwright.load(tmp_path).answer([(QUESTION, context) for context in CONTEXTS])
    for context, answered in zip(CONTEXTS, found, strict=True):
        inputs = tokenizer(QUESTION, context, return_tensors="pt", return_offsets_mapping=True)
        places = inputs.pop("offset_mapping")[0].tolist()
        with torch.inference_mode():
            output = theirs(**inputs)
        start, end = output.start_logits[0], output.end_logits[0]
        inside = [place for place, sequence in enumerate(inputs.sequence_ids(0)) if sequence == 1]
        pairs = {(float(start[a] + end[b]), a, b) for a in inside for b in inside if a <= b}
        score, first, last = max(pairs)
        assert (answered.start, answered.end) == (places[first][0], places[last][1])
        assert answered.score == pytest.approx(score, abs=1e-5)
        assert answered.text == context[answered.start : answered.end]
        assert answered.null_odds == pytest.approx(float(start[0] + end[0]) - score, abs=1e-5)
