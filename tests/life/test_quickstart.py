"""The quickstart on the documentation of packages: made-up ones, small enough for a test."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bertwright.cli.main import main
from tests.made_text import ANIMALS, write_corpus, write_packages
from tests.small_runs import SMALL_QUICKSTART, shrink_quickstart

MODULES = 70

# The command line, with the model of `shrink_quickstart`.
SHRUNK = f"""
import sys
from bertwright.cli.main import main
from bertwright.recipes import quickstart
from bertwright.recipes.recipe import load_recipe

quickstart.load_recipe = lambda name: load_recipe(name).replaced({SMALL_QUICKSTART})
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_whole_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_packages(tmp_path / "packages", MODULES)
    shrink_quickstart(monkeypatch)
    monkeypatch.setattr("bertwright.text.installed_docs.package_roots", lambda: [tmp_path / "packages"])
    out = tmp_path / "out"
    assert main(["quickstart", "--out", str(out), "--minutes", "0.5"]) == 0
    told = capsys.readouterr().out

    corpus = [json.loads(line) for line in (out / "corpus.jsonl").read_text().splitlines()]
    assert len(corpus) == MODULES * len(ANIMALS)
    assert {row["package"] for row in corpus} == set(ANIMALS)
    assert corpus[0]["module"] == "farm.m0"

    rows = {
        name: [json.loads(line) for line in (out / f"task/{name}.jsonl").read_text().splitlines()]
        for name in ("train", "dev")
    }
    assert len(rows["train"]) == 100 * len(ANIMALS)
    texts = {name: {row["text"] for row in found} for name, found in rows.items()}
    assert not texts["train"] & texts["dev"]
    for row in [*rows["train"], *rows["dev"]]:
        assert any(animal in row["text"] for animal in ANIMALS[row["label"]])

    summary = json.loads((out / "quickstart.json").read_text())
    classifier = summary["classifier"]
    assert classifier["labels"] == sorted(ANIMALS)
    assert (classifier["train_rows"], classifier["dev_rows"]) == (len(rows["train"]), len(rows["dev"]))
    # Which animal stands in a passage tells its package: anyone who learns at all learns that.
    assert classifier["pretrained"]["accuracy"] > classifier["majority"] + 0.3
    most = max(sum(row["label"] == place for row in rows["dev"]) for place in ANIMALS)
    assert classifier["majority"] <= most / len(rows["dev"])
    records = [
        json.loads((out / name / "bertwright.json").read_text()) for name in ("classifier", "classifier-from-random")
    ]
    assert records[0]["lineage"][-1]["settings"] == records[1]["lineage"][-1]["settings"]
    assert records[1]["lineage"][-1]["model"] == "random weights"

    assert f"Which of 3 packages does a passage document? 300 rows to learn from, {len(rows['dev'])} rows" in told
    gain = classifier["pretrained"]["accuracy"] - classifier["scratch"]["accuracy"]
    assert f"{gain * 100:+.1f} points of accuracy, same rows, same steps" in told
    assert f"bertwright predict {out}/classifier" in told

    # It may replace all that it has made: what ends the next one is that there is nothing to read.
    (tmp_path / "nothing").mkdir()
    monkeypatch.setattr("bertwright.text.installed_docs.package_roots", lambda: [tmp_path / "nothing"])
    assert main(["quickstart", "--out", str(out), "--overwrite"]) == 2
    assert "found no documentation" in capsys.readouterr().err
    assert not (out / "classifier").exists()


def test_too_few_packages_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "packages").mkdir()
    monkeypatch.setattr("bertwright.text.installed_docs.package_roots", lambda: [tmp_path / "packages"])
    assert main(["quickstart", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "bertwright: found no documentation in the installed packages; give your own text with --corpus"
    )


@pytest.mark.slow
def test_one_that_is_stopped_goes_on_with_the_same_command(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 500)
    out = tmp_path / "out"
    command = [sys.executable, "-c", SHRUNK, "quickstart", "--corpus", str(corpus), "--out", str(out)]
    command += ["--minutes", "0.5"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    while not (metrics := out / "model/run/metrics.jsonl").exists() or not metrics.read_text():
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert f"stopped and saved; the same command goes on with it, in {out}" in told
    before = (out / "shards/manifest.json").stat().st_mtime_ns
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert f"{out}: going on with the quickstart that was stopped there" in again.stderr
    assert "going on from step" in again.stderr
    assert (out / "shards/manifest.json").stat().st_mtime_ns == before
    assert json.loads((out / "quickstart.json").read_text())["held_out"]["mlm_accuracy"] > 0
