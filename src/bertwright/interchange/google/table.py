"""Sorted tables of keys and values, as LevelDB has them: the form of a checkpoint's index.

    data blocks | block of block handles | footer of 48 bytes
    block   entries, then where every 16th of them begins, then how many such places there are
    entry   bytes shared with the key before, bytes that are new, bytes of the value; the new part of the key; the value
    after each block a byte that tells its compression, and a masked CRC-32C over both

All checksums are verified. Nothing is taken from a place that lies outside of the file, and nothing is unpacked to more
than its compression allows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import google_crc32c
import pyarrow as pa

from bertwright.interchange.google.damage import Damaged
from bertwright.interchange.google.messages import read_varint, varint

_MAGIC = bytes.fromhex("57fb808b247547db")
_FOOTER = 48
_TRAILER = 5
_STORED, _SNAPPY = 0, 1
# A copy takes two bytes at least and gives 64 at most.
_SNAPPY_GAIN = 32
# Keys that share their beginnings are far longer than the file that holds them.
_MOST_NAMES = 1 << 26
_MOST_ENTRIES = 1 << 18
_BLOCK_SIZE = 1 << 18
_RESTART_EVERY = 16


class Checksum:
    """CRC-32C of bytes that come piece by piece."""

    def __init__(self, *pieces: bytes) -> None:
        self._crc = 0
        for piece in pieces:
            self.add(piece)

    def add(self, piece: bytes) -> None:
        """Go on with more bytes."""
        self._crc = google_crc32c.extend(self._crc, piece)

    def masked(self) -> int:
        """As it is stored: turned and shifted, since bytes that hold their own checksum would check badly."""
        return (((self._crc >> 15) | (self._crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def read_table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All keys with their values, in the order of the keys. Raises Damaged."""
    if len(data) < _FOOTER or data[-8:] != _MAGIC:
        raise Damaged("is no index of a TensorFlow checkpoint, or not a whole one")
    footer = data[-_FOOTER:-8]
    _, at = _handle(footer, 0)
    index, _ = _handle(footer, at)
    before = None
    end = names = entries = 0
    for _, content in _entries(_block(data, index)):
        place, _ = _handle(content, 0)
        # Each block once: a small file could have one unpacked a million times.
        if place[0] < end:
            raise Damaged("its blocks are not in order")
        end = sum(place)
        for key, value in _entries(_block(data, place)):
            names += len(key)
            entries += 1
            if before is not None and key <= before:
                raise Damaged("its keys are not in order")
            if names > _MOST_NAMES or entries > _MOST_ENTRIES:
                raise Damaged("it has more keys, or longer ones, than any model")
            before = key
            yield key, value


def write_table(entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The same as bytes, not compressed. The keys must be in order, none twice."""
    data = bytearray()
    handles: list[tuple[bytes, bytes]] = []
    pending: list[tuple[bytes, bytes]] = []
    size = 0
    for entry in entries:
        pending.append(entry)
        size += len(entry[0]) + len(entry[1])
        if size >= _BLOCK_SIZE:
            handles.append((entry[0], _append(data, pending)))
            pending, size = [], 0
    if pending or not handles:
        handles.append((_short_successor(pending[-1][0] if pending else b""), _append(data, pending)))
    meta = _append(data, [])
    index = _append(data, handles)
    return bytes(data) + (meta + index).ljust(_FOOTER - len(_MAGIC), b"\0") + _MAGIC


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Where a block lies and how long it is, and the place after that."""
    offset, at = read_varint(data, at)
    size, at = read_varint(data, at)
    return (offset, size), at


def _block(data: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    end = offset + size
    if end + _TRAILER > len(data) - _FOOTER:
        raise Damaged("a block of it lies outside of the file")
    content, kind = data[offset:end], data[end]
    if Checksum(content, data[end : end + 1]).masked() != int.from_bytes(data[end + 1 : end + _TRAILER], "little"):
        raise Damaged("the checksum of a block is wrong")
    if kind == _STORED:
        return content
    if kind != _SNAPPY:
        raise Damaged(f"a block has an unknown compression ({kind})")
    unpacked, _ = read_varint(content, 0)
    if unpacked > _SNAPPY_GAIN * size:
        raise Damaged("a block would be unpacked to more than its compression allows")
    try:
        found: bytes = pa.Codec("snappy").decompress(content, unpacked, asbytes=True)
    except (pa.ArrowException, OSError):
        raise Damaged("a block cannot be unpacked") from None
    return found


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    restarts = int.from_bytes(block[-4:], "little") if len(block) >= 4 else -1
    end = len(block) - 4 * (restarts + 1)
    if restarts < 0 or end < 0:
        raise Damaged("a block has no entries where it says")
    key = b""
    at = 0
    while at < end:
        shared, at = read_varint(block, at)
        new, at = read_varint(block, at)
        size, at = read_varint(block, at)
        if shared > len(key) or new + size > end - at:
            raise Damaged("an entry goes past the end of its block")
        key = key[:shared] + block[at : at + new]
        at += new
        yield key, block[at : at + size]
        at += size


def _short_successor(key: bytes) -> bytes:
    """The shortest key that is not before another: what the original writes for its last block."""
    at = next((at for at, byte in enumerate(key) if byte != 0xFF), len(key))
    return key[:at] + bytes([key[at] + 1]) if at < len(key) else key


def _append(data: bytearray, entries: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Add a block; its handle."""
    block = bytearray()
    restarts = []
    before = b""
    for number, (key, value) in enumerate(entries):
        if number % _RESTART_EVERY == 0:
            restarts.append(len(block))
            before = b""
        shared = 0
        while shared < min(len(key), len(before)) and key[shared] == before[shared]:
            shared += 1
        block += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        before = key
    # An empty block has one place too.
    restarts = restarts or [0]
    block += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))
    handle = varint(len(data)) + varint(len(block))
    kind = bytes([_STORED])
    data += block + kind + Checksum(bytes(block), kind).masked().to_bytes(4, "little")
    return handle
