from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertwright.tokens.words as under_test
from bertwright.tokens.words import WordNumbers, count_words
from tests.unit.tokens.literal import literal_words
from tests.unit.tokens.strategies import switches, texts


def test_words_are_counted_as_the_tokenizer_sees_them() -> None:
    assert count_words(["The cat, the Café.", "中文 cafe"]) == {
        "the": 2,
        "cat": 1,
        ",": 1,
        "cafe": 2,
        ".": 1,
        "中": 1,
        "文": 1,
    }
    assert count_words(["The the"], lowercase=False) == {"The": 1, "the": 1}
    assert count_words([]) == Counter()


@given(st.lists(texts, max_size=5), switches)
def test_counts_are_those_of_the_literal_words(several: list[str], switch: dict[str, bool]) -> None:
    expected = Counter(word for text in several for word in literal_words(text, **switch))
    assert count_words(several, **switch) == expected


@given(st.lists(texts, max_size=5))
def test_numbers_are_those_of_the_literal_words(several: list[str]) -> None:
    found = WordNumbers().arrays(several)
    expected = [literal_words(text, lowercase=True, strip_accents=True, split_cjk=True) for text in several]
    assert found.offsets.tolist() == [0, *itertools.accumulate(map(len, expected))]
    # Of the same words, and of them alone, the numbers are the same.
    flat = list(itertools.chain.from_iterable(expected))
    numbered = dict(zip(flat, found.ids.tolist(), strict=True))
    assert [numbered[word] for word in flat] == found.ids.tolist()
    assert len(set(numbered.values())) == len(numbered)


def test_nothing_is_lost_when_the_pending_parts_are_settled_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "_PENDING_PARTS", 2)
    assert count_words(["a b c", "a b", "a", "a-b"]) == {"a": 4, "b": 3, "c": 1, "-": 1}
