"""The same numbers as transformers, on random weights: what is computed, what it costs, and which way is down."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import PRETRAINING, Bert, Parts
from bertwright.objectives import classification_loss, masked_word_loss, next_sentence_loss, pretraining_loss
from tests.parity.reference import (
    Examples,
    assert_gradients_near,
    assert_near,
    assert_vectors_near,
    config_of_transformers,
    examples,
    put_weights,
    random_model,
)

transformers: Any = pytest.importorskip("transformers")


def shape(*numbers: int) -> EncoderConfig:
    layers, hidden, heads, wide, vocabulary, positions, kinds = numbers
    return EncoderConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=wide,
        vocab_size=vocabulary,
        max_position_embeddings=positions,
        type_vocab_size=kinds,
    )


# Shape, and the standard deviation of the weights: BERT's own 0.02 leaves attention almost uniform, so that its errors
# would hardly show.
SHAPES = [
    pytest.param(shape(1, 16, 1, 64, 31, 12, 2), 0.02, id="one small layer"),
    pytest.param(shape(2, 32, 4, 48, 97, 24, 2), 0.2, id="narrow feed-forward, large weights"),
    pytest.param(shape(3, 48, 12, 192, 211, 37, 3), 0.1, id="heads of 4, three segments, odd length"),
    pytest.param(shape(6, 64, 2, 256, 1000, 64, 2), 0.05, id="six layers"),
    pytest.param(shape(2, 128, 2, 512, 3001, 128, 2), 0.08, id="the tiny preset, weights of a trained model"),
]
ATTENTION = pytest.mark.parametrize("attention", ["eager", "sdpa"])


def pretraining_pair(config: EncoderConfig, deviation: float, attention: str) -> tuple[Bert, Any, Examples]:
    ours = random_model(config, PRETRAINING, deviation=deviation, seed=1)
    theirs = transformers.BertForPreTraining(config_of_transformers(transformers, config, attention))
    put_weights(theirs, ours)
    return ours, theirs, examples(config, seed=2)


@ATTENTION
@pytest.mark.parametrize(("config", "deviation"), SHAPES)
def test_every_layer_and_the_pooled_vector(config: EncoderConfig, deviation: float, attention: str) -> None:
    ours, theirs, batch = pretraining_pair(config, deviation, attention)
    with torch.inference_mode():
        wanted = theirs.bert(**batch.named, output_hidden_states=True)
        found = ours.encoder(*batch.inputs, all_layers=True)
        pooled = ours.pooled(found.hidden)
    assert len(found.layers) == len(wanted.hidden_states) == config.num_hidden_layers + 1
    for number, (layer, reference) in enumerate(zip(found.layers, wanted.hidden_states, strict=True)):
        real = batch.attention_mask
        assert_vectors_near(layer[real], reference[real], f"layer {number}")
    assert_vectors_near(found.hidden[batch.attention_mask], wanted.last_hidden_state[batch.attention_mask], "last")
    assert_vectors_near(pooled, wanted.pooler_output, "pooled")


@ATTENTION
@pytest.mark.parametrize(("config", "deviation"), SHAPES)
def test_pretraining_scores_loss_and_gradients(config: EncoderConfig, deviation: float, attention: str) -> None:
    ours, theirs, batch = pretraining_pair(config, deviation, attention)

    wanted = theirs(**batch.named, labels=batch.word_labels, next_sentence_label=batch.follows)
    wanted.loss.backward()

    words, follows = ours.pretraining_scores(*batch.inputs, batch.positions)
    assert follows is not None
    loss = pretraining_loss(masked_word_loss(words, batch.words), next_sentence_loss(follows, batch.follows))
    at_positions = wanted.prediction_logits[torch.arange(4)[:, None], batch.positions].flatten(0, 1)
    assert_vectors_near(words, at_positions, "word scores")
    assert_vectors_near(follows, wanted.seq_relationship_logits, "next-sentence scores")
    loss.backward()
    assert_near(loss, wanted.loss, "loss")
    assert_gradients_near(ours, theirs)


@ATTENTION
@pytest.mark.parametrize(("config", "deviation"), SHAPES)
def test_class_scores_loss_and_gradients(config: EncoderConfig, deviation: float, attention: str) -> None:
    ours = random_model(config, Parts(labels=3), deviation=deviation, seed=3)
    theirs = transformers.BertForSequenceClassification(
        config_of_transformers(transformers, config, attention, num_labels=3)
    )
    put_weights(theirs, ours)
    batch, labels = examples(config, seed=4), torch.tensor([2, 0, 1, 2])

    wanted = theirs(**batch.named, labels=labels)
    wanted.loss.backward()

    scores = ours.class_scores(*batch.inputs)
    loss = classification_loss(scores, labels)
    loss.backward()
    assert_vectors_near(scores, wanted.logits, "class scores")
    assert_near(loss, wanted.loss, "loss")
    assert_gradients_near(ours, theirs)


def test_segments_default_to_the_first_and_no_mask_means_no_padding() -> None:
    config = shape(2, 32, 4, 64, 97, 24, 2)
    ours, theirs, batch = pretraining_pair(config, 0.2, "sdpa")
    with torch.inference_mode():
        assert_near(
            ours.encoder(batch.input_ids).hidden, theirs.bert(input_ids=batch.input_ids).last_hidden_state, "hidden"
        )
