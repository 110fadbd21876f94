from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import RowError
from bertwright.tasks.text_spans import MarkedSpan, spans_of, tags_of_spans, word_spans

TEXT = "Dr. Ekeus's un-American"


def words(text: str) -> list[str]:
    return [text[start:end] for start, end in word_spans(text)]


def span(start: object, end: object, label: object = "x") -> dict[str, Any]:
    return {"start": start, "end": end, "label": label}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TEXT, ["Dr", ".", "Ekeus", "'", "s", "un", "-", "American"]),
        ("  a\tb\n ", ["a", "b"]),
        ("", []),
        (" \u3000\u00a0", []),
        ("我在HK。", ["我", "在", "HK", "。"]),
        ("हिन्दी cafe\u0301", ["हिन्दी", "cafe\u0301"]),  # signs and accents belong to their letters
        ("a \u200b b", ["a", "\u200b", "b"]),  # a word without width is one
        ("葛\U000e0100城市", ["葛\U000e0100", "城", "市"]),  # the variant of an ideograph is one character
        (" \u0301a", ["\u0301a"]),
        ("$5€", ["$", "5€"]),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_span_inside_a_word_is_taken_for_the_whole_word() -> None:
    assert tags_of_spans(word_spans("overcooked rice"), [MarkedSpan(4, 8, "x")]) == (("B-x", "O"), 1, ())
    assert tags_of_spans(word_spans("un-American"), [MarkedSpan(1, 4, "x")]) == (("B-x", "I-x", "I-x"), 1, ())
    # The word belongs to the first of two that touch it; "ef.g h" ends where words do.
    marked = [MarkedSpan(0, 2, "a"), MarkedSpan(2, 4, "a"), MarkedSpan(5, 11, "b-c")]
    places = word_spans("abcd ef.g h i")
    assert tags_of_spans(places, marked) == (("B-a", "B-b-c", "I-b-c", "I-b-c", "I-b-c", "O"), 1, ("a",))
    dose = [MarkedSpan(5, 7, "dose"), MarkedSpan(7, 9, "unit")]
    assert tags_of_spans(word_spans("Take 10mg daily"), dose) == (("O", "B-dose", "O"), 1, ("unit",))


def test_spans_come_in_the_order_of_the_text_without_white_space_at_their_ends() -> None:
    found = spans_of(TEXT, [span(15, 23, "misc"), span(4, 9, "per")], "spans", "a:1")
    assert found == ([MarkedSpan(4, 9, "per"), MarkedSpan(15, 23, "misc")], 0)
    touching = [span(0, 2), span(2, 4)]
    assert spans_of("abcd", touching, "spans", "a:1") == ([MarkedSpan(0, 2, "x"), MarkedSpan(2, 4, "x")], 0)
    assert spans_of("a  b c", [span(1, 5)], "spans", "a:1") == ([MarkedSpan(3, 4, "x")], 1)


@pytest.mark.parametrize(
    ("spans", "what"),
    [
        ([span(0, 5), span(4, 9, "y")], "`spans` has two spans over one another: x 0-5 and y 4-9; "),
        ([span(0, 5), span(0, 5)], "`spans` has two spans over one another: x 0-5 and x 0-5; "),
        ([span(0, 99)], "a span of `spans` goes from 0 to 99, outside of the text of 23 characters; "),
        ([span(-1, 3)], "a span of `spans` goes from -1 to 3, outside of the text of 23 characters; "),
        ([span(5, 3)], "a span of `spans` goes from 5 to 3, outside of the text of 23 characters; "),
        ([span(4, 4)], "the span of `spans` from 4 to 4 holds no word"),
        ([span(3, 4)], "the span of `spans` from 3 to 4 holds no word"),
        ([span("4", 9)], "a span of `spans` goes from '4' to 9, which are no numbers"),
        ([span(False, True)], "a span of `spans` goes from False to True, which are no numbers"),
        ([span(4, 9, " ")], "the label of a span of `spans` is ' ', not a name"),
        ([span(4, 9, None)], "the label of a span of `spans` is None, not a name"),
        ([{"start": 4, "end": 9}], "`spans` holds {'start': 4, 'end': 9}, not a span; "),
        ([[4, 9, "x"]], "`spans` holds [4, 9, 'x'], not a span; "),
    ],
)
def test_spans_that_are_none(spans: list[Any], what: str) -> None:
    with pytest.raises(RowError) as caught:
        spans_of(TEXT, spans, "spans", "a.jsonl:7")
    assert str(caught.value).startswith(f"a.jsonl:7: {what}")


@given(st.text(st.sampled_from("ab -.中 \u0301"), max_size=20), st.lists(st.integers(0, 20), max_size=6))
def test_words_are_the_text_and_spans_come_back_from_their_tags(text: str, ends: list[int]) -> None:
    cuts = sorted({end for end in ends if end <= len(text)})
    given_spans = [span(*pair) for pair in zip(cuts[::2], cuts[1::2], strict=False) if text[slice(*pair)].strip()]
    marked, _ = spans_of(text, given_spans, "spans", "a:1")
    places = word_spans(text)
    tags, widened, lost = tags_of_spans(places, marked)
    assert "".join(text[start:end] for start, end in places) == "".join(text.split())
    found: list[list[int]] = []
    for (start, end), tag in zip(places, tags, strict=True):
        if tag == "B-x":
            found.append([start, end])
        elif tag == "I-x":
            found[-1][1] = end
    wanted = [[one.start, one.end] for one in marked]
    assert sum(one not in found for one in wanted) <= widened + len(lost)
    assert len(found) + len(lost) == len(wanted)
    assert widened or lost or found == wanted
