from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.windows import Cut, Lengths, Window, cut_windows
from tests.support import PETS

CLS, SEP = PETS.cls_id, PETS.sep_id
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def shown(window: Window) -> str:
    """Tokens as letters, special ones as signs; what the window decides in capitals, where segment 1 begins a bar."""
    found = ""
    for place, number in enumerate(window.ids.tolist()):
        sign = {CLS: "^", SEP: "$"}.get(number) or LETTERS[number - 100]
        decided = window.decided.start <= place < window.decided.stop
        found += ("|" if place == window.second else "") + (sign.upper() if decided else sign)
    return found


def cut(*texts: str, length: int, overlap: int, most: int | None = None, moving: int | None = None) -> Cut:
    parts = [[100 + LETTERS.index(letter) for letter in text] for text in texts]
    return cut_windows(parts, Lengths(max_length=length, overlap=overlap, most=most), PETS, moving=moving)


def test_a_text_that_fits_is_one_window() -> None:
    assert [shown(w) for w in cut("abcdef", length=8, overlap=2).windows] == ["^ABCDEF$"]
    assert [shown(w) for w in cut("", length=8, overlap=2).windows] == ["^$"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abcdefghij", ["^ABCDEf$", "^eFGHIJ$"]),
        ("abcdefg", ["^ABCdef$", "^bcDEFG$"]),  # the last one is moved back so that it is full
        ("abcdefghijklmn", ["^ABCDEf$", "^eFGHIj$", "^iJKLMN$"]),
    ],
)
def test_neighbours_share_tokens_and_each_decides_where_it_sees_more(text: str, expected: list[str]) -> None:
    assert [shown(w) for w in cut(text, length=8, overlap=2).windows] == expected


def test_without_overlap_windows_lie_side_by_side() -> None:
    assert [shown(w) for w in cut("abcdefghi", length=6, overlap=0).windows] == ["^ABCD$", "^EFgh$", "^fGHI$"]
    assert [shown(w) for w in cut("abcdefgh", length=6, overlap=0).windows] == ["^ABCD$", "^EFGH$"]


def test_of_a_pair_one_text_stands_and_the_other_moves() -> None:
    assert [shown(w) for w in cut("ab", "cdefgh", length=9, overlap=2).windows] == ["^ab$|CDEf$", "^ab$|eFGH$"]
    assert [shown(w) for w in cut("ab", "cdef", length=9, overlap=2).windows] == ["^ab$|CDEF$"]
    assert [shown(w) for w in cut("abcdef", "gh", length=9, overlap=2).windows] == ["^ABCd$|gh$", "^cDEF$|gh$"]


def test_a_text_that_stands_leaves_half_of_the_room_to_one_that_needs_it() -> None:
    found = cut("abcdefgh", "ijklmnop", length=11, overlap=0, moving=1)
    assert [shown(w) for w in found.windows] == ["^abcd$|IJKL$", "^abcd$|MNOP$"]
    assert found.lost == 4
    found = cut("abcdefgh", "ij", length=11, overlap=0, moving=1)
    assert [shown(w) for w in found.windows] == ["^abcdef$|IJ$"]
    assert found.lost == 2


def test_no_more_windows_than_allowed_and_what_is_lost_is_counted() -> None:
    found = cut("abcdefghijklmn", length=8, overlap=2, most=2)
    assert [shown(w) for w in found.windows] == ["^ABCDEf$", "^eFGHIJ$"]
    assert found.lost == 4


@given(st.integers(0, 300), st.integers(8, 40), st.integers(0, 20))
def test_every_token_is_decided_once_by_a_window_with_most_context(count: int, length: int, overlap: int) -> None:
    overlap = min(overlap, length // 2)
    text = list(range(100, 100 + count))
    windows = cut_windows([text], Lengths(max_length=length, overlap=overlap), PETS).windows
    decided = [number for w in windows for number in w.ids[w.decided].tolist()]
    assert decided == text

    def context(w: Window, token: int) -> int:
        end = w.first + len(w) - 2
        return min(token - w.first, end - 1 - token) if w.first <= token < end else -1

    for w in windows:
        assert len(w) <= length
        for token in range(*w.decides):
            # Of the neighbours only: at the ends of a text every window has little on one side.
            assert context(w, token) + 1 >= max(context(other, token) for other in windows)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(8, 40), st.integers(0, 20))
def test_of_a_pair_the_moving_text_is_whole(a: int, b: int, length: int, overlap: int) -> None:
    first, second = list(range(100, 100 + a)), list(range(200, 200 + b))
    found = cut_windows([first, second], Lengths(max_length=length, overlap=min(overlap, length // 2)), PETS)
    moving = second if b >= a else first
    assert [number for w in found.windows for number in w.ids[w.decided].tolist()] == moving
    for w in found.windows:
        assert len(w) <= length
        assert w.ids[0] == CLS
        assert w.ids[w.second - 1] == w.ids[-1] == SEP
