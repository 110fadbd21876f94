"""What benchmarks/time_to_loss.py reads out of a run, and the rows that both sides are measured on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from benchmarks.time_to_loss import first_reached, our_held_out_rows, training_clock
from bertwright.batches.pretraining import PretrainingBatches
from bertwright.encoder.config import EncoderConfig
from bertwright.examples.masking import IGNORED
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import WORDS_ALONE, Bert
from bertwright.shards.read import open_shards
from bertwright.tasks.pretrain import held_out_scores
from tests.support import letters, numbered, write_shards


def test_the_clock_counts_training_alone() -> None:
    # 100 tokens a step. Begun after 5 s; a save of 7 s after step 4; from step 6 on twice as fast.
    reports = [
        {"step": 2, "tokens_per_second": 100.0, "seconds": 7.0},
        {"step": 4, "tokens_per_second": 100.0, "seconds": 9.0},
        {"step": 6, "tokens_per_second": 100.0, "seconds": 18.0},
        {"step": 8, "tokens_per_second": 200.0, "seconds": 19.0},
        {"step": 9, "tokens_per_second": 200.0, "seconds": 26.5},
    ]
    assert training_clock(reports, save_every=4) == [(2, 2.0), (4, 4.0), (6, 6.0), (8, 7.0), (9, 7.5)]


def test_the_target_is_met_at_the_first_point_that_is_as_low() -> None:
    curve = [{"seconds": 1.0, "loss": 6.0}, {"seconds": 2.0, "loss": 5.0}, {"seconds": 3.0, "loss": 5.5}]
    assert first_reached(curve, 5.5) == 2.0
    assert first_reached(curve, 6.0) == 1.0
    assert first_reached(curve, 4.9) is None


def test_the_rows_are_the_hidden_words_that_a_run_itself_measures_on(tmp_path: Path) -> None:
    vocabulary = letters(250)
    documents = numbered([[5, 7], [9], [4, 20], [3], [30, 11], [6], [13, 2]])
    write_shards(tmp_path, documents, vocabulary, held_out=documents)
    shards = open_shards(tmp_path)
    rows = {name: torch.from_numpy(values).long() for name, values in our_held_out_rows(shards, 32, 512).items()}

    plan = ExamplePlan(shards.shards("held_out"), ExampleSettings(max_length=32, segments="none"), seed=0)
    batch = PretrainingBatches(plan, vocabulary).build(Cursor(), plan.size(0))
    assert len(batch.input_ids) < len(rows["input_ids"])  # a few sequences did share a row
    # With the hidden words back in their places, the rows hold all tokens of all documents, each once.
    text = torch.where(rows["labels"] == IGNORED, rows["input_ids"], rows["labels"])
    frame = (vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id)
    tokens = [token for token in text.flatten().tolist() if token not in frame]
    assert sorted(tokens) == [token for document in documents for sentence in document for token in sentence]

    shape = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    # Weights so large that one token seen too many shows in the loss.
    config = EncoderConfig.from_values({"vocab_size": len(vocabulary), "initializer_range": 0.3, **shape})
    model = Bert(config, WORDS_ALONE)
    model.initialise(0)
    model.eval()
    everywhere = torch.arange(32).expand(len(rows["input_ids"]), -1)
    scores, _ = model.pretraining_scores(rows["input_ids"], rows["token_type_ids"], rows["attention_mask"], everywhere)
    loss = functional.cross_entropy(scores, rows["labels"].flatten(), ignore_index=IGNORED)
    assert loss.item() == pytest.approx(held_out_scores(model, [batch])["mlm_loss"], abs=1e-5)
