from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bertwright.batches.sequences import pad
from bertwright.encoder.config import EncoderConfig
from bertwright.encoder.encoder import Encoder, Pooler, build_encoder, padding_bias
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.support import framed

TOKENIZER = Tokenizer(Vocabulary([*SPECIALS, "i", "like", "dog", "play", "##ing"]))
CONFIG = EncoderConfig(
    num_hidden_layers=3,
    hidden_size=24,
    num_attention_heads=4,
    intermediate_size=40,
    vocab_size=10,
    max_position_embeddings=16,
)


def random_encoder(config: EncoderConfig = CONFIG, *, deviation: float = 0.2) -> Encoder:
    encoder = build_encoder(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
    return encoder.eval()


def two_rows() -> tuple[Tensor, Tensor, Tensor]:
    """One row of eight tokens, one of five and three of padding; (2, 8) each."""
    ids = torch.tensor([[2, 5, 6, 7, 3, 8, 9, 3], [2, 5, 6, 7, 3, 0, 0, 0]])
    segments = torch.tensor([[0, 0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0, 0]]).bool()
    return ids, segments, mask


def test_i_like_dog() -> None:
    batch = pad([framed(TOKENIZER, "I like dog")], TOKENIZER.vocabulary.pad_id)
    assert TOKENIZER.pieces(batch.input_ids[0].tolist()) == ["[CLS]", "i", "like", "dog", "[SEP]"]
    assert batch.input_ids.shape == (1, 5)
    output = random_encoder()(batch.input_ids, batch.token_type_ids, batch.attention_mask, all_layers=True)
    assert output.hidden.shape == (1, 5, 24)
    assert [tuple(layer.shape) for layer in output.layers] == [(1, 5, 24)] * 4
    assert torch.equal(output.layers[-1], output.hidden)
    assert Pooler(24)(output.hidden).shape == (1, 24)


def test_a_pair_has_segments_0_and_1() -> None:
    batch = pad([framed(TOKENIZER, "I like", "playing")], TOKENIZER.vocabulary.pad_id)
    assert TOKENIZER.pieces(batch.input_ids[0].tolist()) == ["[CLS]", "i", "like", "[SEP]", "play", "##ing", "[SEP]"]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 0, 1, 1, 1]]


def test_the_input_is_the_normalised_sum_of_three() -> None:
    encoder = random_encoder()
    ids, segments, _ = two_rows()
    part = encoder.embeddings
    summed = torch.stack(
        [
            part.word.weight[word] + part.position.weight[position] + part.segment.weight[segment]
            for position, (word, segment) in enumerate(zip(ids[0].tolist(), segments[0].tolist(), strict=True))
        ]
    )
    centred = summed - summed.mean(dim=1, keepdim=True)
    normed = centred / (centred.square().mean(dim=1, keepdim=True) + 1e-12).sqrt()
    torch.testing.assert_close(part(ids, segments)[0], normed * part.norm.weight + part.norm.bias)


def test_padding_is_a_bias_of_minus_infinity() -> None:
    infinite = float("-inf")
    assert padding_bias(torch.tensor([[1, 1, 0], [1, 0, 0]])).tolist() == [
        [[[0.0, 0.0, infinite]]],
        [[[0.0, infinite, infinite]]],
    ]


def test_padding_changes_nothing() -> None:
    encoder = random_encoder()
    ids, segments, mask = two_rows()
    padded = encoder(ids, segments, mask).hidden
    alone = encoder(ids[1:, :5], segments[1:, :5]).hidden
    torch.testing.assert_close(padded[1:, :5], alone, rtol=1e-6, atol=1e-6)
    # What stands in the padding is never looked at, to the last bit.
    other = ids.masked_fill(~mask, 7)
    assert torch.equal(encoder(other, segments, mask).hidden[mask], padded[mask])


def test_padding_takes_no_gradient() -> None:
    encoder = random_encoder()
    ids, segments, mask = two_rows()
    ids = ids.masked_fill(~mask, 9)[1:]
    encoder(ids, segments[1:], mask[1:]).hidden[:, :5].square().sum().backward()
    gradient = encoder.embeddings.word.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(dim=1).gt(0).tolist() == [False, False, True, True, False, True, True, True, False, False]


def test_without_a_mask_every_token_sees_every_token() -> None:
    encoder = random_encoder()
    ids, segments, _ = two_rows()
    torch.testing.assert_close(
        encoder(ids, segments).hidden, encoder(ids, segments, torch.ones_like(ids)).hidden, rtol=1e-6, atol=1e-6
    )
    assert torch.equal(encoder(ids).hidden, encoder(ids, torch.zeros_like(ids)).hidden)


# Positions in any order, one of them twice, and one that is padding's place, as batches with few hidden words have.
@pytest.mark.parametrize("wanted", [[[0], [0]], [[0, 3, 7], [0, 4, 1]], [[5, 2, 5, 0], [1, 1, 0, 0]]])
@pytest.mark.parametrize("layers", [1, 3])
def test_wanted_positions_are_those_of_the_full_computation(wanted: list[list[int]], layers: int) -> None:
    """Law 5: values and gradients of the short way are those of the long one."""
    positions = torch.tensor(wanted)
    ids, segments, mask = two_rows()
    config = CONFIG.model_copy(update={"num_hidden_layers": layers})
    short, full = random_encoder(config), random_encoder(config)

    found = short(ids, segments, mask, wanted=positions).hidden
    every = full(ids, segments, mask).hidden
    expected = torch.stack([row[chosen] for row, chosen in zip(every, positions, strict=True)])
    assert found.shape == (2, positions.shape[1], 24)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)

    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    for (name, one), two in zip(short.named_parameters(), full.parameters(), strict=True):
        assert one.grad is not None
        assert two.grad is not None
        assert torch.allclose(one.grad, two.grad, rtol=1e-5, atol=2e-6), name


def test_a_sequence_may_be_as_long_as_there_are_positions() -> None:
    assert random_encoder()(torch.ones(1, 16, dtype=torch.long)).hidden.shape == (1, 16, 24)
