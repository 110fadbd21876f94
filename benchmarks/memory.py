"""Does the memory of a pretraining run stay flat? Resident memory over 10,000 steps, measured from outside.

    python benchmarks/memory.py
    python benchmarks/memory.py --steps 2000 --out DIR

A small model (L2 H128, dropout, packed rows) trains through the real command line, with held-out text measured and a
checkpoint written every 250 steps; the corpus goes round several times. At every report (every 25 steps) /proc says
what the process holds: its resident memory, and the part of it that is its own (the rest is files mapped into memory,
shards and libraries, which the system takes back when it likes). Told are both at some steps, each the median of the
eleven samples around it, and the slope of a straight line through the last 80% of the steps, by least squares. --out
keeps the run, samples.csv and memory.png (extra `report`). The text is the documentation of the installed packages;
--shards takes others instead. Needs Linux (/proc).
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this script's folder first; `benchmarks.lab` is found from the root.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import csv
import json
import os
import platform
import shutil
import subprocess
import time
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from benchmarks.lab.documentation import documentation_shards
from bertwright.cli.talk import Talk

SETTINGS = {
    "model.preset": "bert-tiny",
    "model.hidden_dropout_prob": 0.1,
    "model.attention_probs_dropout_prob": 0.1,
    "examples.max_length": 64,
    "training.batch_size": 16,
    "training.log_every": 25,
    "training.evaluate_every": 250,
    "training.save_every": 250,
    "evaluation_examples": 64,
}
POLL_SECONDS = 0.01
# Steps at which the memory is told, as shares of all steps.
TOLD = (0.05, 0.25, 0.5, 1.0)
# A slope is taken after so much of the run: buffers have found their size by then.
SETTLED = 0.2
AROUND = 5
KINDS = {"VmRSS": "resident", "RssAnon": "its own"}


def follow(process: subprocess.Popen[bytes], metrics: Path) -> NDArray[np.int64]:
    """Step, resident and own bytes at each report until the process ends: (reports, 3)."""
    samples: list[tuple[int, ...]] = []
    step = 0
    while process.poll() is None:
        reported = last_step(metrics)
        if reported > step:
            step = reported
            held = memory(process.pid)
            if held is not None:
                samples.append((step, *held))
        time.sleep(POLL_SECONDS)
    return np.array(samples, dtype=np.int64).reshape(-1, 1 + len(KINDS))


def last_step(metrics: Path) -> int:
    if not metrics.exists():
        return 0
    with metrics.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - 8192))
        lines = file.read().rpartition(b"\n")[0].splitlines()
    return int(json.loads(lines[-1])["step"]) if lines else 0


def memory(pid: int) -> tuple[int, ...] | None:
    """Bytes, in the order of KINDS; None where the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in status.splitlines())
    if not fields.keys() >= KINDS.keys():
        return None
    return tuple(1024 * int(fields[kind].split()[0]) for kind in KINDS)


def slope(steps: NDArray[np.int64], held: NDArray[np.int64], last: int) -> float:
    """Bytes a step, over the settled part."""
    settled = steps >= SETTLED * last
    return float(np.polyfit(steps[settled], held[settled], 1)[0])


def around(steps: NDArray[np.int64], held: NDArray[np.int64], step: float) -> int:
    nearest = int(np.abs(steps - step).argmin())
    return int(np.median(held[max(0, nearest - AROUND) : nearest + AROUND + 1]))


def draw(samples: NDArray[np.int64], last: int, path: Path) -> None:
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for column, name in enumerate(KINDS.values(), start=1):
        axis.plot(samples[:, 0], samples[:, column] / 1e6, linewidth=1.2, label=name)
    axis.axvspan(SETTLED * last, last, color="0.5", alpha=0.1, label="where the slope is taken")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("step")
    axis.set_ylabel("memory (MB)")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--shards", type=Path, help="shards to train on, instead of those made here")
    parser.add_argument("--out", type=Path, default=Path("runs/memory"), help="folder that keeps everything")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not Path("/proc/self/status").exists():
        parser.error("needs /proc, which Linux has")
    out = arguments.out.resolve()
    data = arguments.shards or documentation_shards(out, Talk())
    run = out / "model"
    shutil.rmtree(run, ignore_errors=True)
    command = [sys.executable, "-m", "bertwright", "pretrain", "quickstart", "--data", str(data), "--out", str(run)]
    for name, value in (SETTINGS | {"training.steps": arguments.steps}).items():
        command += ["--set", f"{name}={value}"]
    begun = time.monotonic()
    process = subprocess.Popen(command, stdout=sys.stderr)
    samples = follow(process, run / "run/metrics.jsonl")
    if process.returncode:
        raise SystemExit(f"memory: the run ended with {process.returncode}")
    seconds = time.monotonic() - begun

    with (out / "samples.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["step", *(f"{name} bytes" for name in KINDS.values())])
        table.writerows(samples.tolist())
    draw(samples, arguments.steps, out / "memory.png")
    report(samples, arguments.steps, seconds, out / "memory.png", as_json=arguments.json)


def report(samples: NDArray[np.int64], last: int, seconds: float, picture: Path, *, as_json: bool) -> None:
    steps = samples[:, 0]
    rows: list[dict[str, Any]] = []
    for column, name in enumerate(KINDS.values(), start=1):
        held = samples[:, column]
        rows.append({
            "name": f"memory of a pretraining run over {last:,} steps, {name}",
            "peer": None,
            "ours": round(slope(steps, held, last), 1),
            "unit": "bytes/step",
            "ratio": None,
            "bytes_after": {str(round(share * last)): around(steps, held, share * last) for share in TOLD},
            "highest_settled": int(held[steps >= SETTLED * last].max()),
            "lowest_settled": int(held[steps >= SETTLED * last].min()),
        })  # fmt: skip
    machine = f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}"
    if as_json:
        print(json.dumps({"machine": machine, "rows": rows, "seconds": round(seconds, 1)}, indent=2))
        return
    print(f"{machine}; {last:,} steps in {seconds:,.0f} s, {len(samples):,} samples")
    print(f"{'MB after step':<14}" + "".join(f"{round(share * last):>10,}" for share in TOLD) + f"{'slope':>22}")
    for row, name in zip(rows, KINDS.values(), strict=True):
        told = "".join(f"{held / 1e6:>10.1f}" for held in row["bytes_after"].values())
        print(f"{name:<14}{told}{row['ours']:>15,.1f} bytes/step")
    print(f"picture: {picture}")


if __name__ == "__main__":
    main()
