"""What tests of pretraining through the command line share: shards, waiting, and what came out."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bertwright.cli.main import main
from bertwright.recipes.recipe import load_recipe
from tests.made_text import write_corpus

# The command line, killed when a function is called for the n-th time.
KILLED = """
import importlib, os, signal, sys
from bertwright.cli.main import main

place, name, count = sys.argv[1:4]
owner = importlib.import_module(place)
*inside, name = name.split(".")
for part in inside:
    owner = getattr(owner, part)
original, calls = getattr(owner, name), []

def killing(*values, **named):
    calls.append(None)
    if len(calls) == int(count):
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*values, **named)

setattr(owner, name, killing)
sys.exit(main(sys.argv[4:]))
"""

# A model of one layer that reads 48 tokens.
SMALL = [
    "model.preset=bert-tiny",
    "model.hidden_size=32",
    "model.num_hidden_layers=1",
    "model.num_attention_heads=2",
    "model.intermediate_size=64",
    "model.max_position_embeddings=48",
    "examples.max_length=48",
    "training.precision=fp32",
]

# What the quickstart pretrains, made smaller: the least number of its steps takes minutes with the usual one.
SMALL_QUICKSTART = ["model.preset=bert-tiny", "training.batch_size=8"]


def flags(settings: Sequence[str], name: str = "--set") -> list[str]:
    return [flag for setting in settings for flag in (name, setting)]


def pretrain_small(home: Path, *settings: str) -> Path:
    """A model of one layer, a few seconds' work, from the shards of `prepare_shards`."""
    shards, model = prepare_shards(home), home / "model"
    every = flags([*SMALL, *settings])
    assert main(["pretrain", "quickstart", "--data", str(shards), "--out", str(model), *every]) == 0
    return model


def shrink_quickstart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the end of the test `quickstart` pretrains a smaller model."""
    small = load_recipe("quickstart").replaced(SMALL_QUICKSTART)
    monkeypatch.setattr("bertwright.recipes.quickstart.load_recipe", lambda _: small)


def prepare_shards(home: Path) -> Path:
    """Sixty documents, a tenth of them held out."""
    corpus = write_corpus(home / "corpus.jsonl", 60)
    assert main(["vocab", str(corpus), "--size", "120", "--out", str(home / "vocab")]) == 0
    arguments = ["--vocab", str(home / "vocab"), "--out", str(home / "shards"), "--held-out", "0.1"]
    assert main(["prepare", str(corpus), *arguments]) == 0
    return home / "shards"


def weights(model: Path) -> str:
    return hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()


def metrics(model: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (model / "run/metrics.jsonl").read_text().splitlines()]


def events(model: Path) -> list[tuple[int, str]]:
    return [(row["step"], row["event"]) for row in metrics(model) if "event" in row]


def wait_for(path: Path, lines: int, process: subprocess.Popen[str], *, after: str = "") -> None:
    """Until a file has so many lines, counted from the one with `after` in it; no longer than a minute."""
    for _ in range(600):
        text = path.read_text() if path.exists() else ""
        if after in text and text[text.find(after) :].count("\n") >= lines:
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    pytest.fail(f"{path} was not written")
