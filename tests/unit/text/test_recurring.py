from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from bertwright.text.recurring import Recurring


@given(st.lists(st.sets(st.sampled_from("abcdefghijklmnopqrstuvwxyz")), max_size=60), st.integers(1, 8))
def test_no_count_is_off_by_more_than_is_told(documents: list[set[str]], most: int) -> None:
    recurring, plain = Recurring(most), Counter[str]()
    for document in documents:
        recurring.add(sorted(document))
        plain.update(document)
    kept = dict(recurring.at_least(1))
    assert len(kept) <= 2 * most
    for text, count in plain.items():
        assert count - recurring.missing <= kept.get(text, 0) <= count


def test_with_room_for_all_the_counts_are_exact_and_in_order() -> None:
    recurring = Recurring()
    for document in (["x", "y"], ["x"], ["z", "x"], ["y"]):
        recurring.add(document)
    assert recurring.at_least(2) == [("x", 3), ("y", 2)]
    assert recurring.missing == 0


def test_what_is_common_survives_what_is_not() -> None:
    recurring = Recurring(10)
    for number in range(1000):
        recurring.add(["All rights reserved.", f"only here {number}", f"nor here {number}"])
    (first, count), *_ = recurring.at_least(1)
    assert first == "All rights reserved."
    assert 1000 - recurring.missing <= count <= 1000
    assert recurring.missing <= 3000 / 10
