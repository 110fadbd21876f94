"""The tensors of a TensorFlow checkpoint, "tensor bundle": an index, and data files in which they lie end to end.

The index is a sorted table: under the empty key the number of data files, under each variable's name its type, shape,
data file, offset, size and checksum. A variable that was partitioned has a list of slices there, each of which is an
entry of its own, under a key made of the name and the place of the slice.

Written from tensorflow/core/util/tensor_bundle, saved_tensor_slice_util.cc and lib/strings/ordered_code.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import ExitStack
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import IO

import torch
from torch import Tensor

from bertwright.errors import ModelError
from bertwright.files import storage_faults, write_atomic
from bertwright.interchange.google.damage import Damaged
from bertwright.interchange.google.files import INDEX, UNREADABLE, Files, read_small
from bertwright.interchange.google.messages import (
    Entry,
    Extent,
    Header,
    read_entry,
    read_header,
    write_entry,
    write_header,
)
from bertwright.interchange.google.table import Checksum, read_table, write_table

# Numbers of DataType in types.proto.
_FLOAT = 1
_TYPES = {_FLOAT: torch.float32, 2: torch.float64, 14: torch.bfloat16, 19: torch.float16}
_PIECE = 1 << 22
_COPY = "copy it again"


class Bundle:
    """A checkpoint that is open for reading. Its entries are known, its tensors are read when they are asked for."""

    def __init__(self, files: Files, prefix: str) -> None:
        """Read the index. Raises ModelError."""
        self._files, self._prefix = files, prefix
        self._where = files.told(prefix + INDEX)
        self._parts: dict[bytes, Entry] = {}
        self.entries: dict[str, Entry] = {}
        """The variables by name, with their types and shapes."""
        header = None
        try:
            for key, value in read_table(read_small(files, prefix + INDEX)):
                if header is None:
                    # The empty key, which is the first of all.
                    header = read_header(value)
                elif key.startswith(b"\0"):
                    self._parts[key] = read_entry(value)
                else:
                    self.entries[_name_of(key)] = read_entry(value)
        except Damaged as error:
            raise ModelError(str(error), where=self._where, cure=_COPY) from None
        if header is None:
            raise ModelError("holds no entries", where=self._where, cure=_COPY)
        self._shards = header.shards

    def read(self, names: Collection[str], done: Callable[[int], None] | None = None) -> dict[str, Tensor]:
        """Variables as tensors in fp32, each verified; `done` is told how many there are.

        Raises ModelError where a data file is missing or short, or a checksum is wrong.
        """
        self._refuse_shared(names)
        found: dict[str, Tensor] = {}
        with ExitStack() as stack:
            shards = _Shards(self._files, self._prefix, self._shards, stack)
            # In the order in which they lie: a file in a .zip can only be read forward.
            for name in sorted(names, key=self._place):
                found[name] = self._tensor(name, self.entries[name], shards)
                if done:
                    done(len(found))
        return found

    def _refuse_shared(self, names: Collection[str]) -> None:
        """No two variables have bytes in common: a small file could be made a large model of."""
        stored = [
            self._parts.get(slice_key(name, part), self.entries[name])
            for name in names
            for part in self.entries[name].slices or [()]
        ]
        places = sorted((each.shard, each.offset, each.size) for each in stored if each.size)
        for (shard, start, size), (other_shard, other_start, _) in pairwise(places):
            if shard == other_shard and start + size > other_start:
                raise ModelError("two variables lie in the same place", where=self._where, cure=_COPY)

    def _place(self, name: str) -> tuple[int, int]:
        entry = self.entries[name]
        if entry.slices:
            entry = self._parts.get(slice_key(name, entry.slices[0]), entry)
        return entry.shard, entry.offset

    def _tensor(self, name: str, entry: Entry, shards: _Shards) -> Tensor:
        if entry.dtype not in _TYPES:
            raise ModelError(f"`{name}` holds no floating-point numbers (type {entry.dtype})", where=self._where)
        if not entry.slices:
            return self._whole(name, entry, shards)
        boxes = [self._box(name, entry, part) for part in entry.slices]
        if sum(prod(stop - start for start, stop in box) for box in boxes) != prod(entry.shape):
            raise ModelError(f"the slices of `{name}` do not cover it", where=self._where, cure=_COPY)
        parts = []
        for part, box in zip(entry.slices, boxes, strict=True):
            key = slice_key(name, part)
            if key not in self._parts:
                raise ModelError(f"a slice of `{name}` is not there", where=self._where, cure=_COPY)
            stored = self._parts[key]
            if stored.shape != tuple(stop - start for start, stop in box) or stored.dtype != entry.dtype:
                raise ModelError(f"a slice of `{name}` is not what it should be", where=self._where, cure=_COPY)
            parts.append(self._whole(name, stored, shards))
        found, filled = torch.empty(entry.shape), torch.zeros(entry.shape, dtype=torch.bool)
        for box, tensor in zip(boxes, parts, strict=True):
            place = tuple(slice(start, stop) for start, stop in box)
            found[place], filled[place] = tensor, True
        if not filled.all():
            raise ModelError(f"the slices of `{name}` do not cover it", where=self._where, cure=_COPY)
        return found

    def _box(self, name: str, entry: Entry, part: tuple[Extent, ...]) -> list[tuple[int, int]]:
        """Where a slice lies: from and to of each dimension."""
        box = [
            (extent.start, size if extent.length is None else extent.start + extent.length)
            for extent, size in zip(part, entry.shape, strict=False)
        ]
        if len(part) != len(entry.shape) or any(
            not 0 <= start <= stop <= size for (start, stop), size in zip(box, entry.shape, strict=True)
        ):
            raise ModelError(f"a slice of `{name}` lies outside of it", where=self._where, cure=_COPY)
        return box

    def _whole(self, name: str, entry: Entry, shards: _Shards) -> Tensor:
        dtype = _TYPES[entry.dtype]
        if entry.size != prod(entry.shape) * dtype.itemsize:
            what = f"`{name}` has {entry.size:,} bytes, which its shape {entry.shape} does not take"
            raise ModelError(what, where=self._where, cure=_COPY)
        if not 0 <= entry.shard < self._shards:
            what = f"`{name}` lies in data file {entry.shard + 1} of {self._shards}"
            raise ModelError(what, where=self._where, cure=_COPY)
        content = shards.read(name, entry)
        if not content:
            return torch.zeros(entry.shape)
        # TensorFlow writes numbers with the lowest byte first, as the machines that torch runs on have them.
        return torch.frombuffer(content, dtype=dtype).view(entry.shape).float()


def _name_of(key: bytes) -> str:
    """What a variable is called. Raises Damaged."""
    name = key.decode("utf-8", "replace")
    if not name.isprintable() or "\ufffd" in name:
        raise Damaged(f"a variable is called {name!r}")
    return name


class _Shards:
    """The data files, each opened when it is first needed and kept open."""

    def __init__(self, files: Files, prefix: str, count: int, stack: ExitStack) -> None:
        self._files, self._prefix, self._count, self._stack = files, prefix, count, stack
        self._names = frozenset(files.names())
        self._open: dict[str, IO[bytes]] = {}

    def read(self, name: str, entry: Entry) -> bytearray:
        """The bytes of a tensor, verified."""
        shard = shard_name(self._prefix, entry.shard, self._count)
        where = self._files.told(shard)
        if shard not in self._names:
            raise ModelError("no such file", where=where, cure=f"`{name}` lies in it; copy it beside the index")
        size, end = self._files.size(shard), entry.offset + entry.size
        if end > size:
            raise ModelError(f"has {size:,} bytes, and `{name}` ends at {end:,}", where=where, cure=_COPY)
        content = bytearray()
        crc = Checksum()
        try:
            if shard not in self._open:
                self._open[shard] = self._stack.enter_context(self._files.open(shard))
            file = self._open[shard]
            file.seek(entry.offset)
            # Piece by piece: a .zip may promise more than it holds, and no memory is asked for before it is needed.
            while len(content) < entry.size and (piece := file.read(min(_PIECE, entry.size - len(content)))):
                content += piece
                crc.add(piece)
        except UNREADABLE as error:
            raise ModelError(f"cannot be read: {' '.join(str(error).split())}", where=where) from None
        if len(content) != entry.size:
            raise ModelError(f"ends before `{name}` does", where=where, cure=_COPY)
        if crc.masked() != entry.crc:
            raise ModelError(f"the checksum of `{name}` is wrong", where=where, cure=_COPY)
        return content


def write_bundle(folder: Path, prefix: str, tensors: Mapping[str, Tensor]) -> None:
    """Write an index and one data file, in fp32."""
    entries = [(b"", write_header(Header(shards=1)))]
    offset = 0
    path = folder / shard_name(prefix, 0, 1)
    with storage_faults(path), path.open("wb") as file:
        for name in sorted(tensors, key=str.encode):
            tensor = tensors[name].detach().float().contiguous().cpu()
            content = tensor.numpy().tobytes()
            file.write(content)
            crc = Checksum(content).masked()
            entry = Entry(_FLOAT, tuple(tensor.shape), offset=offset, size=len(content), crc=crc)
            entries.append((name.encode(), write_entry(entry)))
            offset += len(content)
    write_atomic(folder / f"{prefix}{INDEX}", write_table(entries))


def shard_name(prefix: str, number: int, count: int) -> str:
    """The name of a data file."""
    return f"{prefix}.data-{number:05d}-of-{count:05d}"


def slice_key(name: str, part: tuple[Extent, ...]) -> bytes:
    """The key of a slice: 0, the name, the number of dimensions, and start and length of each, in ordered code.

    All of a dimension is the length -1.
    """
    # 0xff is escaped too, and stands in no UTF-8.
    content = name.encode().replace(b"\0", b"\0\xff")
    key = _ordered(0) + content + b"\0\1" + _ordered(len(part))
    for extent in part:
        key += _ordered_signed(extent.start) + _ordered_signed(-1 if extent.length is None else extent.length)
    return key


def _ordered(value: int) -> bytes:
    """A number from 0 on: how many bytes it has, and those, the highest first."""
    content = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(content)]) + content


def _ordered_signed(value: int) -> bytes:
    """A number of either sign: as many leading bits as it has bytes are the reverse of its sign, then the number."""
    size = (value if value >= 0 else ~value).bit_length() // 7 + 1
    head = ((1 << size) - 1) << (7 * size)  # `size` ones, at the top of so many bytes
    return ((value ^ head) & ((1 << 8 * size) - 1)).to_bytes(size, "big")
