"""Files that are either whole or absent (law 7).

Writes go to a name beside the target, are synced, then renamed. A kill leaves at most a `.NAME.bertwright-partial`
beside the target, or a `.NAME.bertwright-old` where a directory was being replaced; the next command with the same
target clears up such a directory, and says so, or goes on with it. Nobody else gives such names, so what bears them is
ours.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertwright.errors import BertwrightError, DiskFull, StorageError, UserFault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

PARTIAL = ".bertwright-partial"
OLD = ".bertwright-old"
SCRATCH = ".bertwright-scratch"


def beside(path: Path, ending: str) -> Path:
    """The name beside `path` under which it lies while it is not, or no longer, whole."""
    return path.with_name(f".{path.name}{ending}")


@contextmanager
def storage_faults(path: Path) -> Iterator[None]:
    """Turn an operating system's refusal into StorageError (or UserFault where the path itself is at fault)."""
    try:
        yield
    except BertwrightError:
        raise
    except OSError as error:
        # The name beside the target is ours; what the user knows is the target.
        place = path if str(error.filename or "").endswith(PARTIAL) else error.filename or path
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"{place}: the disk is full; free some space and start again") from None
        # numpy writes with C's own file calls and reports a short write without a number.
        if error.errno is None and "requested and" in str(error):
            raise DiskFull(f"{place}: the disk is full; free some space and start again") from None
        if isinstance(error, (FileNotFoundError, NotADirectoryError, IsADirectoryError, FileExistsError)):
            raise UserFault((error.strerror or str(error)).lower(), where=place) from None
        raise StorageError(f"{place}: {error.strerror or error}") from None


