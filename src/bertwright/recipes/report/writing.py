"""Runs -> a page on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bertwright.errors import UserFault
from bertwright.files import storage_faults, write_atomic
from bertwright.progress import Progress
from bertwright.recipes.report.page import GENERATOR, page
from bertwright.recipes.report.runs import read_runs

_BEGINNING = 1000


def write_report(paths: Sequence[Path], out: Path, progress: Progress) -> None:
    """Write a page on the runs at `paths` to `out`, in place of an earlier one but of nothing else.

    Raises UserFault or StorageError.
    """
    # Told before the work, not after it.
    with storage_faults(out):
        if out.is_dir():
            raise UserFault("is a directory", where=out, cure="give --out a file")
        if not out.resolve().parent.is_dir():
            raise UserFault("its folder does not exist", where=out)
        if out.exists() and not _is_report(out):
            raise UserFault("exists, and is no report that may be replaced", where=out, cure="choose another --out")
    runs = read_runs(paths, progress)
    write_atomic(out, page(runs).encode("utf-8", "replace"))
    progress.say(f"a page with plots: {out}")


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(_BEGINNING)
