"""The index of a TensorFlow checkpoint: messages, sorted tables, and what a damaged one does."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertwright.interchange.google.bundle import slice_key
from bertwright.interchange.google.damage import Damaged
from bertwright.interchange.google.messages import (
    Entry,
    Extent,
    Header,
    read_entry,
    read_header,
    read_varint,
    varint,
    write_entry,
    write_header,
)
from bertwright.interchange.google.table import Checksum, read_table, write_table

#                    dtype  shape (48,)           size 192   crc
AS_WRITTEN = bytes.fromhex("0801 1204 1202 0830 28c001 3542d3e392")


def test_an_entry_as_tensorflow_writes_it() -> None:
    entry = Entry(dtype=1, shape=(48,), size=192, crc=0x92E3D342)
    assert read_entry(AS_WRITTEN) == entry
    assert write_entry(entry) == AS_WRITTEN


@pytest.mark.parametrize(
    "entry",
    [
        Entry(dtype=1, shape=(), size=4, crc=1),
        Entry(dtype=19, shape=(2, 0, 3), shard=3, offset=1 << 40, size=1 << 35, crc=0xFFFFFFFF),
        Entry(dtype=1, shape=(4, 3), slices=((Extent(0, 2), Extent()), (Extent(2, 2), Extent(1, 0)))),
    ],
)
def test_entries_come_back(entry: Entry) -> None:
    assert read_entry(write_entry(entry)) == entry


def test_headers() -> None:
    assert write_header(Header(shards=1)).hex() == "08011a020801", "as TensorFlow writes it"
    assert read_header(bytes.fromhex("08021a020801")) == Header(shards=2)
    with pytest.raises(Damaged, match="big-endian"):
        read_header(bytes.fromhex("08011001"))
    with pytest.raises(Damaged, match="needs a reader of version 2"):
        read_header(bytes.fromhex("08011a0408011002"))


@pytest.mark.parametrize(
    ("message", "what"),
    [
        ("08", "a number has no end"),
        ("08ffffffffffffffffffffff", "a number has no end"),
        ("0f", "an entry is no message"),
        ("1205", "an entry ends before its time"),
        ("3542d3", "an entry ends before its time"),
        ("0a0101", "an entry has bytes where a number should stand"),
        ("1001", "an entry has a number where a message should stand"),
        ("12021801", "a tensor has no known shape"),
    ],
)
def test_what_is_no_entry(message: str, what: str) -> None:
    with pytest.raises(Damaged, match=f"^{what}$"):
        read_entry(bytes.fromhex(message))


@given(st.integers(0, (1 << 64) - 1))
def test_varints_come_back(value: int) -> None:
    assert read_varint(varint(value) + b"\xff", 0) == (value, len(varint(value)))


def test_keys_of_slices() -> None:
    assert slice_key("w", (Extent(0, 2), Extent())).hex(" ") == "00 77 00 01 01 02 80 82 80 7f"
    #                      70: one byte holds up to 63        1000
    assert slice_key("", (Extent(70, 1000),)).hex(" ") == "00 00 01 01 01 c0 46 c3 e8"
    assert slice_key("a\0", ()).hex(" ") == "00 61 00 ff 00 01 00"


TABLES = st.dictionaries(st.binary(max_size=40), st.binary(max_size=60), max_size=60)


@given(TABLES)
def test_tables_come_back(entries: dict[bytes, bytes]) -> None:
    assert dict(read_table(write_table(sorted(entries.items())))) == entries


def test_a_table_of_several_blocks() -> None:
    entries = [(f"bert/layer_{number:04d}".encode(), bytes(number % 251 for _ in range(1000))) for number in range(900)]
    table = write_table(entries)
    assert list(read_table(table)) == entries
    assert len(table) < sum(len(value) + 16 for _, value in entries), "what keys share is written once"


def packed(content: bytes, kind: int = 1) -> bytes:
    """A table of one data block of the kind given, and its index."""
    data = content + bytes([kind]) + Checksum(content, bytes([kind])).masked().to_bytes(4, "little")
    handle = varint(0) + varint(len(content))
    block = varint(0) + varint(1) + varint(len(handle)) + b"z" + handle + bytes(4) + (1).to_bytes(4, "little")
    index = varint(len(data)) + varint(len(block))
    data += block + b"\0" + Checksum(block, b"\0").masked().to_bytes(4, "little")
    return data + (varint(0) + varint(0) + index).ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")


BLOCK = b"\0\1\5aabcde" * 1 + bytes(4) + (1).to_bytes(4, "little")


def test_compressed_blocks() -> None:
    snappy = pa.compress(BLOCK, codec="snappy", asbytes=True)
    assert list(read_table(packed(snappy))) == [(b"a", b"abcde")]
    assert list(read_table(packed(BLOCK, kind=0))) == [(b"a", b"abcde")]


@pytest.mark.parametrize(
    ("content", "kind", "what"),
    [
        (BLOCK, 2, "a block has an unknown compression (2)"),
        (varint(1 << 40) + b"abc", 1, "a block would be unpacked to more than its compression allows"),
        (varint(20) + b"abcdefg", 1, "a block cannot be unpacked"),
        (b"", 0, "a block has no entries where it says"),
        (bytes(4) + (9).to_bytes(4, "little"), 0, "a block has no entries where it says"),
        (b"\1\1\1ab" + bytes(4) + (1).to_bytes(4, "little"), 0, "an entry goes past the end of its block"),
        (b"\0\1\7ab" + bytes(4) + (1).to_bytes(4, "little"), 0, "an entry goes past the end of its block"),
        (b"\0\1\1ba\0\1\1ab" + bytes(4) + (1).to_bytes(4, "little"), 0, "its keys are not in order"),
    ],
)
def test_blocks_that_are_none(content: bytes, kind: int, what: str) -> None:
    with pytest.raises(Damaged) as caught:
        list(read_table(packed(content, kind)))
    assert str(caught.value) == what


def test_keys_that_grow_without_end() -> None:
    """Each is one byte longer than the one before, and takes four bytes of the file."""
    entries = b"".join(varint(number) + b"\1\0a" for number in range(20_000))
    block = entries + bytes(4) + (1).to_bytes(4, "little")
    with pytest.raises(Damaged, match="it has more keys, or longer ones, than any model"):
        list(read_table(packed(block, 0)))


def test_every_flipped_bit_is_noticed() -> None:
    entries = [(f"name{number}".encode(), b"value") for number in range(40)]
    table = write_table(entries)
    # The handle of the block of block handles' neighbour, which is never looked at, and what fills the footer up.
    padding = range(len(table) - 48, len(table) - 8)
    for at in range(len(table)):
        for bit in range(8):
            broken = bytearray(table)
            broken[at] ^= 1 << bit
            try:
                found = list(read_table(bytes(broken)))
            except Damaged:
                continue
            assert at in padding, at
            assert found == entries


@pytest.mark.parametrize("size", [0, 1, 47, 48, 200])
def test_a_table_that_was_cut(size: int) -> None:
    table = write_table([(f"name{number}".encode(), b"value") for number in range(40)])
    for broken in (table[:size], table[-size:] if size else b""):
        with pytest.raises(Damaged):
            list(read_table(broken))
