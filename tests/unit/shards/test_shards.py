from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.errors import ShardError
from bertwright.shards.format import ARRAYS, read_manifest, token_dtype
from bertwright.shards.read import Shard, ShardDirectory, open_shards
from bertwright.shards.write import ShardWriter, belongs_to_held_out
from bertwright.text.duplicates import text_digest
from tests.support import PETS, flat, letters, numbered, write_shards

# Two documents: (the cat sat)(the dog ran) and (home)(the cat ran home).
PET_IDS = [[[5, 6, 8], [5, 7, 9]], [[10], [5, 6, 9, 10]]]


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_shard_by_eye(tmp_path: Path) -> None:
    manifest = write_shards(tmp_path, PET_IDS, PETS, held_out=[[[5, 6]], [[5, 7]]])
    opened = open_shards(tmp_path)
    assert opened.manifest == manifest
    assert opened.tokenizer.vocabulary == PETS
    (shard,) = opened.shards("train")
    # fmt: off
    assert shard.tokens.tolist()    == [5, 6, 8,  5, 7, 9,  10,  5, 6, 9, 10]
    assert shard.sentences.tolist() == [0,        3,        6,   7,          11]
    assert shard.documents.tolist() == [0,                  2,                4]
    # fmt: on
    assert shard.tokens.dtype == np.uint16
    assert " ".join(opened.tokenizer.pieces(shard.tokens[:3].tolist())) == "the cat sat"
    (aside,) = opened.shards("held_out")
    assert aside.tokens.tolist() == [5, 6, 5, 7]
    (entry,) = manifest.of("train")
    assert (entry.name, entry.documents, entry.sentences, entry.tokens) == ("train-00000", 2, 4, 11)


def test_where_words_begin_lies_in_bits(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, "train", 100, tokens_per_shard=12)
    begins = [True, False, True, True, False, False, True, True, False, True, True]
    for _ in range(2):
        writer.add(np.arange(11, dtype=np.uint16), np.array(begins), np.array([11], dtype=np.int32))
    writer.close()
    bits = np.load(tmp_path / "train-00000.words.npy")
    assert bits.tolist() == [0b11001101, 0b01101110, 0b00110110]
    shard = Shard("train-00000", {"words": bits})
    for first in range(22):
        for count in range(22 - first):
            assert shard.word_starts(first, count).tolist() == (begins * 2)[first : first + count]


def test_how_often_pieces_stand_in_the_train_shards(tmp_path: Path) -> None:
    # As prepare does it: counted while writing, and again from the shards where a killed run is gone on with.
    first = ShardWriter(tmp_path, "train", len(PETS), tokens_per_shard=6)
    first.add(*flat(PET_IDS[0]))
    first.add(*flat(PET_IDS[1]))
    first.add(*flat([[5, 5]]))
    assert first.add(*flat([[11, 11]]))
    writer = ShardWriter(tmp_path, "train", len(PETS), tokens_per_shard=6)
    writer.restore(first.entries, first.pending())
    writer.close()
    checksum = writer.write_unigrams()
    #                [PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat ran home ##s
    expected = [0, 0, 0, 0, 0, 5, 2, 1, 1, 2, 2, 2]
    assert np.load(tmp_path / "train-unigrams.npy").tolist() == expected

    manifest = write_shards(tmp_path / "old", [*PET_IDS, [[5, 5]], [[11, 11]]], PETS)
    opened = open_shards(tmp_path / "old")
    assert manifest.unigrams_sha256 is None
    assert opened.unigrams(opened.shards("train")).tolist() == expected
    new = ShardDirectory(tmp_path, manifest.model_copy(update={"unigrams_sha256": checksum}), opened.tokenizer)
    assert new.unigrams([]).tolist() == expected
    np.save(tmp_path / "train-unigrams.npy", np.zeros(12, np.int64))
    with pytest.raises(ShardError, match=r"train-unigrams\.npy: the checksum differs from the manifest's"):
        new.unigrams([])


def test_the_same_documents_give_the_same_bytes(tmp_path: Path) -> None:
    documents = numbered([[3, 4], [5], [2, 2, 2]])
    write_shards(tmp_path / "one", documents, letters(40))
    write_shards(tmp_path / "two", documents, letters(40))
    assert content(tmp_path / "one") == content(tmp_path / "two")
    documents[0][0][0] += 1
    changed = write_shards(tmp_path / "three", documents, letters(40))
    assert changed.identity != read_manifest(tmp_path / "one").identity


