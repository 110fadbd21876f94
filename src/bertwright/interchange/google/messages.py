"""The messages of a checkpoint's index, in the wire format of protocol buffers.

A message is fields one after another: a key, `number << 3 | kind`, then a varint, 4 or 8 bytes, or a length and so many
bytes. The messages are those of `tensor_bundle.proto`, `tensor_shape.proto` and `tensor_slice.proto`; fields that are
not named here are passed over, as every reader of the format does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

from bertwright.interchange.google.damage import Damaged

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_LONGEST_VARINT = 10
# More than any variable has: what is beyond them is damage, or meant to take time and memory.
_MOST_DIMENSIONS, _MOST_NUMBERS, _MOST_SLICES = 8, 1 << 40, 1 << 14


@dataclass(frozen=True, slots=True)
class Header:
    """The first entry of an index. shards: the number of its data files."""

    shards: int


@dataclass(frozen=True, slots=True)
class Extent:
    """A range of one dimension; `length` None is all of it."""

    start: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor: its type and shape, and where its bytes lie, with their checksum (masked CRC-32C).

    slices: the parts that a partitioned variable is stored in, each under a key of its own; then it has no bytes here.
    """

    dtype: int
    shape: tuple[int, ...]
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    slices: tuple[tuple[Extent, ...], ...] = ()


def read_header(message: bytes) -> Header:
    """BundleHeaderProto. Raises Damaged where its numbers are big-endian, or of a format that came later."""
    shards = 0
    for number, value in _fields(message):
        if number == 1:
            shards = _number(value)
        elif number == 2 and _number(value) != 0:
            raise Damaged("its numbers are big-endian, as no machine of today writes them")
        elif number == 3:
            for of_version, least in _fields(_bytes(value)):
                if of_version == 2 and _number(least) > 1:
                    raise Damaged(f"its format needs a reader of version {_number(least)}")
    return Header(shards)


def write_header(header: Header) -> bytes:
    """The same as bytes."""
    producer = _varint_field(1, 1)
    return _varint_field(1, header.shards) + _bytes_field(3, producer)


def read_entry(message: bytes) -> Entry:
    """BundleEntryProto. Raises Damaged."""
    dtype = shard = offset = size = crc = 0
    shape: tuple[int, ...] = ()
    slices: list[tuple[Extent, ...]] = []
    for number, value in _fields(message):
        if number == 1:
            dtype = _number(value)
        elif number == 2:
            shape = _shape(_bytes(value))
        elif number == 3:
            shard = _number(value)
        elif number == 4:
            offset = _number(value)
        elif number == 5:
            size = _number(value)
        elif number == 6:
            crc = _number(value)
        elif number == 7:
            if len(slices) == _MOST_SLICES:
                raise Damaged("a tensor lies in more slices than any has")
            slices.append(tuple(_extent(_bytes(part)) for of_slice, part in _fields(_bytes(value)) if of_slice == 1))
    return Entry(dtype, shape, shard, offset, size, crc, tuple(slices))


def write_entry(entry: Entry) -> bytes:
    """The same as bytes; a number that is 0 is left out, as in the original."""
    dimensions = b"".join(_bytes_field(2, _varint_field(1, size)) for size in entry.shape)
    content = _varint_field(1, entry.dtype) + _bytes_field(2, dimensions)
    content += _varint_field(3, entry.shard) + _varint_field(4, entry.offset) + _varint_field(5, entry.size)
    if not entry.slices:
        content += bytes([6 << 3 | _FOUR]) + entry.crc.to_bytes(4, "little")
    for part in entry.slices:
        content += _bytes_field(7, b"".join(_bytes_field(1, _written_extent(extent)) for extent in part))
    return content


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that stands at a place, 7 bits a byte and the lowest first, and the place after it. Raises Damaged."""
    value = 0
    for count, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, at + count + 1
    raise Damaged("a number has no end")


def varint(value: int) -> bytes:
    """A number from 0 on as bytes."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The numbers and values of a message's fields, in their order."""
    at = 0
    while at < len(message):
        key, at = read_varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = read_varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = read_varint(message, at)
        elif kind in (_FOUR, _EIGHT):
            size = 4 if kind == _FOUR else 8
        else:
            raise Damaged("an entry is no message")
        if size > len(message) - at:
            raise Damaged("an entry ends before its time")
        content = message[at : at + size]
        yield number, content if kind == _BYTES else int.from_bytes(content, "little")
        at += size


def _number(value: int | bytes) -> int:
    # Those of the format are signed, and none is ever negative: such a one would be huge here, and is refused as that.
    if isinstance(value, bytes):
        raise Damaged("an entry has bytes where a number should stand")
    return value


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise Damaged("an entry has a number where a message should stand")
    return value


def _shape(message: bytes) -> tuple[int, ...]:
    sizes = []
    for number, value in _fields(message):
        if number == 3 and _number(value):
            raise Damaged("a tensor has no known shape")
        if number == 2:
            given: Iterable[int] = (_number(size) for name, size in _fields(_bytes(value)) if name == 1)
            sizes.append(next(iter(given), 0))
            if len(sizes) > _MOST_DIMENSIONS or prod(max(size, 1) for size in sizes) > _MOST_NUMBERS:
                raise Damaged("a tensor is larger than any is")
    return tuple(sizes)


def _extent(message: bytes) -> Extent:
    start, length = 0, None
    for number, value in _fields(message):
        if number == 1:
            start = _number(value)
        elif number == 2:
            length = _number(value)
    return Extent(start, length)


def _written_extent(extent: Extent) -> bytes:
    if extent.length is None:
        return b""
    # A length of 0 is written too: without one the extent would be all of the dimension.
    return _varint_field(1, extent.start) + bytes([2 << 3 | _VARINT]) + varint(extent.length)


def _varint_field(number: int, value: int) -> bytes:
    return bytes([number << 3 | _VARINT]) + varint(value) if value else b""


def _bytes_field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + varint(len(content)) + content
