"""kill -9 at random instants of a pretraining run: resumed each time, does it end in the weights of one left alone?

    python benchmarks/kill_and_resume.py                          50 kills, one process, fp32
    python benchmarks/kill_and_resume.py --precision bf16 --processes 2
    python benchmarks/kill_and_resume.py --kills 10 --seed 3 --out DIR --json

A small model (L2 H128, dropout, packed rows, a growing batch, two phases, AdamW and Muon, held-out text measured) runs
once undisturbed through the real command line. The same command then runs again, is killed and started again with
--resume until it ends. Instants are drawn from --seed before the run:

- four in ten aim into the writing of a checkpoint: the partial directory is waited for, then a share of the time that
  writing takes;
- one in ten comes while a process starts, one at the end, while the model is written, one before the first checkpoint;
- the others stand anywhere: one in each of so many equal parts of the run, a share of a step after a step.

With two processes, two kills in three end the launcher and both at once, the third one of the two alone. Compared are
the bytes of the model, every tensor of the last training state and every figure in metrics.jsonl but rates and seconds.
--out keeps both runs, what each start said, and kills.jsonl. The text is the documentation of the installed packages;
--shards takes others instead. Needs Linux (/proc). Exit code 1 where something differs.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # Python puts this script's folder first; `benchmarks.lab` is found from the root.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import argparse
import contextlib
import json
import math
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
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from safetensors.torch import load_file

from benchmarks.lab.documentation import documentation_shards
from bertwright.cli.talk import Talk
from bertwright.files import PARTIAL, sha256

RECIPE = """
evaluation_examples = 64

[model]
preset = "bert-tiny"
hidden_dropout_prob = 0.1
attention_probs_dropout_prob = 0.1

[examples]
max_length = 64
packed = true

[training]
steps = {steps}
batch_size = 16
ramp_from = 4
ramp_fraction = 0.2
optimizer = "muon"
learning_rate = 1e-3
warmup_fraction = 0.1
precision = "{precision}"
log_every = 1
evaluate_every = 50
save_every = {save_every}

[[phases]]
share = 0.6
max_length = 64

