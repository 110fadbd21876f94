"""Weight files of a model directory: safetensors, in one piece or several, and old `.bin` files without unpickling."""

from __future__ import annotations

import hashlib
import warnings
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from bertwright.errors import ModelError
from bertwright.files import read_json, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

SAFETENSORS = "model.safetensors"
_BIN = "pytorch_model.bin"


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as one safetensors file, whole or not at all."""
    contiguous = {name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()}
    write_atomic(path, save(contiguous, metadata={"format": "pt"}))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read one safetensors file. Raises ModelError."""
    try:
        # Copied out of the mapped file: one that is written over in its place would change a model that is in use, and
        # one that is cut short would end the process.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except FileNotFoundError:
        raise ModelError("no such file", where=path) from None
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"is no whole safetensors file: {error}", where=path, cure="copy it again") from None


def read_weights(directory: Path) -> dict[str, Tensor]:
    """All tensors of a model directory, in fp32. Raises ModelError."""
    for name, read in ((SAFETENSORS, read_tensors), (_BIN, _read_bin)):
        if (directory / name).exists():
            return {key: _as_fp32(tensor) for key, tensor in read(directory / name).items()}
        index = directory / f"{name}.index.json"
        if index.exists():
            tensors: dict[str, Tensor] = {}
            places = read_json(index, ModelError).get("weight_map")
            if not isinstance(places, dict) or not all(isinstance(part, str) for part in places.values()):
                raise ModelError("`weight_map` must be an object of file names", where=index, cure="copy it again")
            for part in sorted(set(places.values())):
                if "/" in part:
                    raise ModelError(f"names a file outside the directory: {part!r}", where=index)
                tensors |= read(directory / part)
            return {key: _as_fp32(tensor) for key, tensor in tensors.items()}
    raise ModelError(f"holds no weights ({SAFETENSORS} or {_BIN})", where=directory)


def holds_weights(directory: Path) -> bool:
    """Whether weights lie in a directory, in one of the forms that `read_weights` reads."""
    return any(
        (directory / f"{name}{ending}").exists() for name in (SAFETENSORS, _BIN) for ending in ("", ".index.json")
    )


def weights_hash(module: nn.Module) -> str:
    """A short hash of all weights, in their order."""
    digest = hashlib.sha256()
    for parameter in module.parameters():
        digest.update(parameter.detach().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def _as_fp32(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor


def _read_bin(path: Path) -> dict[str, Tensor]:
    # `weights_only` refuses everything but tensors and plain containers (law 6).
    try:
        with warnings.catch_warnings():
            # torch speaks of the protocol of a pickle that it then refuses.
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  # on damaged bytes its unpickler fails in every way that Python knows
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"is no plain file of weights: {reason}", where=path) from None
    if not isinstance(loaded, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in loaded.values()):
        raise ModelError("holds something other than named tensors", where=path)
    return loaded
