"""Wall time of pretraining until the same held-out masked-word loss: transformers' Trainer and bertwright.

    python benchmarks/time_to_loss.py --data DIR --out DIR --tune
    python benchmarks/time_to_loss.py --data DIR --out DIR --tune --share 0.25 0.15
    python benchmarks/time_to_loss.py --data DIR --out DIR --recipe quickstart --shape tiny --minutes 1

The peer (peers/run_mlm.py) trains for --minutes; its best held-out loss is the target. Then `bertwright pretrain` has a
schedule of a share of that time, and the time at which it first meets the target is told. The peer runs twice, as it
comes and with the allocator setting that bertwright makes for itself. Every run has a process of its own, in turn.

Same for both: corpus, vocabulary, shape, dropout, precision, batch sizes tried, rates tried for equally long, warm-up
and decay, and all numbers of AdamW. Both learn masked words alone. Seconds are those of training: measuring, saving and
start-up are taken out on both sides, and the start-up is told beside. Losses are measured afterwards, all by one
function of the peer's on one file: one half of its rows is as bertwright makes examples, the other as run_mlm.py does.

--out keeps everything: settings, reports of all runs, curves.csv and curves.png, result.json. The same command goes on
with what is there. (One long file: a story in order.)
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from safetensors.torch import load_file, save_file

from bertwright.batches.pretraining import PretrainingBatches
from bertwright.checkpoints.names import to_theirs
from bertwright.errors import BertwrightError
from bertwright.examples.masking import IGNORED
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.files import read_json, to_json
from bertwright.recipes.recipe import load_recipe
from bertwright.shards.read import ShardDirectory, open_shards
from bertwright.shards.write import belongs_to_held_out
from bertwright.text.documents import read_documents
from bertwright.text.duplicates import text_digest
from bertwright.training.precision import choose_dtype

PEER = Path(__file__).with_name("peers") / "run_mlm.py"
NEEDED = ("torch", "numpy", "safetensors", "transformers", "accelerate")
# What bertwright.memory.keep_big_blocks does, in the words of glibc's environment.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1)}
VARIANTS = {"as it comes": False, "with our allocator setting": True}
ATTENTIONS, WORKERS = ("sdpa", "eager"), (0, 1)
OUR_PROBE_STEPS = 40
# Of a run's settings, those that are told when it begins.
TOLD = ("corpus", "steps", "batch", "factor", "rate", "attention", "workers")

Json = dict[str, Any]


def training_clock(reports: Sequence[Json], save_every: int) -> list[tuple[int, float]]:
    """Seconds of training at each report of metrics.jsonl, as (step, seconds).

    `seconds` there counts from the start of the run, saving and measuring included. The speed of a report counts
    training alone, in tokens; tokens a step come from the reports between which nothing else was done.
    """
    steps = [0, *(report["step"] for report in reports)]
    tokens = [
        later["tokens_per_second"] * (later["seconds"] - earlier["seconds"]) / (later["step"] - earlier["step"])
        for earlier, later in itertools.pairwise(reports)
        if earlier["step"] % save_every
    ]
    each = statistics.mean(tokens)
    spent = [
        (step - before) * each / report["tokens_per_second"]
        for (before, step), report in zip(itertools.pairwise(steps), reports, strict=True)
    ]
    return list(zip(steps[1:], itertools.accumulate(spent), strict=True))


def first_reached(curve: Sequence[Json], target: float) -> float | None:
    """Seconds at the first point whose loss is at the target or below it; None where there is none."""
    return next((point["seconds"] for point in curve if point["loss"] <= target), None)


def step_seconds(clock: Sequence[Sequence[float]]) -> float:
    """Seconds a step in the second half, when everything has warmed up."""
    (first, begin), (last, end) = clock[len(clock) // 2 - 1], clock[-1]
    return (end - begin) / (last - first)


def fail(message: str) -> NoReturn:
    print(f"time_to_loss: {message}", file=sys.stderr)
    raise SystemExit(2)


def say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def once(folder: Path, settings: Json, make: Callable[[], Json]) -> Json:
    """What `make` finds, or found earlier with the same settings."""
    if (folder / "result.json").exists() and read_json(folder / "settings.json") == json.loads(json.dumps(settings)):
        say(f"{folder.name}: there already")
        return read_json(folder / "result.json")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "settings.json").write_bytes(to_json(settings))
    say(f"{folder.name}: {', '.join(f'{name} {value}' for name, value in settings.items() if name in TOLD)}")
    result = make()
    (folder / "result.json").write_bytes(to_json(result))
    return result


class Bench:
    """One comparison: its folder, what both sides share, and how either is run."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.out: Path = arguments.out
        self.peer_python: str = arguments.peer_python
        self.rows: int = arguments.held_out_rows
        self.measure_every: float = arguments.measure_every
        self.shares: list[float] = arguments.share
        self.recipe_name: str = arguments.recipe
        self.overrides = ['examples.segments="none"', 'examples.too_long="carry"']
        if arguments.shape:
            self.overrides.append(f'model.preset="bert-{arguments.shape}"')
        self.recipe = load_recipe(self.recipe_name, self.overrides)
        self.versions = self._versions()
        self.corpus = arguments.data / arguments.corpus
        self._held_out: float = arguments.held_out
        self._vocabulary: int = arguments.vocabulary

    def prepare(self) -> None:
        """Vocabulary, shards, the peer's blocks and the held-out rows."""
        settings = {"corpus": str(self.corpus), "size": self._vocabulary, "held_out": self._held_out}
        settings |= {"rows": self.rows, "length": self.recipe.examples.max_length}
        self.prepared = once(self.out / "corpus", settings, self._prepare)
        shards = open_shards(self.out / "corpus" / "shards")
        self.data = settings | {"shards": shards.manifest.identity}
        vocabulary = shards.tokenizer.vocabulary
        self.config = self.recipe.model.config(len(vocabulary), vocabulary.pad_id).model_dump()
        self.bf16 = choose_dtype(self.recipe.training.precision, torch.device("cpu")) == torch.bfloat16

    def _prepare(self) -> Json:
        folder = self.out / "corpus"
        seconds = {}
        for verb, options in (
            ("vocab", ["--size", str(self._vocabulary), "--out", str(folder / "vocab")]),
            (
                "prepare",
                ["--vocab", str(folder / "vocab"), "--held-out", str(self._held_out), "--out", str(folder / "shards")],
            ),
        ):
            start = time.perf_counter()
            command = [sys.executable, "-m", "bertwright", verb, str(self.corpus), *options]
            code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
            if code:
                raise SystemExit(code)
            seconds[verb] = time.perf_counter() - start
        shards = open_shards(folder / "shards")
        documents = self._write_documents(folder, shards)
        length = self.recipe.examples.max_length
        task = {
            "documents": documents,
            "length": length,
            "blocks": str(folder / "blocks.npy"),
            "held_out": str(folder / "held_out_peer.npz"),
            "held_out_rows": self.rows,
        }
        peer = self._peer(folder, "tokenize", task)
        ours = our_held_out_rows(shards, length, self.rows)
        with np.load(folder / "held_out_peer.npz") as theirs:
            kinds = [np.full(len(rows["labels"]), kind, np.int32) for kind, rows in enumerate((ours, theirs))]
            both = {name: np.concatenate([ours[name], theirs[name]]) for name in ours}
        np.savez(folder / "held_out.npz", kind=np.concatenate(kinds), allow_pickle=False, **both)
        return {"seconds": seconds, "peer": peer, "rows": [len(kind) for kind in kinds]}

    def _write_documents(self, folder: Path, shards: ShardDirectory) -> dict[str, str]:
        """The documents of both splits as the peer reads them."""
        paths = {split: folder / f"{split}.jsonl" for split in ("train", "held_out")}
        written = 0
        with paths["train"].open("w", encoding="utf-8") as train, paths["held_out"].open("w", encoding="utf-8") as rest:
            for document in read_documents([str(self.corpus)]):
                aside = belongs_to_held_out(text_digest(document.paragraphs), self._held_out)
                (rest if aside else train).write(json.dumps({"text": "\n\n".join(document.paragraphs)}) + "\n")
                written += 1
        counts = shards.manifest.counts
        assert written == counts["documents"]
        if not counts["held_out_documents"]:
            fail(f"{self.corpus}: none of the documents was held out; raise --held-out")
        return {split: str(path) for split, path in paths.items()}

    def _peer(self, folder: Path, do: str, task: Json, *, malloc: bool = True) -> Json:
        task |= {"do": do, "vocab": str(self.out / "corpus" / "vocab"), "result": str(folder / f"{do}.json")}
        path = folder / f"{do}_task.json"
        path.write_bytes(to_json(task))
        self._logged([self.peer_python, str(PEER), str(path)], folder / f"{do}.log", malloc=malloc)
        return read_json(Path(task["result"]))

    @staticmethod
    def _logged(
        command: list[str], log: Path, *, malloc: bool = False, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """Run a process with its talk in `log`; ends the benchmark with that talk's last line where it fails."""
        environment = os.environ | {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
        environment |= ALLOCATOR if malloc else {}
        with log.open("wb") as file, subprocess.Popen(command, stdout=file, stderr=file, env=environment) as child:
            try:
                while child.poll() is None:
                    if meanwhile is not None:
                        meanwhile()
                    time.sleep(0.1)
            except BaseException:
                child.terminate()
                raise
        if child.returncode:
            lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            fail(f"{log}: {lines[-1] if lines else f'ended with code {child.returncode}'}")

    def _versions(self) -> dict[str, str]:
        """What the peer's Python has; says what is missing before hours are spent."""
        code = "import importlib.metadata as m, json, sys; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
        if shutil.which(self.peer_python) is None:
            fail(f"{self.peer_python}: is no program; name a Python with --peer-python")
        found: dict[str, str] = {}
        for name in NEEDED:
            command = [self.peer_python, "-c", code, name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                fail(f"{self.peer_python}: lacks {name}; install it there, or name another Python with --peer-python")
            found |= json.loads(done.stdout)
        return found

    def ours(
        self, name: str, *, steps: int, batch: int, factor: float, save_every: int = 0, measured: bool = True
    ) -> Json:
        """A run of ours; `factor` times the recipe's rates. Nothing but the end is measured without `save_every`."""
        folder = self.out / name
        settings = {"recipe": self.recipe.model_dump(), "steps": steps, "batch": batch, "factor": factor}
        settings |= {"save_every": save_every, "data": self.data}
        run = once(folder, settings, lambda: self._train_ours(folder, steps, batch, factor, save_every))
        return self._measured(folder, run) if measured else run

    def _train_ours(self, folder: Path, steps: int, batch: int, factor: float, save_every: int) -> Json:
        training = self.recipe.training
        log_every = max(1, (save_every or steps) // 10)
        every = save_every - save_every % log_every or steps + 1  # past the end: the last step is saved in any case
        sets = [
            *self.overrides,
            f"training.steps={steps}",
            f"training.batch_size={batch}",
            f"training.learning_rate={factor * training.learning_rate}",
            f"training.muon_learning_rate={factor * training.muon_learning_rate}",
            f"training.log_every={log_every}",
            f"training.save_every={every}",
            f"training.evaluate_every={steps}",
            f"evaluation_examples={self.rows}",
        ]
        model, weights = folder / "model", folder / "weights"
        weights.mkdir()

        def keep() -> None:
            # The next state removes the one before it; a second name keeps its weights, and costs the run nothing.
            for state in (model / "run" / "checkpoints").glob("step-????????"):
                kept = weights / f"{state.name.removeprefix('step-')}.safetensors"
                if not kept.exists():
                    with contextlib.suppress(FileNotFoundError):  # it was removed just now, so it was kept before
                        os.link(state / "model.safetensors", kept)

        command = [sys.executable, "-m", "bertwright", "pretrain", self.recipe_name]
        command += ["--data", str(self.out / "corpus" / "shards"), "--out", str(model)]
        command += [part for value in sets for part in ("--set", value)]
        spawned, begin = time.time(), time.perf_counter()
        self._logged(command, folder / "pretrain.log", meanwhile=keep)
        wall = time.perf_counter() - begin
        keep()
        for path in weights.iterdir():
            theirs = to_theirs(load_file(path))
            path.unlink()
            save_file(theirs, path)
        lines = [json.loads(line) for line in (model / "run" / "metrics.jsonl").read_text().splitlines()]
        reports = [line for line in lines if "tokens_per_second" in line]
        clock = training_clock(reports, every)
        before_run = (model / "run" / "run.json").stat().st_mtime - spawned
        own = [line["held_out_mlm_loss"] for line in lines if "held_out_mlm_loss" in line]
        shutil.copy(model / "run" / "metrics.jsonl", folder / "metrics.jsonl")
        shutil.rmtree(model / "run" / "checkpoints")
        return {
            "clock": clock,
            "startup_seconds": before_run + reports[0]["seconds"] - clock[0][1],
            "wall_seconds": wall,
            "own_held_out_loss": own[-1],
        }

    def peer(
        self,
        name: str,
        how: Json,
        *,
        steps: int,
        batch: int,
        rate: float,
        malloc: bool,
        save_every: int = 0,
        measured: bool = True,
    ) -> Json:
        """A run of the peer; `how` holds its attention and dataloader workers."""
        training = self.recipe.training
        folder = self.out / name
        settings = how | {"steps": steps, "batch": batch, "rate": rate, "save_every": save_every, "bf16": self.bf16}
        settings |= {"warmup_steps": math.ceil(steps * training.warmup_fraction), "seed": training.seed}
        names = ("weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "clip_norm")
        settings |= {key: getattr(training, key) for key in names} | {"config": self.config}

        def make() -> Json:
            weights = folder / "weights"
            weights.mkdir()
            task = settings | {"folder": str(weights), "blocks": str(self.out / "corpus" / "blocks.npy")}
            spawned, begin = time.time(), time.perf_counter()
            found = self._peer(folder, "train", task, malloc=malloc)
            wall = time.perf_counter() - begin
            (weights / "metrics.jsonl").rename(folder / "metrics.jsonl")
            return {
                "clock": list(enumerate(found["seconds"], start=1)),
                "startup_seconds": found["began_at"] - spawned,
                "wall_seconds": wall,
                "parameters": found["parameters"],
            }

        run = once(folder, settings | {"malloc": malloc, "versions": self.versions, "data": self.data}, make)
        return self._measured(folder, run) if measured else run

    def _measured(self, folder: Path, run: Json) -> Json:
        """The run with its curve: loss on both halves together, and on each, at every step whose weights were kept."""
        if "curve" in run:
            return run
        weights = sorted((folder / "weights").glob("*.safetensors"))
        task = {"config": self.config, "held_out": str(self.out / "corpus" / "held_out.npz"), "bf16": self.bf16}
        found = self._peer(folder, "measure", task | {"weights": [str(path) for path in weights]})
        seconds = dict(run["clock"])
        run["curve"] = [
            {"step": int(path.stem), "seconds": seconds[int(path.stem)], "loss": both, "ours": ours, "peer": peer}
            for path, (both, ours, peer) in zip(weights, found["losses"], strict=True)
        ]
        run["hidden_words"] = found["hidden_words"]
        (folder / "result.json").write_bytes(to_json(run))
        shutil.rmtree(folder / "weights")
        return run

    def save_every(self, pace: float) -> int:
        """Steps between two measures."""
        return max(5, round(self.measure_every / pace))


def our_held_out_rows(shards: ShardDirectory, length: int, count: int) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Held-out rows as bertwright itself measures on: running text, 15% hidden; one sequence to a row.

    These are the sequences of the first `count` packed rows, so that a run of the same settings measures on the same.
    """
    examples = ExampleSettings(max_length=length, segments="none")
    plan = ExamplePlan(shards.shards("held_out"), examples, seed=0)
    vocabulary = shards.tokenizer.vocabulary
    count = min(count, plan.size(0))
    batch = PretrainingBatches(plan, vocabulary).build(Cursor(), count)
    labels = torch.full((count, length), IGNORED)
    wanted = batch.masked_labels.view(count, -1)
    row, column = torch.nonzero(wanted != IGNORED, as_tuple=True)
    labels[row, batch.masked_positions[row, column]] = wanted[row, column]
    found: dict[str, list[Any]] = {"input_ids": [], "labels": [], "attention_mask": []}
    for ids, targets, numbers in zip(batch.input_ids, labels, batch.attention_mask, strict=True):
        for number in range(1, int(numbers.max()) + 1):
            mine = torch.nonzero(numbers == number).flatten()
            padded = (0, length - len(mine))
            found["input_ids"].append(np.pad(ids[mine].numpy(), padded, constant_values=vocabulary.pad_id))
            found["labels"].append(np.pad(targets[mine].numpy(), padded, constant_values=IGNORED))
            found["attention_mask"].append(np.pad(np.ones(len(mine)), padded))
    rows = {name: np.stack(values).astype(np.int32) for name, values in found.items()}
    return rows | {"token_type_ids": np.zeros_like(rows["input_ids"])}


def compare(bench: Bench, arguments: argparse.Namespace) -> tuple[Json, dict[str, Json]]:
    """Probe, tune and run both sides; returns what was chosen, and the runs by name."""
    batches, rates, factors = arguments.batches, arguments.peer_rates, arguments.our_factors
    middle = len(rates) // 2
    choice: Json = {"our batch": batches[0], "our factor": factors[middle]}
    choice |= {"peer batch": batches[0], "peer rate": rates[middle]}

    # Seconds an example takes.
    run = bench.ours("probe ours", steps=OUR_PROBE_STEPS, batch=batches[0], factor=factors[middle], measured=False)
    our_pace = step_seconds(run["clock"]) / batches[0]
    hows: dict[str, Json] = {}
    paces: dict[str, float] = {}
    for variant, malloc in VARIANTS.items():
        tried = []
        for attention, workers in itertools.product(ATTENTIONS, WORKERS):
            how = {"attention": attention, "workers": workers}
            run = bench.peer(
                f"probe peer {variant}, {attention}, {workers} workers",
                how,
                steps=arguments.probe_steps,
                batch=batches[0],
                rate=rates[middle],
                malloc=malloc,
                measured=False,
            )
            tried.append((step_seconds(run["clock"]) / batches[0], how))
        paces[variant], hows[variant] = min(tried, key=lambda each: each[0])
        choice[f"peer {variant}"] = hows[variant]

    if arguments.tune:
        # The peer is tuned where it is fast: in the same minutes it sees more, and its rates are the same in both.
        fast = list(VARIANTS)[-1]
        seconds = 60 * arguments.tune_minutes
        trials: dict[str, list[tuple[float, int, float, float]]] = {"our": [], "peer": []}
        for batch, number in itertools.product(batches, range(len(rates))):
            steps = max(10, int(seconds / our_pace / batch))
            run = bench.ours(f"tune ours, batch {batch}, {number}", steps=steps, batch=batch, factor=factors[number])
            pace = step_seconds(run["clock"]) / batch
            trials["our"].append((run["curve"][-1]["loss"], batch, factors[number], pace))
            steps = max(10, int(seconds / paces[fast] / batch))
            run = bench.peer(
                f"tune peer, batch {batch}, {number}",
                hows[fast],
                steps=steps,
                batch=batch,
                rate=rates[number],
                malloc=True,
            )
            pace = step_seconds(run["clock"]) / batch
            trials["peer"].append((run["curve"][-1]["loss"], batch, rates[number], pace))
        # A trial is longer than a probe, so its speed is the truer one.
        _, choice["our batch"], choice["our factor"], our_pace = min(trials["our"])
        _, choice["peer batch"], choice["peer rate"], paces[fast] = min(trials["peer"])
        names = ("loss", "batch", "rate", "seconds_an_example")
        choice["trials"] = {who: [dict(zip(names, t, strict=True)) for t in ts] for who, ts in trials.items()}
        for who, tried_rates in (("our factor", factors), ("peer rate", rates)):
            if choice[who] in (min(tried_rates), max(tried_rates)):
                say(f"tuning: the best {who} is {choice[who]:g}, at the edge of those tried; try further ones")

    runs: dict[str, Json] = {}
    seconds = 60 * arguments.minutes
    for variant, malloc in VARIANTS.items():
        pace = paces[variant] * choice["peer batch"]
        runs[f"peer {variant}"] = bench.peer(
            f"peer {variant}",
            hows[variant],
            steps=max(10, int(seconds / pace)),
            batch=choice["peer batch"],
            rate=choice["peer rate"],
            malloc=malloc,
            save_every=bench.save_every(pace),
        )
    for share in bench.shares:
        pace = our_pace * choice["our batch"]
        runs[f"ours, {share} of the time"] = bench.ours(
            f"ours, {share} of the time",
            steps=max(10, int(share * seconds / pace)),
            batch=choice["our batch"],
            factor=choice["our factor"],
            save_every=bench.save_every(pace),
        )
    asked = [seconds] * len(VARIANTS) + [share * seconds for share in bench.shares]
    for (name, run), wanted in zip(runs.items(), asked, strict=True):
        spent = run["curve"][-1]["seconds"]
        if not 0.85 < spent / wanted < 1.15:
            say(
                f"{name}: {spent:,.0f} s of training instead of {wanted:,.0f}; a quiet machine keeps the speed it shows"
            )
    return choice, runs


def rows_of(runs: dict[str, Json]) -> list[Json]:
    rows = []
    for variant, name in itertools.product(VARIANTS, (name for name in runs if name.startswith("ours"))):
        peer, ours = runs[f"peer {variant}"], runs[name]
        target = min(point["loss"] for point in peer["curve"])
        theirs, mine = first_reached(peer["curve"], target), first_reached(ours["curve"], target)
        assert theirs is not None
        rows.append({
            "name": f"training time until held-out MLM loss {target:.3f}, peer {variant}; {name}",
            "peer": round(theirs, 1),
            "ours": None if mine is None else round(mine, 1),
            "unit": "s",
            "ratio": None if mine is None else round(theirs / mine, 2),
            "our_last_loss": round(ours["curve"][-1]["loss"], 4),
            "our_last_seconds": round(ours["curve"][-1]["seconds"], 1),
            "peer_startup": round(peer["startup_seconds"], 1),
            "our_startup": round(ours["startup_seconds"], 1),
        })  # fmt: skip
    return rows


def draw(runs: dict[str, Json], path: Path) -> None:
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for name, run in runs.items():
        seconds, losses = zip(*((point["seconds"], point["loss"]) for point in run["curve"]), strict=True)
        line = axis.plot(seconds, losses, "o-", markersize=3, linewidth=1.2, label=name)[0]
        if name.startswith("peer"):
            axis.axhline(min(losses), color=line.get_color(), linestyle="--", linewidth=0.9)
    axis.set_xlabel("seconds of training (measuring, saving and start-up taken out)")
    axis.set_ylabel("held-out masked-word loss (nats)")
    axis.set_title("dashed: the target, the best loss of each peer")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    figure.savefig(path, dpi=120)


def write_curves(runs: dict[str, Json], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["run", "step", "seconds", "loss", "loss_on_our_rows", "loss_on_peer_rows"])
        for name, run in runs.items():
            table.writerows([name, *(f"{v:.6g}" for v in point.values())] for point in run["curve"])


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpus")
    parser.add_argument("--corpus", default="raw/en", help="the corpus within it: a folder or file (raw/en)")
    parser.add_argument("--out", type=Path, required=True, help="folder that keeps everything")
    parser.add_argument("--peer-python", default=sys.executable, help="Python with torch, transformers and accelerate")
    parser.add_argument("--recipe", default="quickstart", help="ours; the peer takes all its numbers but the rate")
    parser.add_argument("--shape", choices=["tiny", "mini", "small", "medium", "base"], help="instead of the recipe's")
    parser.add_argument("--vocabulary", type=int, default=8000, help="pieces learnt from the corpus (8000)")
    parser.add_argument("--minutes", type=float, default=20, help="training time of the peer (20)")
    parser.add_argument("--share", type=float, nargs="+", default=[0.25], help="of it, for runs of ours (0.25)")
    parser.add_argument("--tune", action="store_true", help="try all rates and batches, the same number on both sides")
    parser.add_argument("--tune-minutes", type=float, default=5, help="training time of each trial (5)")
    parser.add_argument("--batches", type=int, nargs="+", default=[32], help="batch sizes to try (32)")
    parser.add_argument("--our-factors", type=float, nargs="+", default=[0.5, 1, 2], help="times the recipe's rates")
    parser.add_argument("--peer-rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3], help="learning rates")
    parser.add_argument("--measure-every", type=float, default=30, help="seconds of training between measures (30)")
    parser.add_argument("--held-out", type=float, default=0.02, help="share of the documents kept aside (0.02)")
    parser.add_argument("--held-out-rows", type=int, default=512, help="rows to measure on, of each kind (512)")
    parser.add_argument("--probe-steps", type=int, default=12, help="steps that the peer's settings are timed on (12)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if len(arguments.our_factors) != len(arguments.peer_rates):
        parser.error("--our-factors and --peer-rates must be equally many: both sides are tuned alike")
    return arguments


def main() -> None:
    arguments = parse()
    try:
        bench = Bench(arguments)
        bench.prepare()
        choice, runs = compare(bench, arguments)
    except BertwrightError as error:
        print(f"time_to_loss: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    rows = rows_of(runs)
    versions = ", ".join(f"{name} {bench.versions[name]}" for name in ("torch", "transformers", "accelerate"))
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, {versions}"
    settings = {name: str(value) if isinstance(value, Path) else value for name, value in vars(arguments).items()}
    settings |= {"recipe_values": bench.recipe.model_dump(), "peer_config": bench.config, "chosen": choice}
    result = {"machine": machine, "settings": settings, "corpus": bench.prepared, "rows": rows}
    (bench.out / "result.json").write_bytes(to_json(result))
    write_curves(runs, bench.out / "curves.csv")
    draw(runs, bench.out / "curves.png")
    if arguments.json:
        print(json.dumps(result, indent=2))
        return
    print(machine)
    print(", ".join(f"{name} {value}" for name, value in choice.items() if name != "trials"))
    for name, run in runs.items():
        last = run["curve"][-1]
        print(
            f"{name}: {last['step']:,} steps in {last['seconds']:,.0f} s of training "
            f"(start-up {run['startup_seconds']:.0f} s, {run['wall_seconds']:,.0f} s in all), loss {last['loss']:.3f} "
            f"(our rows {last['ours']:.3f}, the peer's {last['peer']:.3f})"
        )
        if "own_held_out_loss" in run:
            print(f"  on our rows the run itself measured {run['own_held_out_loss']:.3f}")
    for row in rows:
        ratio = "not met" if row["ratio"] is None else f"{row['ratio']:.2f}x"
        print(f"{ratio:>9}  {row['name']}: ours {row['ours']} s, peer {row['peer']} s")


if __name__ == "__main__":
    main()
