"""Task files as rows that `bertwright finetune` reads, and what a fine-tuned model scores on rows it never saw."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bertwright.files import write_atomic
from bertwright.recipes.evaluate import evaluate
from bertwright.recipes.finetuning.finetune import finetune
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.tasks.tagged_rows import read_tagged
from lab.bench import Bench
from lab.made import made_rows

Rows = list[dict[str, Any]]
_TENTH = 10


@dataclass(frozen=True)
class Set:
    """A public set: its files under --data, and the score that is told. Without dev a tenth of train is dev."""

    task: str
    train: str
    test: str
    dev: str | None = None
    metric: str = "accuracy"
    limit: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)


# A model as small as these wants a high rate. Rows are as many as keep a fine-tuning under a minute.
_USUAL = {"epochs": 3, "learning_rate": 5e-4, "max_length": 128, "dropout": 0.1, "calibrate": False}
_TAGS = {name: value for name, value in _USUAL.items() if name != "calibrate"}
SETS = {
    "sst2": Set("classify", "tasks/sst2/train", "tasks/sst2/test", "tasks/sst2/dev", limit=4000, settings=_USUAL),
    "trec": Set("classify", "tasks/trec_qc/train", "tasks/trec_qc/test", settings=_USUAL),
    "mrpc": Set("pair", "tasks/mrpc/train", "tasks/mrpc/test", settings=_USUAL),
    "rte": Set("pair", "tasks/rte/train", "tasks/rte/dev", settings=_USUAL),
    "stsb": Set("regress", "tasks/stsb/train", "tasks/stsb/test", "tasks/stsb/dev", "spearman", settings=_TAGS),
    "ncbi": Set("tag", "ner/ncbi_disease/train", "ner/ncbi_disease/test", "ner/ncbi_disease/dev", "f1", settings=_TAGS),
}
# As papers write them.
TITLES = {
    "sst2": "SST-2", "trec": "TREC", "mrpc": "MRPC", "rte": "RTE", "stsb": "STS-B", "ncbi": "NCBI-disease",
}  # fmt: skip


def finetuned(bench: Bench, model: Path, name: str, seed: int, **changed: object) -> dict[str, float]:
    """Fine-tune a model on a set with one seed; returns the scores on test of the epoch that dev chose.

    changed: settings of `finetune` that differ from those of the set.
    """
    rows, each = rows_of(bench, name), SETS[name]
    quick: dict[str, Any] = {"epochs": 1, "precision": "fp32"} if bench.quick else {}
    settings = FinetuneSettings(**{**each.settings, "seed": seed, **changed, **quick})
    out = bench.out / f"{bench.name}-finetuned"
    shutil.rmtree(out, ignore_errors=True)
    train, dev = rows / "train.jsonl", rows / "dev.jsonl"
    finetune(model, each.task, train, dev, out, settings=settings, progress=bench.progress)
    scores = evaluate(out, rows / "test.jsonl")
    shutil.rmtree(out)
    return scores


def rows_of(bench: Bench, name: str) -> Path:
    """The folder with train.jsonl, dev.jsonl and test.jsonl of a set, made on first need."""
    folder, each = bench.out / "rows" / name, SETS[name]
    if (folder / "test.jsonl").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    if bench.quick:
        parts = {part: made_rows(each.task, count, count) for part, count in (("train", 24), ("dev", 12), ("test", 9))}
    else:
        assert bench.data is not None
        train, test = _read(each, bench.data, each.train), _read(each, bench.data, each.test)
        random.Random(0).shuffle(train)
        cut = len(train) // _TENTH if each.dev is None else 0
        dev = _read(each, bench.data, each.dev) if each.dev else train[:cut]
        parts = {"train": train[cut:][: each.limit], "dev": dev, "test": test}
    for part, rows in parts.items():
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomic(folder / f"{part}.jsonl", content.encode())
    return folder


def _read(each: Set, data: Path, name: str) -> Rows:
    if each.task == "tag":
        tagged = read_tagged(data / f"{name}.conll.gz").rows
        return [{"words": list(row.words), "tags": list(row.tags or ())} for row in tagged]
    with gzip.open(data / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]
