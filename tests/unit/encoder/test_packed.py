from __future__ import annotations

import pytest
import torch

from bertwright.encoder.encoder import positions_within
from bertwright.heads.model import PRETRAINING, WORDS_ALONE, Bert
from tests.unit.training.tiny import CONFIG

# Three sequences of 5, 3 and 6 tokens in two rows of 9.
NUMBERS = torch.tensor([[1, 1, 1, 1, 1, 2, 2, 2, 0], [1, 1, 1, 1, 1, 1, 0, 0, 0]])


def model() -> Bert:
    made = Bert(CONFIG, PRETRAINING)
    made.initialise(0)
    return made.eval()


def ids(seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(1, CONFIG.vocab_size, NUMBERS.shape, generator=generator)


def test_positions_count_within_each_sequence() -> None:
    assert positions_within(NUMBERS).tolist() == [[0, 1, 2, 3, 4, 0, 1, 2, 0], [0, 1, 2, 3, 4, 5, 0, 1, 2]]


@pytest.mark.parametrize("wanted", [None, torch.tensor([[0, 3, 5, 7], [0, 1, 2, 5]])])
def test_packed_sequences_have_the_vectors_of_each_by_itself(wanted: torch.Tensor | None) -> None:
    made, inputs = model(), ids(1)
    segments = torch.arange(9).remainder(2).expand_as(inputs)
    with torch.inference_mode():
        found = made.encoder(inputs, segments, NUMBERS, packed=True, wanted=wanted).hidden
        for row, number in ((0, 1), (0, 2), (1, 1)):
            inside = NUMBERS[row] == number
            alone = made.encoder(inputs[row, inside][None], segments[row, inside][None]).hidden[0]
            first = int(inside.nonzero()[0])
            if wanted is None:
                torch.testing.assert_close(found[row, inside], alone)
            else:
                for column, place in enumerate(wanted[row].tolist()):
                    if inside[place]:
                        torch.testing.assert_close(found[row, column], alone[place - first])


def test_nothing_leaks_from_one_sequence_into_another() -> None:
    made, one = model(), ids(1)
    other = one.clone()
    second = NUMBERS[0] == 2
    other[0, second] = ids(2)[0, second]
    with torch.inference_mode():
        before, after = (made.encoder(each, None, NUMBERS, packed=True).hidden for each in (one, other))
    changed = torch.zeros_like(NUMBERS, dtype=torch.bool)
    changed[0, second] = True
    assert torch.equal(before[~changed], after[~changed])  # bit for bit
    assert not torch.isclose(before[changed], after[changed]).all(dim=-1).any()


def test_scores_of_packed_sequences() -> None:
    made, inputs = model(), ids(1)
    segments = torch.zeros_like(inputs)
    positions, first = torch.tensor([[2, 6], [4, 1]]), torch.tensor([[0, 5], [0, 0]])
    with torch.inference_mode():
        words, following = made.pretraining_scores(inputs, segments, NUMBERS, positions, first)
        assert following is not None
        one_words, one_following = made.pretraining_scores(
            inputs[:1, 5:8], segments[:1, 5:8], None, torch.tensor([[1]])
        )
        assert one_following is not None
    torch.testing.assert_close(words[1], one_words[0])
    torch.testing.assert_close(following[1], one_following[0])


def test_without_pairs_there_are_words_alone() -> None:
    made = Bert(CONFIG, WORDS_ALONE)
    made.initialise(0)
    inputs = ids(1)
    words, following = made.pretraining_scores(
        inputs, torch.zeros_like(inputs), NUMBERS, torch.tensor([[2, 6], [4, 1]]), torch.tensor([[0, 5], [0, 0]])
    )
    assert words.shape == (4, CONFIG.vocab_size)
    assert following is None
