"""One experiment: its folder, its arguments, and its results, which are kept run by run."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from bertwright.cli.talk import Talk
from bertwright.errors import BertwrightError
from bertwright.files import read_json, to_json, write_atomic
from bertwright.memory import keep_big_blocks
from bertwright.metrics.intervals import Interval, interval, paired
from bertwright.progress import Progress, Silent

Json = dict[str, Any]
# What a script that has more to do ends with.
MORE_TO_DO = 3


class OutOfTime(Exception):  # no error: what is left is done by the same command, given again
    """The minutes are over, and a run that was to begin has not begun."""


class Bench:
    """The results of one experiment in `out`, and the folder of corpora and models that all experiments share.

    OUT/NAME.json holds the results, OUT/NAME.png the picture; OUT/corpus, OUT/rows and OUT/models are shared.
    """

    def __init__(self, name: str, arguments: argparse.Namespace) -> None:
        """`arguments` as `parser` below reads them; `quick` stands for made text and a model of one small layer."""
        self.name = name
        self.quick: bool = arguments.quick
        self.data: Path | None = arguments.data
        self.out: Path = arguments.out.resolve()
        self.seeds: int = min(2, arguments.seeds) if self.quick else arguments.seeds
        self.pretrainings: int = arguments.pretrainings
        self.steps: int = 6 if self.quick else arguments.steps
        self.progress: Progress = Silent() if self.quick else Talk()
        self._ends = time.monotonic() + 60 * arguments.minutes
        self._got_somewhere = False
        self.path = self.out / f"{name}.json"
        self.picture = self.path.with_suffix(".png")
        self.out.mkdir(parents=True, exist_ok=True)
        self._runs: dict[str, Json] = read_json(self.path)["runs"] if self.path.exists() else {}

    @contextmanager
    def unit(self) -> Iterator[None]:
        """A piece of work that is kept when it ends well. Units may lie within one another.

        Raises OutOfTime where --minutes are over, but never before a first unit has been finished, so that every
        sitting gets somewhere.
        """
        if self._got_somewhere and time.monotonic() > self._ends:
            raise OutOfTime
        yield
        self._got_somewhere = True

    def once(self, key: str, settings: Json, make: Callable[[], Json]) -> Json:
        """What `make` finds, or found in an earlier sitting with the same settings."""
        settings = json.loads(json.dumps(settings | {"quick": self.quick}))
        known = self._runs.get(key)
        if known is None or known["settings"] != settings:
            with self.unit():
                begun = time.perf_counter()
                found = json.loads(json.dumps(make()))
                seconds = round(time.perf_counter() - begun, 1)
                self._runs[key] = {"settings": settings, "found": found, "seconds": seconds}
                self._write({})
            self.progress.say(f"{self.name}: {key}, {seconds:.0f} s: {_short(found)}")
        result: Json = self._runs[key]["found"]
        return result

    def finish(self, table: Sequence[Json], **more: object) -> None:
        """Keep the table of the results, which `show` prints, and what else is told of them."""
        self._write({"table": table, **more})

    def _write(self, more: Json) -> None:
        about = {
            "experiment": self.name,
            "date": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}",
        }
        write_atomic(self.path, to_json(about | more | {"runs": self._runs}))


def parser(story: str | None) -> argparse.ArgumentParser:
    """The arguments of every experiment; `story` is the script's docstring."""
    found = argparse.ArgumentParser(description=story, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--data", type=Path, help="folder with the corpora and task files")
    found.add_argument("--out", type=Path, required=True, help="folder for all experiments")
    found.add_argument("--seeds", type=int, default=3, help="fine-tunings of everything")
    found.add_argument(
        "--pretrainings", type=int, default=1, help="pretrainings of every kind, which the seeds take in turn"
    )
    found.add_argument("--steps", type=int, default=2000, help="steps of each pretraining, 2,048 tokens each")
    found.add_argument("--minutes", type=float, default=float("inf"), help="begin no further run after so many")
    found.add_argument("--quick", action="store_true", help="made text and a model of one layer: does it run at all")
    return found


def go(name: str, arguments: argparse.Namespace, experiment: Callable[[Bench], None]) -> None:
    """Run an experiment as a script; ends with 3 where --minutes left something to do."""
    if arguments.data is None and not arguments.quick:
        raise SystemExit(f"{name}: --data is needed, the folder with the corpora and task files (or --quick)")
    keep_big_blocks()
    if arguments.quick:
        torch.set_num_threads(1)
    try:
        experiment(Bench(name, arguments))
    except OutOfTime:
        print(f"{name}: there is more to do; the same command goes on", file=sys.stderr)
        raise SystemExit(MORE_TO_DO) from None
    except BertwrightError as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None


def show(table: Sequence[Json]) -> None:
    """Print rows of the same columns, each as wide as it must be; an interval as its mean and bounds."""
    if not table:
        return
    lines = [list(table[0]), *([_cell(value) for value in row.values()] for row in table)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def share(values: Iterable[float]) -> Json:
    """Mean and 95% interval over seeds of values between 0 and 1, in hundredths, as tables and results hold them."""
    values = list(values)
    found: Interval = interval([100 * value for value in values])
    return _rounded(found, 1)


def level(values: Iterable[float], digits: int = 3) -> Json:
    """The same of values as they are, such as losses."""
    return _rounded(interval(list(values)), digits)


def gain(values: Sequence[float], others: Sequence[float]) -> Json:
    """By how much values between 0 and 1 are above others, seed by seed, in hundredths."""
    return _rounded(paired([100 * value for value in values], [100 * other for other in others]), 1)


def _rounded(found: Interval, digits: int) -> Json:
    return {
        "mean": round(found.mean, digits),
        "low": round(found.low, digits),
        "high": round(found.high, digits),
        "seeds": found.count,
    }


def _cell(value: object) -> str:
    if isinstance(value, dict):
        if value["seeds"] == 1:
            return f"{value['mean']:g}"
        return f"{value['mean']:g} ({value['low']:g} to {value['high']:g})"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _short(found: Json) -> str:
    figures = (f"{name} {value:.4g}" for name, value in found.items() if isinstance(value, float))
    return ", ".join(list(figures)[:4])
