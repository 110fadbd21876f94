from __future__ import annotations

import itertools
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bertwright.tokens.words as under_test
from bertwright.tokens.words import WordNumbers, WordTally, count_words
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


def test_however_many_files_are_written_a_few_are_open_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "_RUNS_AT_ONCE", 4)
    chance = random.Random(0)
    words = [f"w{min(chance.randrange(60), chance.randrange(60))}" for _ in range(3000)]
    tally = WordTally(10, tmp_path)
    most = 0
    for start in range(0, len(words), 20):
        tally.add(Counter(words[start : start + 20]))
        most = max(most, len(list(tmp_path.iterdir())))
    wanted = Counter(words)
    assert tally.most_frequent() == dict(sorted(wanted.items(), key=lambda word: (-word[1], word[0]))[:10])
    assert (tally.distinct, tally.occurrences) == (len(wanted), 3000)
    assert most <= 4
    assert list(tmp_path.iterdir()) == []
