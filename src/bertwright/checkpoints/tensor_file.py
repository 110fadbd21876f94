"""A safetensors file, written a tensor at a time and hashed on the way.

The library's `save` makes the whole file in memory first, and its `save_file` tells a full disk in words that change
with its version, without a number. The format is one line: eight bytes of length, a JSON header, then the tensors'
bytes (https://github.com/huggingface/safetensors). What is written here is read, and checked, by the library.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}


@dataclass(frozen=True, slots=True)
class Written:
    """What a file's bytes are to be: how many, and their SHA-256 in hexadecimal."""

    bytes: int
    sha256: str


def write_tensor_file(path: Path, tensors: Mapping[str, Tensor]) -> Written:
    """Write tensors that lie on the CPU; needs no memory beside theirs where they are contiguous. Raises OSError.

    The hash is that of the bytes meant, not of those that the disk gives back.
    """
    assert sys.byteorder == "little"  # as the format has it, and every machine that torch is built for
    # The largest items first: so each tensor begins at a multiple of its item's size, as the format wants it.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0]))
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in ordered:
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    digest = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        head = len(encoded).to_bytes(8, "little") + encoded
        for data in chain([memoryview(head)], (_bytes_of(tensor) for _, tensor in ordered)):
            # Both let other threads run meanwhile: training does not wait for its checkpoint.
            digest.update(data)
            file.write(data)
            size += data.nbytes
    return Written(size, digest.hexdigest())


def _bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's bytes where they lie; numpy knows no bf16, so all are taken as single bytes."""
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().data
