"""Where the files of a checkpoint lie: in a folder, or in a .zip as they were released."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from bertwright.checkpoints.weights import holds_weights
from bertwright.errors import ModelError
from bertwright.files import storage_faults

INDEX = ".index"
_CONFIG = "bert_config.json"
# What TensorFlow writes beside checkpoints to say which one is the last.
_STATE = "checkpoint"
# RuntimeError: a .zip of a version or a compression that Python does not know, or a file in it that wants a password.
UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError)
# Far more than the index, the vocabulary or the configuration of any model has.
_MOST = 1 << 26


class Files(Protocol):
    """The files of one folder."""

    def names(self) -> list[str]:
        """Their names, sorted."""

    def size(self, name: str) -> int:
        """Bytes of one."""

    def open(self, name: str) -> IO[bytes]:
        """One to be read from; seeking backward may be slow."""

    def told(self, name: str) -> str:
        """Where one lies, as a reader is told."""


@dataclass(frozen=True)
class Folder:
    """The files of a folder."""

    path: Path

    def names(self) -> list[str]:
        """Their names, sorted."""
        with storage_faults(self.path):
            return sorted(entry.name for entry in self.path.iterdir() if entry.is_file())

    def size(self, name: str) -> int:
        """Bytes of one."""
        return (self.path / name).stat().st_size

    def open(self, name: str) -> IO[bytes]:
        """One to be read from."""
        return (self.path / name).open("rb")

    def told(self, name: str) -> str:
        """Where one lies, as a reader is told."""
        return str(self.path / name)


@dataclass(frozen=True)
class Archive:
    """The files of one folder within a .zip, which is not unpacked."""

    path: Path
    zip: zipfile.ZipFile
    folder: str

    def names(self) -> list[str]:
        """Their names, sorted."""
        inside = (name.removeprefix(self.folder) for name in self.zip.namelist() if name.startswith(self.folder))
        return sorted(name for name in inside if name and "/" not in name and name.isprintable())

    def size(self, name: str) -> int:
        """Bytes of one, as the .zip tells."""
        return self.zip.getinfo(self.folder + name).file_size

    def open(self, name: str) -> IO[bytes]:
        """One to be read from; seeking backward begins anew."""
        return self.zip.open(self.folder + name)

    def told(self, name: str) -> str:
        """Where one lies, as a reader is told."""
        return f"{self.path}: {self.folder}{name}"


@contextmanager
def opened(source: Path) -> Iterator[tuple[Files, str]]:
    """The files of a checkpoint, and its prefix: what the names of its index and data begin with.

    `source` is a folder, a .zip, the prefix itself (`uncased_L-12_H-768_A-12/bert_model.ckpt`), or the index. Of
    several checkpoints in a folder it is the one that the file `checkpoint` names. Raises ModelError.
    """
    with ExitStack() as stack:
        if source.is_dir():
            files: Files = Folder(source)
            yield files, _only(files, source)
        elif source.is_file() and source.suffix == ".zip":
            files = stack.enter_context(_archive(source))
            yield files, _only(files, source)
        else:
            prefix = source.name.removesuffix(INDEX)
            if not source.with_name(prefix + INDEX).is_file():
                cure = "name a folder, a .zip, or what comes before .index"
                raise ModelError("no such checkpoint", where=source, cure=cure)
            yield Folder(source.parent), prefix


def is_checkpoint(source: Path) -> bool:
    """Whether a path is a folder, a .zip, a prefix or an index of TensorFlow's, and no model directory."""
    if source.is_dir():
        return any(source.glob(f"*{INDEX}")) and not holds_weights(source)
    if source.suffix == ".zip":
        return source.is_file()
    return source.with_name(source.name.removesuffix(INDEX) + INDEX).is_file()


def read_small(files: Files, name: str) -> bytes:
    """All of a file that is never large. Raises ModelError."""
    where = files.told(name)
    try:
        with files.open(name) as file:
            content = file.read(_MOST + 1)
    except UNREADABLE as error:
        raise ModelError(f"cannot be read: {' '.join(str(error).split())}", where=where) from None
    if len(content) > _MOST:
        raise ModelError(f"has more than {_MOST >> 20} MB, which no model's has", where=where)
    return content


def config_name(files: Files) -> str:
    """The name of the file that tells the shape: bert_config.json, or another if it is the only one."""
    names = files.names()
    others = [name for name in names if "config" in name and name.endswith(".json")]
    if _CONFIG in names or len(others) != 1:
        return _CONFIG
    return others[0]


def _only(files: Files, source: Path) -> str:
    found = [name.removesuffix(INDEX) for name in files.names() if name.endswith(INDEX)]
    if not found:
        raise ModelError("holds no checkpoint of TensorFlow: a name that ends in .index is expected", where=source)
    if len(found) > 1 and _STATE in files.names():
        first = read_small(files, _STATE).decode("utf-8", "replace").partition("\n")[0]
        # model_checkpoint_path: "model.ckpt-1000", which may be a whole path
        newest = first.partition('"')[2].rpartition('"')[0].rpartition("/")[2]
        found = [newest] if newest in found else found
    if len(found) > 1:
        what = f"holds several checkpoints: {', '.join(found)}"
        raise ModelError(what, where=source, cure=f"name one, as in {source / found[-1]}")
    return found[0]


@contextmanager
def _archive(source: Path) -> Iterator[Archive]:
    try:
        packed = zipfile.ZipFile(source)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"is no whole .zip: {reason}", where=source, cure="copy it again") from None
    with packed:
        names = [name for name in packed.namelist() if name.isprintable()]
        folders = {name.rpartition("/")[0] for name in names if name.endswith(INDEX)}
        # What macOS packs beside each file.
        folders = {folder for folder in folders if not folder.startswith("__MACOSX")}
        if len(folders) > 1:
            what = f"holds checkpoints in several folders: {', '.join(sorted(folders))}"
            raise ModelError(what, where=source, cure="unpack it, and name one")
        folder = next(iter(folders), "")
        yield Archive(source, packed, f"{folder}/" if folder else "")
