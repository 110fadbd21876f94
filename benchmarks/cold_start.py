"""From the command to its answer, with nothing in memory: bertwright and transformers' pipeline, in turn.

    python benchmarks/cold_start.py --model DIR --classifier DIR       as `make quickstart` leaves them
    python benchmarks/cold_start.py --model DIR --classifier DIR --imports [--json]

Each start is a process of its own: `fill` of a sentence with one [MASK], `predict` of one row. Told are the medians of
the rounds, and with --imports the modules that the fill of ours spends most of its time to import. Files are in the
page cache after the first, untold round.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

_TEXT = "The function returns a new [MASK]."
_PEER = "import sys; from transformers import pipeline; print(pipeline(sys.argv[1], sys.argv[2])(sys.argv[3]))"
_SHOWN = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="pretrained")
    parser.add_argument("--classifier", type=Path, required=True, help="fine-tuned")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--imports", action="store_true", help="what importing costs, module by module")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    ours = [sys.executable, "-m", "bertwright"]
    peer = [sys.executable, "-c", _PEER]
    row = json.dumps({"text": _TEXT})
    contenders = {
        "bertwright fill": ([*ours, "fill", str(arguments.model), _TEXT], ""),
        "transformers fill-mask": ([*peer, "fill-mask", str(arguments.model), _TEXT], ""),
        "bertwright predict": ([*ours, "predict", str(arguments.classifier)], row),
        "transformers text-classification": ([*peer, "text-classification", str(arguments.classifier), _TEXT], ""),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(arguments.rounds + 1):
        for name, (command, given) in contenders.items():
            took = seconds_of(command, given)
            if number:
                seconds[name].append(took)
    machine = f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    imported = imports_of(contenders["bertwright fill"][0]) if arguments.imports else {}
    if arguments.json:
        print(json.dumps({"machine": machine, "seconds": seconds, "imports": imported}, indent=2))
        return
    print(machine)
    for name, found in seconds.items():
        print(f"{name:<34} {statistics.median(found):.2f} s ({min(found):.2f} to {max(found):.2f})")
    for name, took in imported.items():
        print(f"  {took:5.2f} s  {name}")


def seconds_of(command: list[str], given: str) -> float:
    """Of one start, to its end."""
    begun = time.perf_counter()
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    took = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr[-2000:]}")
    return took


def imports_of(command: list[str]) -> dict[str, float]:
    """Seconds of the modules that take longest, each with all that it imports for the first time."""
    done = subprocess.run([command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, check=True)
    found = re.findall(r"import time:\s+\d+ \|\s+(\d+) \| +(\S+)", done.stderr)
    longest = sorted(found, key=lambda each: -int(each[0]))[:_SHOWN]
    return {name: int(microseconds) / 1e6 for microseconds, name in longest}


if __name__ == "__main__":
    main()
