from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.batches.windows import Lengths, cut_windows
from bertwright.tasks.answer_spans import Context, Ranked, best_spans
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

LATIN = ["cafe", "noir", "a", "b", "x", "##y"]
OTHERS = ["中", "国", "山", "👩", "##🚀", "##🏽", "🇩", "##🇪", "##🇫", "##🇷", "क", "##ा"]
LOWER = Tokenizer(Vocabulary([*SPECIALS, *LATIN, *OTHERS]))
CASED = Tokenizer(Vocabulary([*SPECIALS, *LATIN, "##\u0301"]), lowercase=False)


def parts(text: str, tokenizer: Tokenizer = LOWER) -> list[str]:
    """What each token of a text is told as."""
    context = Context.of(text, tokenizer.encode(text))
    return [text[slice(*context.characters(number, number))] for number in range(len(context.starts))]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Café noir", ["Café", "noir"]),
        ("Cafe\u0301 noir", ["Cafe\u0301", "noir"]),  # the accent belongs to no token
        ("中国 山", ["中", "国", "山"]),
        ("👩\u200d🚀 a", ["👩\u200d🚀", "👩\u200d🚀", "a"]),
        ("👩🏽 a", ["👩🏽", "👩🏽", "a"]),
        ("🇩🇪🇫🇷 a", ["🇩🇪", "🇩🇪", "🇫🇷", "🇫🇷", "a"]),
        ("xy\ufe0f", ["x", "y\ufe0f"]),  # a choice of glyph
        ("a  b", ["a", "b"]),
    ],
)
def test_no_character_is_cut_in_two(text: str, told: list[str]) -> None:
    assert parts(text) == told


def test_a_mark_that_is_a_token_stays_with_its_letter() -> None:
    assert parts("xy\u0301", CASED) == ["x", "y\u0301", "y\u0301"]
    # A vowel sign of Devanagari is no accent, and is not stripped.
    assert parts("का a", LOWER) == ["का", "का", "a"]


def test_characters_to_the_tokens_that_cover_them() -> None:
    text = "xy a  b"  # tokens x y a b
    context = Context.of(text, LOWER.encode(text))
    assert context.tokens(0, 2) == (0, 1)
    assert context.tokens(1, 4) == (1, 2)
    assert context.tokens(2, 4) == (2, 2), "white space at an end is no token"
    assert context.tokens(4, 6) is None
    assert context.tokens(3, 7) == (2, 3)
    whole = Context.of("zebra", LOWER.encode("zebra"))  # one [UNK]
    assert whole.tokens(2, 3) == (0, 0), "an answer inside a token is the token"


def test_the_best_spans_by_hand() -> None:
    text = "a b x"
    encoding = LOWER.encode(text)
    lengths = Lengths(max_length=16)
    windows = cut_windows([[5], encoding.ids], lengths, LOWER.vocabulary, moving=1).windows
    #                 [CLS]  q  [SEP]  a  b  x  [SEP]
    start = np.array([90, 90, 90, 3, 1, 0, 90], dtype=np.float32)
    end = np.array([90, 90, 90, 0, 5, 9, 90], dtype=np.float32)
    said = [np.stack([start, end], axis=1)]
    context = Context.of(text, encoding)
    assert best_spans(context, windows, said, longest=2, count=3) == [
        Ranked("b x", 2, 5, 10.0),
        Ranked("x", 4, 5, 9.0),
        Ranked("a b", 0, 3, 8.0),
    ]
    assert best_spans(context, windows, said, longest=3, count=1) == [Ranked("a b x", 0, 5, 12.0)]
    assert len(best_spans(context, windows, said, longest=3, count=99)) == 6


@given(
    words=st.lists(st.sampled_from(["a", "b", "xy", "中"]), min_size=0, max_size=40),
    max_length=st.integers(8, 24),
    overlap=st.integers(0, 10),
    longest=st.integers(1, 9),
    count=st.integers(1, 30),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_best_spans_are_those_of_brute_force(
    words: list[str], max_length: int, overlap: int, longest: int, count: int, seed: int
) -> None:
    text = " ".join(words)
    encoding = LOWER.encode(text)
    context = Context.of(text, encoding)
    lengths = Lengths(max_length=max_length, overlap=min(overlap, max_length // 2))
    windows = cut_windows([[5, 6], encoding.ids], lengths, LOWER.vocabulary, moving=1).windows
    random = np.random.default_rng(seed)
    said = [random.normal(size=(len(window), 2)).astype(np.float32) for window in windows]
    every = []
    for window, scores in zip(windows, said, strict=True):
        for first in range(*window.decides):
            for last in range(first, min(first + longest, window.first + len(window) - 1 - window.offset)):
                here = window.offset - window.first
                every.append((float(scores[first + here, 0] + scores[last + here, 1]), first, last))
    expected: dict[str, Ranked] = {}
    for score, first, last in sorted(every, key=lambda pair: -pair[0]):
        start, end = int(context.starts[first]), int(context.ends[last])
        expected.setdefault(text[start:end], Ranked(text[start:end], start, end, score))
    assert best_spans(context, windows, said, longest=longest, count=count) == list(expected.values())[:count]
