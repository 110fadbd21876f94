from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.text.sentences import split_sentences


@pytest.mark.parametrize(
    ("language", "paragraph", "expected"),
    [
        ("en", "Dr. Smith paid $3.50. Was it worth it? Yes!", ["Dr. Smith paid $3.50.", "Was it worth it?", "Yes!"]),
        ("en", "  no end of a sentence  ", ["no end of a sentence"]),
        ("en", "", []),
        ("en", "   ", []),
        ("zh", "今天天气很好。我们去公园吧！", ["今天天气很好。", "我们去公园吧！"]),
        ("de", "Das kostet z. B. drei Euro. Gut.", ["Das kostet z. B. drei Euro.", "Gut."]),
    ],
)
def test_sentences(language: str, paragraph: str, expected: list[str]) -> None:
    assert split_sentences(paragraph, language) == expected


@given(st.text(st.sampled_from("aB .!?…\"'()\n。！é1"), max_size=60))
def test_nothing_but_white_space_is_lost(paragraph: str) -> None:
    sentences = split_sentences(paragraph)
    assert "".join("".join(sentences).split()) == "".join(paragraph.split())
    assert all(sentence and sentence == sentence.strip() for sentence in sentences)
