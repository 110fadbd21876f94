"""Training states: everything needed to go on as if nothing had happened.

A state is a directory `step-00001000` with `model.safetensors`, `optimizer.safetensors` (both fp32, our names) and
`state.json`, which holds the sizes and hashes of the two and one of itself. It appears whole, by one rename. One that
is removed is first renamed too, so that what bears a state's name is whole unless the disk lost something.

A damaged state is set aside as `step-00001000.damaged`. Nothing reads that again, and nothing of ours deletes it before
the whole run is begun anew: why a disk loses bytes is for its owner to find out.
"""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
import stat
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bertwright.checkpoints.tensor_file import Written, write_tensor_file
from bertwright.checkpoints.weights import read_tensors
from bertwright.errors import DamagedState, ModelError, StorageError
from bertwright.files import OLD, PARTIAL, beside, clear_old, new_directory, storage_faults, to_json, write_atomic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from torch import Tensor

FORMAT = "bertwright-state-2"
_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_NAME = re.compile(r"step-(\d{8,})")
_ANEW = "begin anew with --overwrite"
# Bytes of state.json: a cursor and scores take some hundred. More than this is not read into memory.
_LONGEST = 1 << 24


@dataclass(frozen=True, slots=True)
class TrainingState:
    """Everything needed to go on as if nothing had happened; its tensors lie on the CPU and nobody else changes them.

    `weights` are fp32, by our names; `optimizer` holds the moments as `parameter/moment`. `values` is JSON: the cursor,
    scores, seconds. Tensors that were read are those of the file, mapped into memory: copy what is to outlive it.
    """

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    values: dict[str, Any]


def write_state(folder: Path, state: TrainingState, *, best: bool = False) -> Path:
    """Write a state under `folder`, whole or not at all; returns its directory. Raises DiskFull, StorageError.

    `best` is kept in it: it is the best state so far.
    """
    path = folder / _name(state.step)
    with new_directory(path, overwrite=(_MODEL, _OPTIMIZER, _STATE)) as partial:
        files = {
            _MODEL: asdict(write_tensor_file(partial / _MODEL, state.weights)),
            _OPTIMIZER: asdict(write_tensor_file(partial / _OPTIMIZER, state.optimizer)),
        }
        head = {"format": FORMAT, "step": state.step, "best": best, "files": files, "values": state.values}
        content = _sealed(head)
        assert len(content) <= _LONGEST
        write_atomic(partial / _STATE, content)
    return path


def read_state(path: Path) -> TrainingState:
    """Read a state after checking every byte of it.

    Raises DamagedState (a ModelError) for anything but what was written, ModelError for a state of another version and
    StorageError where the machine does not let it be read.
    """
    head = _read_head(path)
    for name, entry in head["files"].items():
        _verify(path / name, Written(**entry))
    # Only damage is set aside: if the machine cannot map what was just found whole, that is a fault of another kind.
    weights, optimizer = read_tensors(path / _MODEL), read_tensors(path / _OPTIMIZER)
    return TrainingState(head["step"], weights, optimizer, head["values"])


def newest_state(folder: Path, say: Callable[[str], None]) -> TrainingState | None:
    """The newest whole state under `folder`, or None where there is no state at all.

    `say` is told what a kill left behind, which is cleared up, and of each damaged state, which is set aside; the one
    before it is used. Where all are damaged they stay as they are: ModelError.
    """
    with storage_faults(folder):
        _clear(folder, say)
        damaged: list[tuple[Path, DamagedState]] = []
        for path in reversed(_states(folder)):
            try:
                state = read_state(path)
            except DamagedState as error:
                damaged.append((path, error))
                continue
            for bad, fault in damaged:
                aside = _aside(bad)
                bad.rename(aside)
                say(f"{fault}; going back to step {state.step:,}, and the damaged checkpoint is kept as {aside.name}")
            return state
    if damaged:
        cure = f"no earlier checkpoint is left to go back to: {_ANEW}"
        raise ModelError(damaged[0][1].what, where=damaged[0][1].where, cure=cure)
    return None


def prune_states(folder: Path, *, keep: int, best: int | None) -> None:
    """Remove all states but the newest `keep` and that of step `best`. Raises StorageError."""
    assert keep >= 1
    with storage_faults(folder):
        for path in _states(folder)[:-keep]:
            if _step(path) != best:
                # Under its own name, a half-removed state would look like a damaged one after a kill.
                going = beside(path, PARTIAL)
                if going.exists():
                    shutil.rmtree(going)
                path.rename(going)
                shutil.rmtree(going)


