from __future__ import annotations

import json
import random
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from bertwright.progress import Silent, Task
from bertwright.recipes.vocabulary import make_vocabulary
from tests.made_text import documents


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


@pytest.mark.parametrize("max_words", [1000, 25], ids=["in memory", "spilled"])  # there are 31
def test_any_order_of_files_and_any_number_of_workers_give_the_same_bytes(tmp_path: Path, max_words: int) -> None:
    texts = [text for _, text in documents(60)]
    for number in range(6):
        rows = [json.dumps({"text": text}) for text in texts[number::6]]
        (tmp_path / f"{number}.jsonl").write_text("\n".join(rows) + "\n")
    files = [str(tmp_path / f"{number}.jsonl") for number in range(6)]
    chance = random.Random(0)
    found = set()
    for run in range(20):
        chance.shuffle(files)
        make_vocabulary(
            files,
            tmp_path / f"vocab{run}",
            size=150,
            max_words=max_words,
            workers=3 if run % 7 == 1 else 1,
            progress=Silent(),
        )
        found.add((tmp_path / f"vocab{run}" / "vocab.txt").read_bytes())
    assert len(found) == 1


def test_beyond_the_memory_the_rarest_words_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"text": "aa aa aa bb bb cc dd ee"}) + "\n")
    notes = Notes()
    tokenizer = make_vocabulary(
        [str(tmp_path / "corpus.jsonl")], tmp_path / "vocab", size=30, max_words=2, workers=1, progress=notes
    )
    assert "aa" in tokenizer.vocabulary.pieces
    assert "cc" not in tokenizer.vocabulary.pieces
    assert "3 of the rarest words, 37.500% of the text, were not learned from: --max-words is 2" in notes.lines


def test_free_pieces_stand_where_the_released_vocabularies_have_them(tmp_path: Path) -> None:
    (tmp_path / "corpus.jsonl").write_text(json.dumps({"text": "aa"}) + "\n")
    pieces = make_vocabulary(
        [str(tmp_path / "corpus.jsonl")], tmp_path / "vocab", size=120, unused=101, workers=1, progress=Silent()
    ).vocabulary.pieces
    assert (pieces[0], pieces[1], pieces[99]) == ("[PAD]", "[unused0]", "[unused98]")
    assert pieces[100:104] == ("[UNK]", "[CLS]", "[SEP]", "[MASK]")
    assert pieces[104:106] == ("[unused99]", "[unused100]")
