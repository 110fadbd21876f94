from __future__ import annotations

import numpy as np
import pytest

from bertwright.randomness import Stream, philox4x32, scale


# The known answers of Random123 (its file kat_vectors, philox4x32 with 10 rounds).
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_the_known_answers_of_random123(counter: str, key: str, expected: str) -> None:
    words = np.array([int(word, 16) for word in counter.split()], dtype=np.uint64)
    first, second = (int(word, 16) for word in key.split())
    assert " ".join(f"{word:08x}" for word in philox4x32(words, (first, second))) == expected


def test_a_draw_depends_on_its_address_alone() -> None:
    stream = Stream(7, "test", 3)
    indices, lanes = np.arange(50), np.arange(4)
    table = stream.words(indices[:, None], lanes[None, :])
    assert table.shape == (50, 4, 4)
    backwards = Stream(7, "test", 3).words(indices[::-1, None], lanes[None, ::-1])
    assert np.array_equal(backwards[::-1, ::-1], table)
    assert all(np.array_equal(stream.words(i, j), table[i, j]) for i in range(50) for j in range(4))
    assert np.array_equal(stream.uniform(indices)[20:], stream.uniform(indices[20:]))
    assert np.array_equal(stream.below(9, indices)[20:], stream.below(9, indices[20:]))


def test_all_64_bits_of_index_and_lane_count() -> None:
    stream = Stream(0, "test")
    addresses = [(0, 0), (1, 0), (1 << 32, 0), (1 << 63, 0), (0, 1), (0, 1 << 32), (0, 1 << 63)]
    assert len({tuple(stream.words(np.uint64(index), np.uint64(lane))) for index, lane in addresses}) == 7


def test_streams_of_other_keys_are_unrelated() -> None:
    def bits(*key: int, purpose: str = "test") -> np.ndarray:
        return (Stream(key[0], purpose, *key[1:]).uniform(np.arange(10_000)) < 0.5).astype(int)

    streams = [bits(1), bits(2), bits(1, 0), bits(1, 1), bits(1, 0, 1), bits(11), bits(1, purpose="other")]
    for one, first in enumerate(streams):
        for second in streams[one + 1 :]:
            assert abs(int((first == second).sum()) - 5000) < 5 * 50  # five standard deviations


def test_numbers_are_uniform() -> None:
    stream = Stream(0, "uniform")
    for counts in (
        np.bincount(stream.below(10, np.arange(100_000)), minlength=10),
        np.bincount(stream.below(10, 5, np.arange(100_000)), minlength=10),  # along the lanes
        np.histogram(stream.uniform(np.arange(100_000)), bins=10, range=(0, 1))[0],
        np.bincount([int(stream.words(i)[3]) % 10 for i in range(10_000)], minlength=10),
    ):
        expected = counts.sum() / 10
        assert ((counts - expected) ** 2 / expected).sum() < 44  # 9 degrees of freedom: one in a million is above


def test_every_order_of_three_is_equally_likely() -> None:
    orders = [tuple(Stream(0, "order", number).permutation(3)) for number in range(6000)]
    counts = np.array([orders.count(order) for order in sorted(set(orders))])
    assert len(counts) == 6
    assert ((counts - 1000) ** 2 / 1000).sum() < 36  # 5 degrees of freedom
    assert sorted(Stream(0, "order").permutation(1000)) == list(range(1000))


def test_scaling_meets_both_ends_of_the_range() -> None:
    wide = np.array([0, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64)
    for bound in (1, 2, 10, 2**31 - 1):
        assert scale(wide, bound).tolist() == [int(word) * bound >> 64 for word in wide]


def test_bounds_may_differ() -> None:
    bounds = np.array([1, 2, 1000, 2**31 - 1])
    found = np.array([Stream(seed, "bounds").below(bounds, np.arange(4)) for seed in range(200)])
    assert (found >= 0).all()
    assert (found < bounds).all()
    assert found[:, 3].max() > 2**30


def test_an_integer_is_a_seed_for_others() -> None:
    found = {Stream(seed, "torch").integer() for seed in range(100)}
    assert len(found) == 100
    assert all(0 <= number < 2**63 for number in found)