def newest_step(folder: Path) -> int:
    """The step of the newest state under `folder`, 0 where there is none; its bytes are not looked at."""
    states = _states(folder)
    return _step(states[-1]) if states else 0


def best_step(folder: Path) -> int | None:
    """The step of the newest state that was the best when it was written; damaged ones do not count."""
    for path in reversed(_states(folder)):
        try:
            if _read_head(path)["best"]:
                return _step(path)
        except ModelError:
            continue
    return None


def state_path(folder: Path, step: int) -> Path:
    """Where the state of a step lies."""
    return folder / _name(step)


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step-"))


def _states(folder: Path) -> list[Path]:
    """Oldest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if _NAME.fullmatch(path.name) and path.is_dir()), key=_step)


def _clear(folder: Path, say: Callable[[str], None]) -> None:
    """Finish what a kill interrupted: replacing a state, writing one, removing one."""
    for old in sorted(folder.glob(f".*{OLD}")):
        clear_old(folder / old.name.removeprefix(".").removesuffix(OLD), say)
    for partial in sorted(folder.glob(f".*{PARTIAL}")):
        say(f"{partial}: a checkpoint that was being written or removed when the run was killed; removed")
        shutil.rmtree(partial)


def _aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.damaged-{number}")
    return aside


def _sealed(head: dict[str, Any]) -> bytes:
    """The bytes of state.json: the values and, last, the hash of their JSON."""
    return to_json({**head, "sha256": hashlib.sha256(to_json(head)).hexdigest()})


def _read_head(path: Path) -> dict[str, Any]:
    """What state.json holds, its seal taken off. Raises as `read_state`."""
    place = path / _STATE
    with _reading(place), place.open("rb") as file:
        content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise DamagedState(f"is longer than {_LONGEST:,} bytes", where=place)
    try:
        head = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise DamagedState("is no JSON that can be read", where=place) from None
    if not isinstance(head, dict):
        raise DamagedState("is no JSON object", where=place)
    # What our first states had; two keys do not both vanish by a flipped bit.
    if "format" not in head and "sha256" not in head and type(head.get("step")) is int:
        raise ModelError("is a checkpoint of an earlier version of bertwright", where=path, cure=_ANEW)
    head.pop("sha256", None)
    if not _is_sealed(head, content):
        raise DamagedState("does not match its own checksum", where=place)
    if head.get("format") != FORMAT:
        raise ModelError("is a checkpoint of another version of bertwright", where=path, cure=f"use that, or {_ANEW}")
    for key, fits in _KEYS.items():
        if not fits(head.get(key)):
            raise DamagedState(f"holds no valid `{key}`", where=place)
    if _NAME.fullmatch(path.name) and head["step"] != _step(path):
        raise DamagedState(f"is of step {head['step']:,}, so it does not belong here", where=place)
    return head


def _is_sealed(head: dict[str, Any], content: bytes) -> bool:
    """Whether these very bytes would be written for `head`: a changed blank counts too."""
    try:
        return _sealed(head) == content
    except (ValueError, RecursionError):  # a lone surrogate; lists in lists in lists
        return False


def _are_files(value: Any) -> bool:
    """Names are ours alone, so that none leads out of the directory."""
    return (
        isinstance(value, dict)
        and value.keys() == {_MODEL, _OPTIMIZER}
        and all(
            isinstance(entry, dict)
            and entry.keys() == {"bytes", "sha256"}
            and type(entry["bytes"]) is int
            and isinstance(entry["sha256"], str)
            for entry in value.values()
        )
    )


_KEYS: dict[str, Callable[[Any], bool]] = {
    "step": lambda value: type(value) is int and value >= 0,
    "best": lambda value: isinstance(value, bool),
    "files": _are_files,
    "values": lambda value: isinstance(value, dict),
}


def _verify(path: Path, expected: Written) -> None:
    with _reading(path):
        size = path.stat().st_size
        if size != expected.bytes:
            raise DamagedState(f"has {size:,} bytes and should have {expected.bytes:,}", where=path)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected.sha256:
        raise DamagedState("does not match its checksum", where=path)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell a file that is not as it was written from a machine that does not let it be read now."""
    try:
        # A pipe would be waited for, a device read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise DamagedState("is no file", where=path)
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise DamagedState("is missing", where=path) from None
    except OSError as error:
        if error.errno == errno.EIO:
            raise DamagedState("the disk cannot read it", where=path) from None
        raise StorageError(f"{path}: {error.strerror or error}") from None