[[phases]]
share = 0.4
max_length = 128
batch_size = 8
"""
MARK = "BERTWRIGHT_KILL_AND_RESUME"
# What says how fast the machine was, not what was computed.
RATES = ("tokens_per_second", "share_of_peak", "seconds")
POLL_SECONDS, LOOK_SECONDS, PATIENCE_SECONDS = 0.001, 1, 600
_STATE = re.compile(r"step-(\d+)")
_PARTIAL = re.compile(rf"\.step-(\d+){re.escape(PARTIAL)}")

Aim = Literal["anywhere", "writing", "starting", "finishing"]


@dataclass(frozen=True)
class Instant:
    """When to kill and whom. share: of a step, of a start, or of writing, whatever is aimed at; rank: None for all."""

    aim: Aim
    step: float
    share: float
    rank: int | None


@dataclass(frozen=True)
class Pace:
    """What an undisturbed run takes: seconds to its first step, for a step, for a checkpoint, and after the last."""

    start: float
    step: float
    writing: float
    end: float


def draw_instants(kills: int, seed: int, steps: int, save_every: int, processes: int) -> list[Instant]:
    """In the order in which the run comes to them."""
    draw = random.Random(seed)
    starting, writing = round(0.1 * kills), math.ceil(0.4 * kills)
    shares: dict[Aim, int] = {"starting": starting, "writing": writing, "anywhere": kills - starting - writing}
    aims = [aim for aim, count in shares.items() for _ in range(count)]
    draw.shuffle(aims)
    if kills >= 5:
        aims[0], aims[-1] = "anywhere", "finishing"
    parts = len(aims) - aims.count("starting") - aims.count("finishing")
    # A write that came and went unseen is followed by others: two intervals are left for them.
    room, taken = max(1, steps - 2 * save_every), 0
    found: list[Instant] = []
    for number, aim in enumerate(aims):
        step = (taken + draw.random()) * room / parts
        if number == 0 and aim == "anywhere":
            step = draw.random() * min(save_every, room / parts)
        taken += aim in ("anywhere", "writing")
        alone = processes > 1 and draw.random() < 1 / 3
        rank = draw.randrange(processes) if alone else None
        found.append(Instant(aim, steps if aim == "finishing" else step, 0.9 * draw.random(), rank))
    return found


class Life:
    """The processes of one start of the command."""

    def __init__(self, command: list[str], out: Path, talk: Path) -> None:
        self.metrics, self.checkpoints = out / "run/metrics.jsonl", out / "run/checkpoints"
        self._before = self._inode()
        # Children of a launcher have sessions of their own: a process group does not hold them, their environment does.
        self._mark = uuid.uuid4().hex
        with talk.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | {MARK: self._mark})
        self.begun = self._looked = time.monotonic()
        # Processes found the last time that one looked: looking at the moment of a kill would come too late.
        self._members: dict[int, int | None] = {}

    def look(self) -> None:
        """Find out which processes there are, unless that was done a moment ago."""
        if not self._members or time.monotonic() - self._looked > LOOK_SECONDS:
            self._members, self._looked = self.members(), time.monotonic()

    def _inode(self) -> int | None:
        try:
            return self.metrics.stat().st_ino
        except FileNotFoundError:
            return None

    def last_step(self) -> int | None:
        """The last step reported; None before these processes have taken over what those before them reported."""
        # A run that goes on writes the file anew, so that it is another one.
        if self._inode() in (None, self._before):
            return None
        with self.metrics.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().rpartition(b"\n")[0].splitlines()
        return json.loads(lines[-1])["step"] if lines else 0

    def states(self) -> list[int]:
        """Steps of whole checkpoints."""
        return self._numbers(_STATE)

    def partials(self) -> list[int]:
        """Steps of checkpoints that are being written or removed."""
        return self._numbers(_PARTIAL)

    def _numbers(self, pattern: re.Pattern[str]) -> list[int]:
        try:
            names = [entry.name for entry in self.checkpoints.iterdir()]
        except FileNotFoundError:
            return []
        return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)

    def busy(self) -> str | None:
        """Whether a checkpoint is being written, or an old one removed."""
        partials, newest = self.partials(), max(self.states(), default=-1)
        if not partials:
            return None
        return "writing" if partials[-1] > newest else "removing"

    def members(self) -> dict[int, int | None]:
        """Processes alive, and which rank each of them is; None for a launcher and for a process alone."""
        mark, found = f"{MARK}={self._mark}".encode(), {}
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    environment = (folder / "environ").read_bytes().split(b"\0")
                except OSError:  # ended meanwhile, or another user's
                    continue
                if mark in environment:
                    ranks = [int(value[5:]) for value in environment if value.startswith(b"RANK=")]
                    found[int(folder.name)] = ranks[0] if ranks else None
        return found

    def kill(self, rank: int | None) -> bool:
        """Kill one rank, or all processes at once; returns whether there was such a rank."""
        chosen = [pid for pid, their_rank in self._members.items() if their_rank == rank]
        alone = rank is not None and bool(chosen)
        if alone:
            _kill(chosen[0])
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_SECONDS)
        members = {} if alone else self._members
        # After one alone nobody is left to be found here, or else the log tells how long the others did not notice.
        while members or (members := self.members()):
            for pid in members:
                _kill(pid)
            members = {}
            time.sleep(POLL_SECONDS)
        self.process.wait()
        return alone


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_for(life: Life, instant: Instant, pace: Pace) -> bool:
    """Until the instant has come; False where the processes have ended before it."""

    def has_come() -> float | None:
        """Seconds that are left, once they are known."""
        if instant.aim == "starting":
            return instant.share * pace.start
        reached = life.last_step()
        if reached is None or reached < math.floor(instant.step):
            return None
        if instant.aim == "writing":
            return instant.share * pace.writing if life.busy() == "writing" else None
        return instant.share * (pace.end if instant.aim == "finishing" else pace.step)

    while life.process.poll() is None:
        life.look()
        left = has_come()
        if left is not None:
            time.sleep(left)
            return life.process.poll() is None
        if time.monotonic() - life.begun > PATIENCE_SECONDS:
            life.kill(None)
            raise SystemExit(f"kill_and_resume: nothing ended within {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return False


class Bench:
    def __init__(self, arguments: argparse.Namespace, out: Path) -> None:
        self.out, self.processes, self.steps = out, arguments.processes, arguments.steps
        self.recipe = out / "recipe.toml"
        self.talk = out / "talk"
        for old in (self.talk, out / "undisturbed", out / "killed"):
            shutil.rmtree(old, ignore_errors=True)
        self.talk.mkdir(parents=True)
        (out / "kills.jsonl").unlink(missing_ok=True)
        settings = {"steps": self.steps, "precision": arguments.precision, "save_every": arguments.save_every}
        self.recipe.write_text(RECIPE.format(**settings), encoding="utf-8")
        self.data = arguments.shards or documentation_shards(out, Talk())

    def start(self, name: str, talk: str) -> Life:
        out = self.out / name
        # Before run.json there is no run to go on with, and the command line says so.
        resumed = (out / "run/run.json").exists()
        launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={self.processes}", "--standalone"]
        command = [sys.executable, *(launcher if self.processes > 1 else []), "-m", "bertwright", "pretrain"]
        command += [str(self.recipe), "--data", str(self.data), "--out", str(out), *(["--resume"] if resumed else [])]
        return Life(command, out, self.talk / f"{talk}.txt")

    def undisturbed(self) -> Pace:
        life = self.start("undisturbed", "undisturbed")
        first = last = appeared = None
        writes = []
        while life.process.poll() is None:
            now, reached = time.monotonic(), life.last_step()
            if reached and first is None:
                first = now
            if reached == self.steps and last is None:
                last = now
            writing = life.busy() == "writing"
            if writing and appeared is None:
                appeared = now
            elif not writing and appeared is not None:
                writes.append(now - appeared)
                appeared = None
            time.sleep(POLL_SECONDS)
        end = time.monotonic()
        self.check(life, "undisturbed")
        assert first is not None
        assert last is not None
        step = (last - first) / max(1, self.steps - 1)
        # What comes too late misses, so the shorter writes count, and half of the end: machines differ by the minute.
        short = statistics.quantiles(writes, n=4)[0] if len(writes) > 1 else 0.01
        return Pace(first - life.begun, step, short, (end - last) / 2)

    def killed(self, instants: list[Instant], pace: Pace) -> list[dict[str, Any]]:
        """Kill at each instant in turn, then let the run end; returns the log."""
        log: list[dict[str, Any]] = []
        for number, instant in enumerate(instants, start=1):
            life = self.start("killed", f"{number:03d}")
            if not wait_for(life, instant, pace):
                self.check(life, f"{number:03d}")
                say(f"the run ended before kill {number} of {len(instants)}")
                return log
            reached, busy = life.last_step(), life.busy()
            begun = time.monotonic()
            one = life.kill(instant.rank)
            left = time.monotonic() - begun
            if not one or instant.rank == 0:
                busy = life.busy()  # who writes is gone, so what lies there now is what the kill cut off
            newest = max(life.states(), default=None)
            log.append({
                "kill": number,
                **asdict(instant),
                "killed": f"rank {instant.rank}" if one else "all",
                "reached": reached,
                "hit": self.hit(reached),
                "checkpoint_under_way": busy,
                "goes_on_from": newest,
                "steps_again": max(0, (reached or 0) - (newest or 0)),
                "had_run_json": (self.out / "killed/run/run.json").exists(),
                "seconds": round(begun - life.begun, 2),
                "seconds_to_leave": round(left, 2),
            })  # fmt: skip
            with (self.out / "kills.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(log[-1]) + "\n")
            where = "starting" if reached is None else f"step {reached}"
            say(f"kill {number} of {len(instants)}: {log[-1]['killed']}, {where}, {busy or 'no'} checkpoint under way")
        life = self.start("killed", "last")
        life.process.wait()
        self.check(life, "last")
        return log

    def hit(self, reached: int | None) -> str:
        if reached is None:
            return "starting"
        return "finishing" if reached == self.steps else "training"

    def check(self, life: Life, talk: str) -> None:
        if life.process.returncode:
            said = (self.talk / f"{talk}.txt").read_text(encoding="utf-8").splitlines()[-1:]
            raise SystemExit(f"kill_and_resume: a run ended by itself with {life.process.returncode}: {said}")


def differences(one: Path, other: Path) -> list[str]:
    """What differs between two finished runs, to the last bit; nothing where all is the same."""
    found = []
    if sha256(one / "model.safetensors") != sha256(other / "model.safetensors"):
        found.append("model.safetensors")
    states = [max((path / "run/checkpoints").glob("step-*")) for path in (one, other)]
    if states[0].name != states[1].name:
        return [*found, f"the last checkpoint: {states[0].name}, {states[1].name}"]
    for file in ("model.safetensors", "optimizer.safetensors"):
        mine, theirs = (load_file(state / file) for state in states)
        found += [f"{file}: {name}" for name in sorted(mine.keys() ^ theirs.keys())]
        for name in sorted(mine.keys() & theirs.keys()):
            # As bytes: equal numbers may have different bits (0 and -0), and NaN is not even itself.
            if mine[name].shape != theirs[name].shape or mine[name].numpy().tobytes() != theirs[name].numpy().tobytes():
                found.append(f"{file}: {name}")
    values = [json.loads((state / "state.json").read_text(encoding="utf-8"))["values"] for state in states]
    found += [f"state.json: {key}" for key in differing(*values)]
    rows, others = figures(one), figures(other)
    if len(rows) != len(others):
        found.append(f"metrics.jsonl: {len(rows)} rows, {len(others)}")
    for row, same in zip(rows, others, strict=False):
        found += [f"metrics.jsonl, step {row['step']}: {key}" for key in differing(row, same)]
    return found


def figures(out: Path) -> list[dict[str, Any]]:
    lines = (out / "run/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if "event" not in row]


def differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [key for key in sorted(one.keys() | other.keys()) if key not in RATES and one.get(key) != other.get(key)]


def say(line: str) -> None:
    print(line, file=sys.stderr)


def show(log: list[dict[str, Any]], steps: int) -> None:
    whom = Counter(kill["killed"] for kill in log)
    print(f"{len(log)} kills ({', '.join(f'{who} {number}' for who, number in sorted(whom.items()))})")
    hits = Counter(kill["hit"] for kill in log)
    print(
        f"  {hits['starting']} while starting, {hits['training']} in training, {hits['finishing']} after the last step"
    )
    tenths = Counter(min(9, 10 * kill["reached"] // steps) for kill in log if kill["reached"] is not None)
    bounds = [f"{part * steps // 10}-{(part + 1) * steps // 10}: {tenths[part]}" for part in range(10)]
    print(f"  by steps reached: {', '.join(bounds)}")
    under_way = Counter(kill["checkpoint_under_way"] for kill in log)
    aimed = sum(kill["aim"] == "writing" for kill in log)
    print(f"  {under_way['writing']} while a checkpoint was being written ({aimed} aimed there)", end="")
    print(f", {under_way['removing']} while one was removed")
    nothing = sum(kill["goes_on_from"] is None for kill in log)
    unwritten = sum(not kill["had_run_json"] for kill in log)
    print(f"  {nothing} before the first checkpoint was whole, {unwritten} of them before run.json")
    alone = [kill["seconds_to_leave"] for kill in log if kill["killed"] != "all"]
    if alone:
        print(f"  where one of the processes was killed, the others left within {max(alone):.1f} s")
    print(f"steps done again: {sum(kill['steps_again'] for kill in log):,} of {steps:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--processes", type=int, choices=[1, 2], default=1)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--save-every", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="draws the instants (0)")
    parser.add_argument("--shards", type=Path, help="shards to train on, instead of those made here")
    parser.add_argument("--out", type=Path, help="folder that keeps everything (default: one that is removed)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not Path("/proc/self/environ").exists():
        parser.error("needs /proc, which Linux has")
    with tempfile.TemporaryDirectory() as folder:
        measure(arguments, arguments.out or Path(folder))


def measure(arguments: argparse.Namespace, out: Path) -> None:
    bench = Bench(arguments, out.resolve())
    pace = bench.undisturbed()
    say(
        f"undisturbed: starts in {pace.start:.1f} s, a step takes {pace.step * 1e3:.0f} ms, "
        f"a checkpoint is written in {pace.writing * 1e3:.0f} ms"
    )
    instants = draw_instants(
        arguments.kills, arguments.seed, arguments.steps, arguments.save_every, arguments.processes
    )
    log = bench.killed(instants, pace)
    one, other = bench.out / "undisturbed", bench.out / "killed"
    found = differences(one, other)
    hashes = [sha256(path / "model.safetensors") for path in (one, other)]
    machine = f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}"
    name = f"{arguments.precision}, {arguments.processes} process{'es' if arguments.processes > 1 else ''}"
    if arguments.json:
        row = {
            "name": f"kill -9 and resume, {name}",
            "peer": None,
            "ours": len(log),
            "unit": "kills",
            "ratio": None,
            "identical": not found,
            "asked": arguments.kills,
            "while_writing": sum(kill["checkpoint_under_way"] == "writing" for kill in log),
            "before_first_checkpoint": sum(kill["goes_on_from"] is None for kill in log),
            "steps_again": sum(kill["steps_again"] for kill in log),
            "sha256": hashes,
            "differences": found,
        }
        print(json.dumps({"machine": machine, "rows": [row]}, indent=2))
    else:
        print(f"{machine}; {name}, {arguments.steps:,} steps, a checkpoint every {arguments.save_every}")
        show(log, arguments.steps)
        print(f"weights, undisturbed: {hashes[0]}")
        print(f"weights, killed:      {hashes[1]}")
        print(f"identical: {'no' if found else 'yes'}")
        for difference in found[:20]:
            print(f"  differs: {difference}")
    if found or len(log) < arguments.kills:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
