from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import VocabularyError
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "##s"]


def write(path: Path, content: bytes) -> Path:
    file = path / "vocab.txt"
    file.write_bytes(content)
    return file


def test_the_line_number_is_the_id(tmp_path: Path) -> None:
    vocabulary = Vocabulary.read(write(tmp_path, "\n".join(PIECES).encode()))
    assert vocabulary.pieces == tuple(PIECES)
    assert len(vocabulary) == 7
    assert vocabulary.id("##s") == 6
    assert vocabulary.id("a") is None
    assert dict(vocabulary.ids) == {piece: number for number, piece in enumerate(PIECES)}
    assert vocabulary.special_ids == (0, 1, 2, 3, 4)
    named = (vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id)
    assert named == vocabulary.special_ids


def test_only_a_newline_ends_a_line(tmp_path: Path) -> None:
    pieces = [*PIECES, "\u2028", "##\x85", " ", "\x0c"]
    assert Vocabulary.read(write(tmp_path, "\n".join(pieces).encode())).pieces == tuple(pieces)


def test_foreign_line_ends_a_byte_order_mark_and_blank_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + "\r\n".join(PIECES).encode() + b"\r\n\r\n\n"
    assert Vocabulary.read(write(tmp_path, content)) == Vocabulary(PIECES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "\n".join([*PIECES, "the"]).encode(),
            ":8: 'the' already has the id 5; put a placeholder such as [unused7] there",
        ),
        ("\n".join(["[PAD]", "", *PIECES[1:]]).encode(), ":2: is blank; put a placeholder such as [unused1] there"),
        (
            b"[PAD]\n[UNK]\n[CLS]\nthe\n",
            ": has no [SEP], [MASK]; a BERT vocabulary holds [PAD], [UNK], [CLS], [SEP] and [MASK], one a line",
        ),
        (b"[PAD]\n\xff\n", ":2: is not UTF-8; save the file as UTF-8"),
        (
            b"\n\n[CLS]\n",
            ":1: is blank; put a placeholder such as [unused0] there",
        ),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(VocabularyError) as caught:
        Vocabulary.read(file)
    assert str(caught.value) == f"{file}{message}"


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(VocabularyError) as caught:
        Vocabulary.read(tmp_path / "no.txt")
    assert str(caught.value) == (
        f"{tmp_path / 'no.txt'}: cannot be read (No such file or directory); name a vocab.txt, one piece a line"
    )


@pytest.mark.parametrize("piece", ["", "a\nb", "a\r", "\ud800", "the"])
def test_pieces_that_no_file_could_hold_are_refused(piece: str) -> None:
    with pytest.raises(VocabularyError, match=r"^piece 7: "):
        Vocabulary([*PIECES, piece])


def test_it_cannot_be_changed_and_can_be_sent_to_workers() -> None:
    vocabulary = Vocabulary(PIECES)
    with pytest.raises(TypeError):
        vocabulary.ids["new"] = 7  # type: ignore[index]
    assert vocabulary.sha256 == "691dffb70974c5530713bcc696b299a5526ddf36f7d386856c021f7a7d52a0ea"
    copy = pickle.loads(pickle.dumps(vocabulary))
    assert copy == vocabulary
    assert hash(copy) == hash(vocabulary)
    assert copy.sha256 == vocabulary.sha256
    assert vocabulary != PIECES


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r"), min_size=1), unique=True))
def test_what_is_written_is_read_back(tmp_path_factory: pytest.TempPathFactory, extra: list[str]) -> None:
    vocabulary = Vocabulary([*SPECIALS, *(piece for piece in extra if piece not in SPECIALS)])
    file = write(tmp_path_factory.mktemp("vocabulary"), vocabulary.to_bytes())
    assert Vocabulary.read(file) == vocabulary
