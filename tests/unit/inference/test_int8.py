"""Products in 8 bits: exact where whole numbers are, near elsewhere, and each row by itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from bertwright.encoder.attention import SelfAttention
from bertwright.encoder.layer import EncoderLayer
from bertwright.errors import SettingsError
from bertwright.inference.int8 import Int8Linear, multiplies_int8, to_int8
from tests.unit.encoder.test_encoder import random_encoder, two_rows

pytestmark = pytest.mark.skipif(not multiplies_int8(), reason="this torch multiplies no 8 bits")


def linear(weight: list[list[float]], bias: list[float]) -> nn.Linear:
    made = nn.Linear(len(weight[0]), len(weight))
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weight))
        made.bias.copy_(torch.tensor(bias))
    return made


def test_whole_numbers_in_its_range_are_exact() -> None:
    small = Int8Linear(linear([[63.0, -1.0], [0.5, 31.5]], [1.0, -2.0]))
    inputs = torch.tensor([[0.0, 255.0], [-128.0, 127.0], [7.0, 7.0], [0.0, 0.0]])
    with torch.inference_mode():
        found = small(inputs)
        with torch.autocast("cpu", torch.bfloat16):
            torch.testing.assert_close(small(inputs.bfloat16())[2:], found[2:])
            torch.testing.assert_close(small(inputs), found)
    wanted = [
        [0 - 255 + 1, 31.5 * 255 - 2],
        [-128 * 63 - 127 + 1, -64 + 31.5 * 127 - 2],
        [7 * 62 + 1, 7 * 32 - 2],
        [1, -2],
    ]
    torch.testing.assert_close(found, torch.tensor(wanted), rtol=1e-6, atol=1e-3)


def test_the_largest_products_do_not_run_over() -> None:
    # Side by side 255 * 63 twice: one bit more, and pairs added in 16 bits would end at 32,767.
    wide = Int8Linear(linear([[63.0] * 64, [-63.0] * 64], [0.0, 0.0]))
    inputs = torch.full((1, 64), 255.0)
    inputs[0, 0] = 0.0
    with torch.inference_mode():
        found = wide(inputs)
    assert found.tolist() == [[63 * 255 * 63, -63 * 255 * 63]]


@pytest.mark.parametrize("shape", [(5, 48), (2, 3, 48)])
def test_near_what_it_was_made_of_and_each_row_by_itself(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    exact = nn.Linear(48, 20)
    near = Int8Linear(exact)
    inputs = torch.randn(shape)
    with torch.inference_mode():
        found, wanted = near(inputs), exact(inputs)
        assert found.shape == wanted.shape
        assert (found - wanted).norm() / wanted.norm() < 0.02
        # A row a thousand times as large beside it changes nothing.
        rows = inputs.reshape(-1, 48)
        beside = torch.cat([rows[:1], torch.full((1, 48), 1000.0).neg_(), rows[1:] * 1000])
        torch.testing.assert_close(near(beside)[0], found.reshape(-1, 20)[0], rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(near.part(inputs, 4, 9), found[..., 4:9], rtol=0, atol=0)


@pytest.mark.parametrize("about", [1.9999, -1.9999, 1.9999 * 2**100])
@pytest.mark.parametrize("steps", [0, 1, 100, 255, 256, 257, 300, 700, 100_000])
def test_rows_that_hardly_differ_from_a_number_keep_it(about: float, steps: int) -> None:
    # From the number on in the least steps that fp32 has there. What ran over its 8 bits would be missed by all.
    small = Int8Linear(linear([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]))
    step = abs(about) / 1.9999 * 2**-23
    inputs = torch.tensor([[about, about + steps * step]])
    with torch.inference_mode():
        found = small(inputs)
    torch.testing.assert_close(found, inputs, rtol=2**-23, atol=step * max(4, steps / 255))


def test_rows_that_are_no_numbers_stay_so() -> None:
    near = Int8Linear(linear([[1.0, 2.0]], [0.0]))
    with torch.inference_mode():
        found = near(torch.tensor([[float("nan"), 1.0], [3.0, 1.0]]))
    assert torch.isnan(found[0]).all()
    assert found[1].item() == pytest.approx(5.0, abs=0.1)


@pytest.mark.parametrize("wanted", [None, torch.tensor([[0, 3], [4, 0]])])
def test_a_whole_encoder(wanted: Tensor | None) -> None:
    ids, segments, mask = two_rows()
    exact, near = random_encoder(), random_encoder()
    to_int8(near)
    with torch.inference_mode():
        one = exact(ids, segments, mask, wanted=wanted, all_layers=True)
        other = near(ids, segments, mask, wanted=wanted, all_layers=True)
        for layer, nearly in zip(one.layers, other.layers, strict=True):
            if layer.shape[1] == ids.shape[1]:
                layer, nearly = layer[mask], nearly[mask]  # noqa: PLW2901  # what stands on padding is nobody's
            assert torch.cosine_similarity(layer.flatten(), nearly.flatten(), dim=0) > 0.999
        shares = near.attention_shares(ids[:1], segments[:1])
    torch.testing.assert_close(shares.sum(-1), torch.ones(3, 1, 4, 8))
    matrices = [part for part in near.layers.modules() if isinstance(part, nn.Linear)]
    assert not matrices, "a matrix was left as it was"


def test_where_torch_has_no_such_products_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = random_encoder()
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    with pytest.raises(SettingsError, match="multiplies no 8 bits"):
        to_int8(encoder)
    layer = encoder.layers[0]
    assert isinstance(layer, EncoderLayer)
    assert isinstance(layer.attention, SelfAttention)
    assert isinstance(layer.expand, nn.Linear)
