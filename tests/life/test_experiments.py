"""Every experiment runs from its start to its picture, on made text with a model of one layer."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted(path.stem for path in (ROOT / "experiments").glob("*.py"))
# Those that seeds cost little, and the ladder, which asks for two.
SEVERAL = ("field", "independent_masks", "word_order")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all, as whoever runs them has it: the corpus and the usual model are made once."""
    return tmp_path_factory.mktemp("experiments")


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "experiments" / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_experiment_runs_to_its_table_and_its_picture(name: str, out: Path) -> None:
    done = run(name, "--quick", "--out", str(out), "--seeds", "2" if name in SEVERAL else "1")
    assert done.returncode == 0, done.stderr
    kept = json.loads((out / f"{name}.json").read_text(encoding="utf-8"))
    assert kept["experiment"] == name
    assert kept["table"]
    assert all(run["settings"]["quick"] for run in kept["runs"].values())
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    # The first line of the table are the names of its columns.
    assert done.stdout.splitlines()[0].split() == " ".join(kept["table"][0]).split()


def test_what_is_there_is_not_run_again(out: Path) -> None:
    run("word_order", "--quick", "--out", str(out))
    path = out / "word_order.json"
    before = json.loads(path.read_text(encoding="utf-8"))
    again = run("word_order", "--quick", "--out", str(out))
    assert again.returncode == 0, again.stderr
    assert json.loads(path.read_text(encoding="utf-8")) == before


def test_without_data_it_says_what_is_missing(tmp_path: Path) -> None:
    done = run("word_order", "--out", str(tmp_path))
    assert done.returncode != 0
    expected = "word_order: --data is needed, the folder with the corpora and task files (or --quick)"
    assert done.stderr.splitlines() == [expected]


def test_every_experiment_is_listed() -> None:
    listed = re.findall(
        r"`python experiments/(\w+)\.py", (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")
    )
    assert sorted(listed) == SCRIPTS
