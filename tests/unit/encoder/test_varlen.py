from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from bertwright.encoder import encoder, varlen
from bertwright.encoder.varlen import attends_apart_on, sequences_of
from bertwright.examples.packing import packed_rows
from bertwright.heads.model import PRETRAINING, Bert
from bertwright.randomness import Stream
from tests.unit.training.tiny import CONFIG

# Rows of 12 places; sequences of 5, 4 and 12 tokens, then 4, 4 and 4.
NUMBERS = torch.tensor(
    [
        [1, 1, 1, 1, 1, 2, 2, 2, 2, 0, 0, 0],
        [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
        [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3],
    ]
)


def attend_plainly(
    query: Tensor, key: Tensor, value: Tensor, offsets: Tensor, _: Tensor, longest: int, __: int
) -> Tensor:
    """What torch's varlen kernel computes: each sequence attends to itself. (tokens, heads, head size)."""
    found = torch.full_like(query, float("nan"))  # a token of no sequence would be seen
    assert offsets.dtype == torch.int32
    for first, last in zip(offsets.tolist(), offsets.tolist()[1:], strict=False):
        assert 0 <= last - first <= longest
        q, k, v = (part[first:last].transpose(0, 1) for part in (query, key, value))
        scores = q @ k.transpose(1, 2) / query.shape[-1] ** 0.5
        found[first:last] = (torch.softmax(scores, dim=-1) @ v).transpose(0, 1)
    return found


def model() -> Bert:
    made = Bert(CONFIG, PRETRAINING)
    made.initialise(0)
    return made.eval()


def ids() -> Tensor:
    return torch.randint(1, CONFIG.vocab_size, NUMBERS.shape, generator=torch.Generator().manual_seed(0))


def test_where_sequences_begin_by_eye() -> None:
    found = sequences_of(NUMBERS)
    # The padding of the first row, at 9, is one more; three rows have room for 12, of which 7 are there.
    assert found.offsets.tolist() == [0, 5, 9, 12, 24, 28, 32, *[36] * 6]
    assert found.offsets.dtype == torch.int32
    assert found.longest == 12


def test_sequences_of_one_number_in_two_rows_are_two() -> None:
    assert sequences_of(torch.ones(2, 4, dtype=torch.long)).offsets.tolist() == [0, 4, 8, 8, 8]


def test_a_row_of_padding_alone() -> None:
    numbers = torch.tensor([[0, 0, 0, 0], [1, 1, 1, 0]])
    assert sequences_of(numbers).offsets.tolist() == [0, 4, 7, 8, 8]


@given(
    lengths=st.lists(st.integers(4, 23), min_size=1, max_size=40),
    capacity=st.integers(23, 33),
)
def test_there_is_room_for_as_many_sequences_as_packing_allows(lengths: list[int], capacity: int) -> None:
    rows = packed_rows(torch.tensor(lengths).numpy(), capacity, capacity // 4, Stream(0, "test"))
    numbers = torch.zeros(len(rows), capacity, dtype=torch.long)
    wanted = []
    for row in range(len(rows)):
        place = 0
        for slot, member in enumerate(rows.members[rows.offsets[row] : rows.offsets[row + 1]].tolist()):
            wanted.append(row * capacity + place)
            numbers[row, place : place + lengths[member]] = slot + 1
            place += lengths[member]
        if place < capacity:
            wanted.append(row * capacity + place)
    offsets = sequences_of(numbers).offsets.tolist()
    assert offsets[: len(wanted)] == wanted  # none is cut off
    assert set(offsets[len(wanted) :]) == {numbers.numel()}  # one at least: the end of the last


@pytest.mark.parametrize("length", range(8, 24))
def test_rows_as_full_of_the_shortest_sequences_as_can_be(length: int) -> None:
    """max_length // 4 sequences of four tokens in each row, and padding where four does not divide the length."""
    most = length // 4
    row = [1 + place // 4 if place < 4 * most else 0 for place in range(length)]
    offsets = sequences_of(torch.tensor([row] * 3)).offsets.tolist()
    begins = [number * length + 4 * slot for number in range(3) for slot in range(most + (length % 4 > 0))]
    assert offsets[: len(begins)] == begins
    assert set(offsets[len(begins) :]) == {3 * length}


@pytest.mark.parametrize("wanted", [None, torch.tensor([[0, 3, 6], [0, 1, 11], [1, 5, 9]])])
def test_each_sequence_by_itself_says_what_the_mask_over_whole_rows_says(
    monkeypatch: pytest.MonkeyPatch, wanted: Tensor | None
) -> None:
    """The whole encoder, forward and gradients, with a plain loop in the place of torch's kernel."""
    tokens = torch.ones(3, 3, dtype=torch.bool) if wanted is not None else NUMBERS > 0

    def run() -> tuple[Tensor, dict[str, Tensor]]:
        made, segments = model(), torch.arange(12).remainder(2).expand_as(NUMBERS)
        hidden = made.encoder(ids(), segments, NUMBERS, packed=True, wanted=wanted).hidden[tokens]
        hidden.square().mul(torch.arange(hidden.shape[1])).sum().backward()
        gradients = {
            name: parameter.grad for name, parameter in made.encoder.named_parameters() if parameter.grad is not None
        }
        return hidden.detach(), gradients

    dense, dense_gradients = run()
    calls = 0

    def counted(*parts: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return attend_plainly(*parts)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(varlen, "_kernel", lambda: counted)
    monkeypatch.setattr(encoder, "attends_apart_on", lambda device: device.type == "cpu")
    apart, apart_gradients = run()
    # Where few positions are wanted, the last layer asks for them alone, which is the plain path's work.
    assert calls == (2 if wanted is None else 1)
    torch.testing.assert_close(apart, dense, rtol=0, atol=1e-5)
    assert apart_gradients.keys() == dense_gradients.keys()
    for name, gradient in apart_gradients.items():
        torch.testing.assert_close(gradient, dense_gradients[name], rtol=1e-3, atol=1e-3, msg=name)


def test_with_dropout_on_attention_the_plain_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel knows no dropout: in training with some, it would be left out in silence."""

    def refuse(*parts: Tensor) -> Tensor:
        raise AssertionError(f"the kernel was given {len(parts)} arguments")

    monkeypatch.setattr(varlen, "_kernel", lambda: refuse)
    monkeypatch.setattr(encoder, "attends_apart_on", lambda device: device.type == "cpu")
    made = model()
    assert CONFIG.attention_probs_dropout_prob > 0
    made.train()
    made.encoder(ids(), None, NUMBERS, packed=True)
    made.eval()
    with pytest.raises(AssertionError, match="7 arguments"):
        made.encoder(ids(), None, NUMBERS, packed=True)


def test_a_processor_takes_the_plain_path() -> None:
    assert not attends_apart_on(torch.device("cpu"))
