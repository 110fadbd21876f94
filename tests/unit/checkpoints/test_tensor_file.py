from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load, load_file

from bertwright.checkpoints.tensor_file import Written, write_tensor_file
from tests.unit.checkpoints.states import bits

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip


def test_a_file_one_can_read_by_eye(tmp_path: Path) -> None:
    written = write_tensor_file(tmp_path / "f", {"b": torch.tensor(1.0), "a": torch.tensor([1, 2], dtype=torch.uint8)})
    header = (
        b'{"__metadata__": {"format": "pt"}, "b": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}, '
        b'"a": {"dtype": "U8", "shape": [2], "data_offsets": [4, 6]}}'
    )
    header += b" " * (-len(header) % 8)
    content = len(header).to_bytes(8, "little") + header + b"\x00\x00\x80\x3f" + b"\x01\x02"
    assert (tmp_path / "f").read_bytes() == content
    assert written == Written(len(content), hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 2), (2, 3)], ids=str)
def test_every_kind_of_tensor_comes_back(tmp_path: Path, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    tensors = {"one": torch.ones(shape, dtype=dtype), "other": torch.zeros((1, *shape), dtype=torch.float32)}
    write_tensor_file(tmp_path / "f", tensors)
    assert bits(load_file(tmp_path / "f")) == bits(tensors)


def test_a_view_is_written_as_what_it_shows(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4).requires_grad_()
    views = {"columns": whole.T, "slice": whole[1:, ::2], "wide": torch.ones(1).expand(3)}
    write_tensor_file(tmp_path / "f", views)
    assert bits(load_file(tmp_path / "f")) == bits({name: view.detach() for name, view in views.items()})


@given(
    st.dictionaries(
        st.text(min_size=1).filter(lambda name: name != "__metadata__" and name.isprintable()),
        st.tuples(st.sampled_from([torch.float32, torch.bfloat16, torch.int64]), st.binary(max_size=64)),
        max_size=6,
    )
)
def test_any_bytes_under_any_name_come_back(
    tmp_path_factory: pytest.TempPathFactory, raw: dict[str, tuple[torch.dtype, bytes]]
) -> None:
    """Any bits at all: NaNs with a payload, subnormal numbers, minus zero."""
    tensors = {
        name: torch.tensor(list(data[: len(data) // 8 * 8]), dtype=torch.uint8).view(dtype)
        for name, (dtype, data) in raw.items()
    }
    path = tmp_path_factory.mktemp("any") / "f"
    written = write_tensor_file(path, tensors)
    content = path.read_bytes()
    assert written == Written(len(content), hashlib.sha256(content).hexdigest())
    assert bits(load(content)) == bits(tensors)
