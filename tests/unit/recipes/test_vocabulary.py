from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from bertwright.progress import Silent, Task
from bertwright.recipes.vocabulary import make_vocabulary


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def task(self, title: str, total: float | None, unit: str) -> AbstractContextManager[Task]:
        return Silent().task(title, total, unit)


def test_what_the_alphabet_leaves_out_is_told(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    # a 6, b 4, x 1, and z 1: of 4 characters the 2 most frequent are kept, so 2 of the 6 words are lost.
    corpus.write_text('{"text": "ab ab ab aab"}\n{"text": "ax z"}\n{"text": "  "}\n')
    notes = Notes()
    tokenizer = make_vocabulary([str(corpus)], tmp_path / "vocab", size=20, alphabet_limit=2, progress=notes)
    assert notes.lines[1:] == [
        "1 documents without text, passed over",
        (
            "2 rare characters are outside the alphabet of 2: 2 words (33.333%) will be [UNK]; "
            "a larger --alphabet takes them in"
        ),
    ]
    unknown = tokenizer.vocabulary.unk_id
    assert [ids == [unknown] for ids in map(tokenizer.ids, ("ab", "aab", "ax", "z"))] == [False, False, True, True]


def test_nothing_is_told_where_nothing_is_lost(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "ab ab ab"}\n')
    notes = Notes()
    make_vocabulary([str(corpus)], tmp_path / "vocab", size=20, progress=notes)
    assert len(notes.lines) == 1
