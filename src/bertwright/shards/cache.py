"""A bounded folder of files fetched from elsewhere, which all processes of a machine share.

    CACHE/<sha256>.npy                              a whole file, named by its checksum
    CACHE/.<sha256>.npy.bertwright-partial          one that is being fetched, as long as it will be

What holds, and by which lock (flock, which the kernel drops with the process, however that ends):

- What is mapped is never removed. Who opens a file locks it shared, and the mapping keeps that lock: it lives on a copy
  of the descriptor. Who removes a file locks it alone first. So no bytes lie on the disk under a name that is gone.
- A file is fetched once. Who fetches it locks the partial one alone; the others wait for that lock. A partial one that
  nobody has locked was left by a kill, and goes when room is next made.
- The limit holds at any instant. Room is counted, made and taken under a lock on the folder, a partial file takes its
  whole length at once, and no more is written than that. Who adds up the folder must hold that lock too: a look that
  takes a while may count a file and, once that has left, the one that came into its room.
- Nothing damaged is used. A checksum is computed while a file is fetched, and again whenever it is opened; therefore
  nothing needs to be synced to the disk either. One found damaged loses its name at once, even where somebody maps it:
  its bytes go with the last of those mappings, and until then nobody counts them.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import time
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from bertwright.errors import SettingsError, ShardError, StorageError
from bertwright.files import PARTIAL, beside, storage_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

DEFAULT_LIMIT = 50 * 10**9
# Seconds to wait until others let go of what they use, when the limit is reached.
_PATIENCE = 60.0
# Whatever else lies in the folder is not ours to count or to remove.
_NAME = re.compile(r"\.?[0-9a-f]{64}\.npy(\.bertwright-partial)?")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?", re.IGNORECASE)
_UNITS = ("", "k", "m", "g", "t")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A `.npy` file to have: its checksum, its length in bytes, where it comes from, and its content.

    `blocks(patient)` gives the content in order; it tries again, for a while, only where `patient`.
    """

    sha256: str
    size: int
    place: str
    blocks: Callable[[bool], Iterator[bytes]]


