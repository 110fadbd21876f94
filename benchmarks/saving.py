"""What checkpoints cost: the time that training loses to them, and how soon a run is saved and gone after SIGTERM.

    python benchmarks/saving.py                                  L4 H256: a checkpoint every 100 steps, every 10, none
    python benchmarks/saving.py --shape base --every 20 --rounds 2
    python benchmarks/saving.py --part sigterm --shape mini base

The same run, through the real command line, with checkpoints and without, in turn, for several rounds. Two figures:
what the run itself says ("checkpoints took x% of the time": how long training stood still for them), and the true
difference of the time of a step, for a checkpoint is written by a thread, which takes processor time from training. A
run's time of a step is the mean over twice the longest interval, from step 20 on; told is the median of the rounds, and
their range, and what a checkpoint costs in seconds, from which the share at other intervals follows.

For SIGTERM a run is told to stop at a random instant of a step, and again while a checkpoint is being written, which
must be finished first. Told are the seconds until the state of the last step is whole, and until the process is gone;
the longest of the rounds. The text is the documentation of the installed packages; --shards takes others instead.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this script's folder first; `benchmarks.lab` is found from the root.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.lab.documentation import documentation_shards
from bertwright.cli.talk import Talk
from bertwright.files import PARTIAL

# Examples in a step: base takes a second or two for as many on two cores.
BATCHES = {"tiny": 32, "mini": 32, "small": 16, "base": 8}
WARMUP, NEVER = 20, 10**9
POLL_SECONDS, PATIENCE_SECONDS = 0.005, 600
# Steps before SIGTERM.
HEARD = 4
_STATED = re.compile(r"checkpoints took ([\d.]+)% of the time")


@dataclass(frozen=True)
class Timed:
    """A run: seconds a step, the share that it says its checkpoints took, and their size on the disk."""

    step: float
    stated: float
    state_bytes: int


class Bench:
    def __init__(self, data: Path, out: Path) -> None:
        self.data, self.out = data, out
        self.run = out / "run-to-time"

    def command(self, shape: str, *, steps: int, every: int, log_every: int) -> list[str]:
        shutil.rmtree(self.run, ignore_errors=True)
        command = [sys.executable, "-m", "bertwright", "pretrain", f"bert-{shape}", "--data", str(self.data)]
        command += ["--out", str(self.run)]
        settings = {"steps": steps, "batch_size": BATCHES[shape], "log_every": log_every, "save_every": every}
        for name, value in (settings | {"evaluate_every": NEVER}).items():
            command += ["--set", f"training.{name}={value}"]
        return [*command, "--set", "evaluation_examples=16"]

    def timed(self, shape: str, every: int, window: int) -> Timed:
        command = self.command(shape, steps=WARMUP + window, every=every, log_every=WARMUP)
        done = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
        stated = _STATED.search(done.stderr)
        if done.returncode or stated is None:
            raise SystemExit(f"saving: the run ended with {done.returncode}: {done.stderr.splitlines()[-1:]}")
        lines = (self.run / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
        # A report comes before the evaluation and the checkpoint of its step: the last ones fall out.
        clock = {row["step"]: row["seconds"] for row in map(json.loads, lines) if "seconds" in row}
        step = (clock[WARMUP + window] - clock[WARMUP]) / window
        state = max((self.run / "run/checkpoints").glob("step-*"))
        return Timed(step, float(stated[1]) / 100, sum(file.stat().st_size for file in state.iterdir()))

    def stopped(self, shape: str, share: float, *, while_saving: bool) -> dict[str, float]:
        """Seconds from SIGTERM until the state is whole and until the process is gone, and those of a step."""
        command = self.command(shape, steps=NEVER // 1000, every=HEARD if while_saving else NEVER, log_every=1)
        checkpoints, metrics = self.run / "run/checkpoints", self.run / "run/metrics.jsonl"
        with tempfile.TemporaryFile("w+", encoding="utf-8") as talk:
            process = subprocess.Popen(command, stdout=talk, stderr=talk)
            begun = time.monotonic()
            while True:
                if process.poll() is not None or time.monotonic() - begun > PATIENCE_SECONDS:
                    process.kill()
                    talk.seek(0)
                    raise SystemExit(f"saving: the run did not get far: {talk.read().splitlines()[-1:]}")
                clock = reports(metrics)
                partial = next(checkpoints.glob(f".step-*{PARTIAL}"), None) if checkpoints.is_dir() else None
                if len(clock) >= HEARD and (partial is not None or not while_saving):
                    break
                time.sleep(POLL_SECONDS)
            step = (clock[-1] - clock[0]) / (len(clock) - 1)
            if not while_saving:
                time.sleep(share * step)
            begun = time.monotonic()
            process.send_signal(signal.SIGTERM)
            seen: dict[Path, float] = {}
            code, now = None, begun
            while code is None:
                # Asked before the states are looked at, so that none is missed.
                code, now = process.poll(), time.monotonic()
                for state in checkpoints.glob("step-*"):
                    seen.setdefault(state, now)
                time.sleep(POLL_SECONDS)
            talk.seek(0)
            told = talk.read().splitlines()[-1:]
        if code != 128 + signal.SIGTERM:
            raise SystemExit(f"saving: after SIGTERM the run ended with {code}: {told}")
        return {"saved": seen[max(seen)] - begun, "gone": now - begun, "step": step}


def reports(metrics: Path) -> list[float]:
    """Seconds of each report so far; one comes with each step."""
    if not metrics.exists():
        return []
    lines = metrics.read_bytes().rpartition(b"\n")[0].splitlines()
    return [row["seconds"] for row in map(json.loads, lines) if "seconds" in row]


def cost(bench: Bench, shape: str, intervals: list[int], rounds: int) -> list[dict[str, Any]]:
    window = 2 * max(intervals)
    found: dict[int, list[Timed]] = {every: [] for every in (NEVER, *intervals)}
    for number in range(rounds):
        for every, timed in found.items():
            timed.append(bench.timed(shape, every, window))
            how = "none" if every == NEVER else f"every {every} steps"
            say(f"{shape}, round {number + 1} of {rounds}, checkpoints {how}: {timed[-1].step * 1e3:.1f} ms a step")
    without = statistics.median(timed.step for timed in found[NEVER])
    rows = []
    for every in intervals:
        steps = [timed.step for timed in found[every]]
        with_them = statistics.median(steps)
        saves = len([step for step in range(WARMUP, WARMUP + window) if step % every == 0])
        rows.append({
            "name": f"{shape}: a checkpoint every {every} steps, beside none",
            "peer": round(1e3 * without, 2),
            "ours": round(1e3 * with_them, 2),
            "unit": "ms/step",
            "ratio": round(without / with_them, 4),
            "lost": round(1 - without / with_them, 4),
            "stated": statistics.median(timed.stated for timed in found[every]),
            "range": [round(1e3 * min(steps), 2), round(1e3 * max(steps), 2)],
            "range_without": [round(1e3 * f(t.step for t in found[NEVER]), 2) for f in (min, max)],
            "seconds_a_checkpoint": round((with_them - without) * window / saves, 3),
            "checkpoint_bytes": found[every][0].state_bytes,
        })  # fmt: skip
    return rows


def leaving(bench: Bench, shape: str, rounds: int) -> list[dict[str, Any]]:
    draw, rows = random.Random(0), []
    for while_saving in (False, True):
        found = []
        for number in range(rounds):
            found.append(bench.stopped(shape, draw.random(), while_saving=while_saving))
            say(f"{shape}, round {number + 1} of {rounds}, SIGTERM: gone after {found[-1]['gone']:.2f} s")
        when = "while a checkpoint is being written" if while_saving else "within a step"
        rows.append({
            "name": f"{shape}: SIGTERM {when}",
            "peer": None,
            "ours": round(max(each["gone"] for each in found), 2),
            "unit": "s",
            "ratio": None,
            "saved": round(max(each["saved"] for each in found), 2),
            "step": round(statistics.median(each["step"] for each in found), 2),
        })  # fmt: skip
    return rows


def say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["cost", "sigterm"], nargs="+", default=["cost", "sigterm"])
    parser.add_argument("--shape", choices=BATCHES, nargs="+", default=["mini"])
    parser.add_argument("--every", type=int, nargs="+", default=[100, 10], help="steps between checkpoints (100 10)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shards", type=Path, help="shards to train on, instead of those made here")
    parser.add_argument("--out", type=Path, help="folder for shards and runs (default: one that is removed)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = (arguments.out or Path(folder)).resolve()
        out.mkdir(parents=True, exist_ok=True)
        bench = Bench(arguments.shards or documentation_shards(out, Talk()), out)
        measures = {
            "cost": lambda shape: cost(bench, shape, arguments.every, arguments.rounds),
            "sigterm": lambda shape: leaving(bench, shape, arguments.rounds),
        }
        rows = {part: [row for shape in arguments.shape for row in measures[part](shape)] for part in arguments.part}
        shutil.rmtree(bench.run, ignore_errors=True)
    machine = f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}"
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": [row for part in rows.values() for row in part]}, indent=2))
        return
    print(machine)
    for row in rows.get("cost", []):
        print(
            f"{row['name']}: {row['ours']} ms a step ({row['range'][0]}-{row['range'][1]}) and {row['peer']} "
            f"({row['range_without'][0]}-{row['range_without'][1]}): {row['lost']:.2%} of the time lost, "
            f"{row['seconds_a_checkpoint']} s for each checkpoint of {row['checkpoint_bytes'] / 1e6:,.0f} MB; "
            f"the run says {row['stated']:.1%}"
        )
    for row in rows.get("sigterm", []):
        print(f"{row['name']}: saved after {row['saved']} s, gone after {row['ours']} s (a step takes {row['step']} s)")


if __name__ == "__main__":
    main()