def write_atomic(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all. Raises StorageError or UserFault."""
    partial = beside(path, PARTIAL)
    with storage_faults(path):
        try:
            with partial.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)


@contextmanager
def new_directory(
    path: Path, *, overwrite: Collection[str] = (), say: Callable[[str], None] | None = None
) -> Iterator[Path]:
    """Give a directory to write in; it becomes `path` when the block ends well, and vanishes when it does not.

    `overwrite` and the faults are those of `refuse_existing`. `say` is told what an earlier run left behind.
    """
    refuse_existing(path, overwrite=overwrite)
    path = path.resolve()  # `.` and `..` have no name to put a partial one beside
    partial = beside(path, PARTIAL)
    with storage_faults(path), _claimed(partial, say or _tell_nobody):
        try:
            clear_old(path, say or _tell_nobody)
            refuse_existing(path, overwrite=overwrite)  # what was put back is not ours to replace unasked
            yield partial
            _put_in_place(partial, path)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def resumable_directory(
    path: Path,
    checkpoint: Sequence[str],
    *,
    overwrite: Collection[str] = (),
    say: Callable[[str], None] | None = None,
) -> Iterator[Path]:
    """As `new_directory`, but what an earlier run left unfinished is given to the block, which goes on with it.

    checkpoint: names (as patterns) of what is there only to go on with. Where the first of them lies, all is kept,
    whatever ends the block. They are removed when the directory has its name, and not before: a kill in between would
    leave whole work that nobody can go on with.
    """
    refuse_existing(path, overwrite=overwrite)
    path = path.resolve()
    partial = beside(path, PARTIAL)
    with storage_faults(path):
        partial.mkdir(parents=True, exist_ok=True)
        with hold(partial):
            try:
                clear_old(path, say or _tell_nobody)
                refuse_existing(path, overwrite=overwrite)
            except UserFault:
                if not any(partial.iterdir()):
                    partial.rmdir()
                raise
            try:
                yield partial
                _put_in_place(partial, path)
            except (UserFault, OSError, StorageError):
                if not (partial / checkpoint[0]).exists():
                    shutil.rmtree(partial, ignore_errors=True)
                raise
            for done_with in [name for pattern in checkpoint for name in path.glob(pattern)]:
                done_with.unlink()


@contextmanager
def scratch_directory(path: Path, say: Callable[[str], None]) -> Iterator[Path]:
    """Give a directory beside `path` for what the memory is not to hold; it is gone when the block ends."""
    folder = beside(path.resolve(), SCRATCH)
    with storage_faults(path), _claimed(folder, say):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _tell_nobody(_: str) -> None:
    pass


@contextmanager
def _claimed(partial: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Make `partial` afresh and hold a lock on it, so that a second process neither joins in nor wipes it."""
    if partial.exists():
        with hold(partial):
            say(f"{partial}: left unfinished by an earlier run that was killed; removed, this one begins anew")
            shutil.rmtree(partial)
    partial.mkdir(parents=True)
    with hold(partial):
        yield


def clear_old(path: Path, say: Callable[[str], None]) -> None:
    """Finish what a kill between the two renames of `_put_in_place` left: the old directory under its second name."""
    old = beside(path, OLD)
    if not old.exists():
        return
    if path.exists():
        say(f"{old}: already replaced when an earlier run was killed; removed")
        shutil.rmtree(old)
    else:
        say(f"{old}: an earlier run was killed while replacing it; put back as {path}")
        old.rename(path)


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Keep other processes of ours from writing `directory` until the block ends. Raises UserFault where one does."""
    # The kernel drops the lock with the process, however that ends; a lock file would outlive a kill.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            cure = "wait for it, or choose another name"
            raise UserFault("another process is writing this directory", where=directory, cure=cure) from None
        yield
    finally:
        os.close(descriptor)


def refuse_existing(path: Path, *, overwrite: Collection[str] = ()) -> None:
    """Raise UserFault if `path` already holds something and may not be replaced.

    `overwrite` are patterns (as of `fnmatch`) of the names that may be replaced, none by default: a folder that holds
    anything else is never touched, whatever the caller wished.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise UserFault("exists and is no directory", where=path, cure="choose another name")
    names = sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []
    if names and not overwrite:
        raise UserFault("exists and is not empty", where=path, cure="choose another name, or give --overwrite")
    for name in names:
        if not any(fnmatchcase(name, pattern) for pattern in overwrite):
            what = f"holds `{name}`, which this command never makes, so --overwrite would lose it"
            raise UserFault(what, where=path, cure="move it away, or choose another name")


def _put_in_place(partial: Path, path: Path) -> None:
    for folder, _, names in os.walk(partial):
        for name in names:
            sync_file(Path(folder) / name)
        _sync_directory(Path(folder))
    if not path.exists():
        partial.rename(path)
    else:
        # A directory cannot be renamed over a full one. The old one is moved away first, so that a kill in between
        # leaves both, under names that say which is which.
        old = beside(path, OLD)
        path.rename(old)
        partial.rename(path)
        shutil.rmtree(old)
    _sync_directory(path.parent)


def sync_file(path: Path) -> None:
    """Have a file's content on the disk before this returns."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    # Some file systems (network ones above all) refuse to sync a directory; the rename itself is done all the same.
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def to_json(value: Any) -> bytes:
    """JSON as every file of ours has it: indented, keys in the given order, UTF-8, a newline at the end."""
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def read_json(path: Path, fault: type[UserFault] = UserFault) -> dict[str, Any]:
    """Read a JSON object; raises `fault` with the place if it is missing or is none."""
    value = _json(path, fault)
    if not isinstance(value, dict):
        raise fault("a JSON object was expected", where=path)
    return value


def read_json_list(path: Path, fault: type[UserFault] = UserFault) -> list[Any]:
    """Read a JSON list; raises `fault` with the place if it is missing or is none."""
    value = _json(path, fault)
    if not isinstance(value, list):
        raise fault("a JSON list was expected", where=path)
    return value


def _json(path: Path, fault: type[UserFault]) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise fault("no such file", where=path) from None
    except OSError as error:
        raise fault(f"cannot be read: {error.strerror}", where=path) from None
    except UnicodeDecodeError:
        raise fault("is not UTF-8 text", where=path) from None
    except json.JSONDecodeError as error:
        raise fault(f"this is no JSON: {error.msg}", where=f"{path}:{error.lineno}") from None
    except RecursionError:
        raise fault("this JSON is nested too deeply", where=path) from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with storage_faults(path), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