class ShardCache:
    """At most `limit` bytes of files in `directory`; those used longest ago make way for new ones."""

    def __init__(
        self, directory: Path | None = None, limit: int = DEFAULT_LIMIT, say: Callable[[str], None] | None = None
    ) -> None:
        """`say` is told what an earlier process left damaged."""
        self.directory = directory or default_directory()
        self.limit = limit
        self._say = say or (lambda _: None)

    def open(self, wanted: Wanted) -> NDArray[Any]:
        """The array in a file, mapped, fetched if it is not there; it cannot be evicted while the array lives.

        Raises ShardError where the store holds something else, and StorageError where there is no room.
        """
        path = self._path(wanted)
        damaged = False
        with storage_faults(self.directory):
            while True:
                file = _locked(path)
                if file is None:
                    self._fetch(wanted, patient=True)
                    continue
                with file:
                    if hashlib.file_digest(file, "sha256").hexdigest() == wanted.sha256:
                        with contextlib.suppress(PermissionError):  # another user's file
                            os.utime(file.fileno())  # the one used last
                        return _mapped(file, wanted.place)
                    with self._alone():  # else it might be the one that another reader has just fetched anew
                        if _stands_at(file, path):
                            path.unlink()
                if damaged:
                    raise StorageError(f"{path}: reads otherwise than it was written; the disk seems to fail")
                damaged = True
                self._say(f"{path}: damaged since it was fetched; fetched again")

    def fetch_ahead(self, wanted: Wanted) -> bool:
        """Fetch a file if it is not there and there is room; returns whether it is worth going on with others."""
        if self._path(wanted).exists():
            return True
        with storage_faults(self.directory):
            return self._fetch(wanted, patient=False)

    def _path(self, wanted: Wanted) -> Path:
        return self.directory / f"{wanted.sha256}.npy"

    def _fetch(self, wanted: Wanted, *, patient: bool) -> bool:
        """Fetch a file, or wait while another process or thread does; false where there is no room at once."""
        path = self._path(wanted)
        partial = beside(path, PARTIAL)
        self.directory.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _stands_at(file, partial):  # it became whole, or was given up, while this one waited
                return True
            try:
                if path.exists():
                    return True
                file.truncate(0)
                if not self._reserve(file, wanted, patient=patient):
                    return False
                digest = hashlib.sha256()
                for block in wanted.blocks(patient):
                    digest.update(block)
                    if file.tell() + len(block) > wanted.size:
                        break  # more than the room that was taken, so the checksum is another one
                    file.write(block)
                if digest.hexdigest() != wanted.sha256:
                    cure = "it was changed or damaged; upload the shards again"
                    raise ShardError("the checksum differs from the manifest's", where=wanted.place, cure=cure)
                file.flush()
                with self._alone():  # whoever counts meanwhile would see it under neither name
                    partial.rename(path)
            finally:
                # The lock is still held, so what bears this name is ours; after the rename nothing does.
                if _stands_at(file, partial):
                    partial.unlink()
        return True

    def _reserve(self, file: IO[bytes], wanted: Wanted, *, patient: bool) -> bool:
        """Take the room for a file, waiting for it where `patient`."""
        until = time.monotonic() + (_PATIENCE if patient and wanted.size <= self.limit else 0)
        while not self._take_room(file, wanted.size):
            if not patient:
                return False
            if time.monotonic() >= until:
                raise StorageError(
                    f"{self.directory}: {told_size(wanted.size)} more do not fit in the {told_size(self.limit)} of the "
                    "cache, because what lies there is in use; give a larger --cache-size, or another --cache-dir"
                )
            time.sleep(0.05)
        return True

    def _take_room(self, file: IO[bytes], size: int) -> bool:
        """Make `file` `size` bytes long if the limit allows it, at the cost of files that nobody uses."""
        with self._alone():
            whole: list[tuple[int, int, Path]] = []
            total = 0
            for entry in os.scandir(self.directory):
                if not _NAME.fullmatch(entry.name):
                    continue
                with contextlib.suppress(FileNotFoundError):
                    state = entry.stat()
                    path = Path(entry.path)
                    if entry.name.endswith(PARTIAL):
                        abandoned = _locked(path, alone=True)
                        if abandoned is not None:
                            with abandoned:
                                path.unlink()
                            continue
                    else:
                        whole.append((state.st_mtime_ns, state.st_size, path))
                    total += state.st_size
            with contextlib.ExitStack() as locks:
                leaving: list[Path] = []
                # None leaves unless enough of them can.
                for _, length, path in sorted(whole):
                    if total + size <= self.limit:
                        break
                    candidate = _locked(path, alone=True)
                    if candidate is not None:
                        locks.enter_context(candidate)
                        leaving.append(path)
                        total -= length
                if total + size > self.limit:
                    return False
                for path in leaving:
                    path.unlink()
            file.truncate(size)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        descriptor = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def default_directory() -> Path:
    """Where caches lie by the XDG rules: `bertwright/shards` in $XDG_CACHE_HOME, or else in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bertwright" / "shards"


def size_of(text: str, where: str) -> int:
    """Bytes, of a size such as `50GB`, `1.5 TB` or `512MiB`. Raises SettingsError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None or (found[3] and not found[2]):
        raise SettingsError(f"`{text}` is no size", where=where, cure="give one such as 500MB, 50GB or 64GiB")
    base = 1024 if found[3] else 1000
    return int(float(found[1]) * base ** _UNITS.index(found[2].lower()))


def told_size(size: int) -> str:
    """A size for people, as in `50 GB`; rounded up, so that what is told is enough."""
    for exponent, unit in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**exponent:
            return f"{-(-size * 10 // 10**exponent) / 10:g} {unit}"
    return f"{size} bytes"


def _locked(path: Path, *, alone: bool = False) -> BufferedReader | None:
    """The file, locked; None where there is none, or, with `alone`, where somebody uses it."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except BlockingIOError:
        file.close()
        return None
    if _stands_at(file, path):  # not evicted between the two
        return file
    file.close()
    return None


def _stands_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _mapped(file: IO[bytes], place: str) -> NDArray[Any]:
    """The array in an open `.npy` file; the mapping holds the file's lock."""
    file.seek(0)
    try:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if not np.issubdtype(dtype, np.integer):  # mapped Python objects would be pointers into nowhere
            raise ShardError(f"holds {dtype} and no integers", where=place)
        # By the open file and not by its name, as numpy's own reader wants it. A plain array: what numpy makes of a
        # mapping is slow to index.
        return np.asarray(np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape))
    except ValueError as error:
        raise ShardError(f"is no array that can be mapped: {error}", where=place) from None