def parts(directory: Path, lengths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    writer = ShardWriter(directory, "train", 100, tokens_per_shard=limit)
    for length in lengths:
        writer.add(*flat([[5] * length]))
    return [(entry.documents, entry.tokens) for entry in writer.close()]


@pytest.mark.parametrize(
    ("lengths", "limit", "expected"),
    [
        ([3, 3, 3, 3], 6, [(2, 6), (2, 6)]),
        ([3, 3, 3], 6, [(3, 9)]),  # a third alone joins the shard before
        ([9, 1, 1, 1], 6, [(2, 10), (2, 2)]),  # a large document still waits for a second
        ([1, 1, 9, 9, 9], 6, [(3, 11), (2, 18)]),
        ([4], 6, [(1, 4)]),  # nothing to join: the corpus is refused elsewhere
        ([], 6, []),
    ],
)
def test_where_a_shard_ends(tmp_path: Path, lengths: list[int], limit: int, expected: list[tuple[int, int]]) -> None:
    assert parts(tmp_path, lengths, limit) == expected


@given(st.lists(st.integers(1, 20), min_size=2, max_size=30), st.integers(1, 40))
def test_every_shard_has_two_documents_and_every_document_is_there(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], limit: int
) -> None:
    found = parts(tmp_path_factory.mktemp("shards"), lengths, limit)
    assert min(documents for documents, _ in found) >= 2
    assert sum(documents for documents, _ in found) == len(lengths)
    assert sum(tokens for _, tokens in found) == sum(lengths)
    # A shard ends as soon as it is full and the next has two documents; none grows without bound.
    assert all(tokens < limit + 3 * max(lengths) for _, tokens in found)


def test_ids_take_two_bytes_where_they_fit() -> None:
    assert token_dtype(1 << 16) is np.uint16
    assert token_dtype((1 << 16) + 1) is np.uint32


def test_documents_are_held_out_by_their_text() -> None:
    texts = [text_digest((f"document number {number}", "and its end")) for number in range(20_000)]
    aside = {text for text in texts if belongs_to_held_out(text, 0.1)}
    assert abs(len(aside) - 2000) < 5 * 42.5  # five standard deviations
    assert {text for text in reversed(texts) if belongs_to_held_out(text, 0.1)} == aside
    assert aside < {text for text in texts if belongs_to_held_out(text, 0.2)}
    assert not any(belongs_to_held_out(text, 0.0) for text in texts[:100])
    assert all(belongs_to_held_out(text, 1.0) for text in texts[:100])


# Faults


@pytest.mark.parametrize("array", ARRAYS)
def test_a_damaged_shard_is_named(tmp_path: Path, array: str) -> None:
    write_shards(tmp_path, PET_IDS, PETS)
    path = tmp_path / f"train-00000.{array}.npy"
    damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(ShardError) as caught:
        open_shards(tmp_path).shards("train")
    assert str(caught.value) == (
        f"{path}: the checksum differs from the manifest's; it was changed or damaged; prepare the corpus again"
    )
    path.unlink()
    with pytest.raises(ShardError) as caught:
        open_shards(tmp_path).shards("train")
    assert str(caught.value) == f"{path}: this file of the shard is missing; prepare the corpus again"


def test_a_changed_vocabulary_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, PET_IDS, PETS)
    path = tmp_path / "tokenizer" / "vocab.txt"
    for name in ("vocab.txt", "tokenizer.json"):
        changed = tmp_path / "tokenizer" / name
        changed.write_text(changed.read_text(encoding="utf-8").replace("cat", "cow"), encoding="utf-8")
    with pytest.raises(ShardError) as caught:
        open_shards(tmp_path)
    assert str(caught.value) == (
        f"{path}: the vocabulary does not match the shards: it changed after they were made; "
        "prepare the corpus again with this vocabulary"
    )


def test_what_is_no_shard_directory_is_named(tmp_path: Path) -> None:
    def fault(directory: Path) -> str:
        with pytest.raises(ShardError) as caught:
            open_shards(directory)
        return str(caught.value)

    missing = tmp_path / "no"
    assert fault(missing) == f"{missing}: no such directory; make it with: bertwright prepare"
    assert fault(tmp_path) == (
        f"{tmp_path}: holds no manifest.json, so it is no shard directory; make shards with: bertwright prepare"
    )
    path = tmp_path / "manifest.json"
    path.write_text("{")
    assert fault(tmp_path).startswith(f"{path}:1: this is no JSON")
    path.write_text('{"format": "other"}')
    assert fault(tmp_path) == f"{path}: format is 'other', not 'bertwright-shards-2'; prepare it again"
    path.write_text('{"format": "bertwright-shards-2"}')
    assert fault(tmp_path).startswith(f"{path}: does not hold what a manifest must: ")
    assert "\n" not in fault(tmp_path)


def test_a_manifest_holds_its_promises_as_json(tmp_path: Path) -> None:
    written = write_shards(tmp_path, PET_IDS, PETS)
    assert json.loads((tmp_path / "manifest.json").read_text())["format"] == "bertwright-shards-2"
    assert read_manifest(tmp_path) == written
