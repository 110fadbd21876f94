from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bertwright.encoder.encoder import initialise
from bertwright.heads.features import FeatureTagger


def tagger(*, dropout: float = 0.0, layers: int = 4, seed: int = 0) -> FeatureTagger:
    made = FeatureTagger(hidden_size=6, labels=3, dropout=dropout, layers=layers, lstm_size=5)
    initialise(made, standard_deviation=0.5, seed=seed)
    return made


def layers_of(rows: int, length: int, *, count: int = 6) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(rows, length, 6, generator=generator) for _ in range(count))


def mask_of(lengths: list[int], length: int) -> Tensor:
    return torch.arange(length) < torch.tensor(lengths)[:, None]


def test_the_papers_sizes_are_the_defaults() -> None:
    with torch.device("meta"):
        made = FeatureTagger(hidden_size=768, labels=9, dropout=0.1)
    assert made.lstm.input_size == 4 * 768
    assert (made.lstm.hidden_size, made.lstm.num_layers, made.lstm.bidirectional) == (768, 2, True)
    assert made.dense.weight.shape == (9, 2 * 768)


def test_it_looks_at_the_last_layers_alone() -> None:
    made, mask = tagger(layers=4), mask_of([7, 7], 7)
    layers = layers_of(2, 7)
    scores = made(layers, mask)
    assert scores.shape == (2, 7, 3)
    for number in range(6):
        others = [hidden + (number == place) for place, hidden in enumerate(layers)]
        assert torch.equal(made(others, mask), scores) == (number < 2)


def test_a_row_knows_nothing_of_its_padding_or_of_the_rows_beside_it() -> None:
    made, lengths = tagger(), [3, 7, 1, 5]
    layers = layers_of(4, 7)
    together = made(layers, mask_of(lengths, 7))
    noise = [hidden.masked_fill(~mask_of(lengths, 7)[:, :, None], 100.0) for hidden in layers]
    assert torch.equal(made(noise, mask_of(lengths, 7))[mask_of(lengths, 7)], together[mask_of(lengths, 7)])
    for row, length in enumerate(lengths):
        alone = made([hidden[row : row + 1, :length] for hidden in layers], mask_of([length], length))
        torch.testing.assert_close(together[row, :length], alone[0], rtol=0, atol=1e-6)


def test_every_token_is_read_from_both_ends() -> None:
    made, layers = tagger(), layers_of(1, 5)
    scores = made(layers, mask_of([5], 5))
    for changed in (0, 4):
        other = [hidden.clone() for hidden in layers]
        other[-1][0, changed] += 1
        assert (made(other, mask_of([5], 5)) != scores).any(dim=-1).all()


def test_it_is_torchs_lstm_written_out() -> None:
    """One row without padding: forward and backward, two layers, by the formulas of Hochreiter and Schmidhuber."""
    made, layers = tagger(), layers_of(1, 5)

    def read(inputs: Tensor, suffix: str) -> Tensor:
        weights = dict(made.lstm.named_parameters())
        w, u, b, c = (weights[f"{kind}_{suffix}"] for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        state, cell, found = torch.zeros(5), torch.zeros(5), []
        for token in inputs:
            enter, forget, new, leave = (w @ token + b + u @ state + c).chunk(4)
            cell = torch.sigmoid(forget) * cell + torch.sigmoid(enter) * torch.tanh(new)
            state = torch.sigmoid(leave) * torch.tanh(cell)
            found.append(state)
        return torch.stack(found)

    hidden = torch.cat(layers[-4:], dim=-1)[0]
    for layer in ("l0", "l1"):
        hidden = torch.cat([read(hidden, layer), read(hidden.flip(0), f"{layer}_reverse").flip(0)], dim=-1)
    torch.testing.assert_close(made(layers, mask_of([5], 5))[0], made.dense(hidden))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_twice_the_same_in_both_precisions(dtype: torch.dtype) -> None:
    made, mask = tagger(dropout=0.5).eval(), mask_of([3, 7], 7)
    layers = [hidden.to(dtype) for hidden in layers_of(2, 7)]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype is torch.bfloat16):
        first, second = made(layers, mask), made(layers, mask)
    assert torch.equal(first, second)
    assert first.dtype is dtype  # of its dense layer; the LSTM computes in fp32
    plain = made([hidden.float() for hidden in layers], mask)
    torch.testing.assert_close(first.float(), plain, rtol=0.02, atol=0.02)


def test_every_weight_learns() -> None:
    made = tagger(dropout=0.1).train()
    made(layers_of(2, 7), mask_of([3, 7], 7)).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_seed_decides_its_weights() -> None:
    one, same, other = (dict(tagger(seed=seed).named_parameters()) for seed in (1, 1, 2))
    for name, parameter in one.items():
        assert torch.equal(parameter, same[name]), name
        if name.startswith("lstm."):
            assert not torch.equal(parameter, other[name]), name
            assert float(parameter.detach().abs().max()) <= 5**-0.5
