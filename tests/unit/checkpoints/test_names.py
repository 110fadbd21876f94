from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from bertwright.checkpoints.names import to_ours, to_theirs
from bertwright.encoder.config import EncoderConfig
from bertwright.heads.model import PRETRAINING, Parts
from tests.unit.checkpoints.small import CONFIG, small_model

all_parts = st.builds(
    Parts,
    pooler=st.booleans(),
    masked_words=st.booleans(),
    next_sentence=st.booleans(),
    labels=st.integers(0, 3),
)
configs = st.builds(
    lambda layers, heads, size, wide, words: EncoderConfig(
        num_hidden_layers=layers,
        num_attention_heads=heads,
        hidden_size=heads * size,
        intermediate_size=wide,
        vocab_size=words,
        max_position_embeddings=4,
    ),
    st.integers(1, 12),  # a layer 10 sorts before a layer 2
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 9),
)


@given(config=configs, parts=all_parts)
def test_names_go_there_and_back(config: EncoderConfig, parts: Parts) -> None:
    tensors = {name: parameter.detach() for name, parameter in small_model(parts, config=config).named_parameters()}
    found, unused = to_ours(to_theirs(tensors))
    assert unused == []
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@given(order=st.randoms(use_true_random=False))
def test_the_order_in_a_file_does_not_matter(order: object) -> None:
    tensors = dict(small_model(PRETRAINING).named_parameters())
    names = list(theirs := to_theirs(tensors))
    order.shuffle(names)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    found, unused = to_ours({name: theirs[name] for name in names})
    assert unused == []
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_query_key_and_value_lie_in_this_order_in_the_one_matrix() -> None:
    weight = torch.arange(6.0)[:, None] * torch.ones(6, 2)
    theirs = to_theirs({"encoder.layers.3.attention.query_key_value.weight": weight})
    stem = "bert.encoder.layer.3.attention.self."
    assert {name: rows[:, 0].tolist() for name, rows in theirs.items()} == {
        f"{stem}query.weight": [0, 1],
        f"{stem}key.weight": [2, 3],
        f"{stem}value.weight": [4, 5],
    }


def test_old_names_are_understood() -> None:
    one = torch.ones(1)
    found, unused = to_ours(
        {
            "embeddings.LayerNorm.gamma": one,
            "bert.embeddings.LayerNorm.beta": one,
            "encoder.layer.0.output.LayerNorm.beta": one,
            "pooler.dense.bias": one,
            "cls.predictions.transform.LayerNorm.gamma": one,
        }
    )
    assert unused == []
    assert list(found) == [
        "encoder.embeddings.norm.weight",
        "encoder.embeddings.norm.bias",
        "encoder.layers.0.feed_forward_norm.bias",
        "pooler.dense.bias",
        "masked_words.norm.weight",
    ]


def test_what_has_no_place_here_is_told() -> None:
    one = torch.ones(1)
    names = ["bert.encoder.layer.0.adapter.down.weight", "adapter.weight", "bert.embeddings.position_ids"]
    assert to_ours(dict.fromkeys(names, one)) == ({}, names)


def test_a_layer_that_lacks_its_keys_gets_no_joined_matrix() -> None:
    theirs = to_theirs(dict(small_model(Parts(pooler=False)).named_parameters()))
    del theirs["bert.encoder.layer.1.attention.self.key.weight"]
    found, unused = to_ours(theirs)
    assert "encoder.layers.0.attention.query_key_value.weight" in found
    assert "encoder.layers.1.attention.query_key_value.weight" not in found
    assert unused == ["bert.encoder.layer.1.attention.self.query.weight"]


def test_every_parameter_of_theirs_has_a_name_of_its_own() -> None:
    parts = Parts(masked_words=True, next_sentence=True, labels=2)
    ours = dict(small_model(parts).named_parameters())
    joined = sum("query_key_value" in name for name in ours)
    assert len(to_theirs(ours)) == len(ours) + 2 * joined == len(ours) + 2 * 2 * CONFIG.num_hidden_layers
