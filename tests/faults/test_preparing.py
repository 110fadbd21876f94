"""Preparing a corpus: the same bytes for any number of workers, after any kill, on any engine."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bertwright.cli.main import main
from bertwright.errors import OperationalFault
from bertwright.files import PARTIAL, beside
from bertwright.parallel import in_order
from tests.made_text import documents

KILLS = 30
# The command line with a document at a time, slowly, and a checkpoint after each: many moments to be stopped at.
STEPWISE = """
import sys, time
import bertwright.recipes.prepare as under_test
from bertwright.cli.main import main

def slowly(documents, characters, original=under_test.handfuls):
    for several in original(documents, 500):
        time.sleep(0.001)
        yield several

under_test.handfuls, under_test._CHECKPOINT_SECONDS = slowly, 0.0
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with duplicates, odd lines and an empty document; a vocabulary; shards made by one worker."""
    home = tmp_path_factory.mktemp("preparing")
    texts = [text for _, text in documents(3000)]
    texts[50::100] = texts[0:-50:100]
    texts[75::100] = [text + " The end." for text in texts[0:-75:100]]
    lines = [json.dumps({"text": text}) for text in texts]
    lines[500:500] = ["{", '{"text": ""}', '{"no": "text"}']
    (home / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    assert (
        main(["vocab", str(home / "corpus.jsonl"), "--size", "120", "--on-error", "skip", "--out", str(home / "vocab")])
        == 0
    )
    assert main(arguments(home, home / "one", "--workers", "1")) == 0
    return home


def arguments(home: Path, out: Path, *more: str) -> list[str]:
    chosen = ["--on-error", "skip", "--held-out", "0.1", "--tokens-per-shard", "5000"]
    return ["prepare", str(home / "corpus.jsonl"), "--vocab", str(home / "vocab"), "--out", str(out), *chosen, *more]


def content(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def wait_for(process: subprocess.Popen[Any], partial: Path, what: str) -> None:
    """Wait until a run has begun and its checkpoint, if `what` is not empty, speaks of that."""
    path = partial / "progress.json" if what else partial
    while not path.exists() or (what and what not in path.read_text()):
        assert process.poll() is None, "it ended before it could be stopped"
        time.sleep(0.01)


def checkpoint(partial: Path) -> str:
    path = partial / "progress.json"
    return path.read_text() if path.exists() else ""


@pytest.mark.parametrize(
    "damage", ["another format", "a key is gone", "no JSON", "pending is gone", "pending is cut", "pending is empty"]
)
def test_a_checkpoint_that_cannot_be_used_is_begun_anew(
    home: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "shards"
    partial = beside(out, PARTIAL)
    command = [sys.executable, "-c", STEPWISE, *arguments(home, out, "--workers", "1")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(process, partial, "train-00001")
        process.kill()
    path = partial / "progress.json"
    if damage == "no JSON":
        path.write_text("{")
    elif damage == "pending is gone":
        for pending in partial.glob("pending-*.npz"):
            pending.unlink()
    elif damage in ("pending is cut", "pending is empty"):
        for pending in partial.glob("pending-*.npz"):
            pending.write_bytes(pending.read_bytes()[: 100 if damage == "pending is cut" else 0])
    else:
        state = json.loads(path.read_text())
        if damage == "another format":
            state["identity"]["format"] = "bertwright-shards-1"
        else:
            del state["train"][0]["sha256"]["words"]
        path.write_text(json.dumps(state))
    assert main(arguments(home, out)) == 0
    assert "left by an earlier run that this one cannot go on with; begun anew" in capsys.readouterr().err
    assert content(out) == content(home / "one")


def test_on_a_full_disk_one_line_and_then_it_goes_on(
    home: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = small_disk / "shards"
    assert main(arguments(home, out)) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"bertwright: {out}: the disk is full; free some space and start again"
    )
    assert not out.exists()  # nothing that looks like shards
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    assert main(arguments(home, out)) == 0
    assert content(out) == content(home / "one")
    assert [path.name for path in small_disk.iterdir()] == ["shards"]


def test_any_number_of_workers_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    for workers in ("2", "3"):
        assert main(arguments(home, tmp_path / workers, "--workers", workers)) == 0
        assert content(tmp_path / workers) == content(home / "one")


@pytest.mark.skipif(not importlib.util.find_spec("ray"), reason="the extra `ray` is not installed")
def test_ray_gives_the_same_bytes(home: Path, tmp_path: Path) -> None:
    assert main(arguments(home, tmp_path / "ray", "--engine", "ray", "--workers", "2")) == 0
    assert content(tmp_path / "ray") == content(home / "one")


@pytest.mark.slow
@pytest.mark.parametrize("dedupe", ["none", "exact", "near"])
def test_killed_at_random_moments_it_ends_in_the_same_bytes(home: Path, tmp_path: Path, dedupe: str) -> None:
    """kill -9 until a run gets through; small handfuls, so that there are many moments to be killed at."""
    wanted = tmp_path / "straight"
    assert main(arguments(home, wanted, "--dedupe", dedupe, "--workers", "1")) == 0
    command = [sys.executable, "-c", STEPWISE, *arguments(home, tmp_path / "out", "--dedupe", dedupe, "--workers", "1")]
    chance = random.Random(dedupe)
    kills = resumed = 0
    partial = beside(tmp_path / "out", PARTIAL)
    while not (tmp_path / "out").exists():
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        if kills < KILLS:
            # One kill in three hits what comes before the work, the others the work: after its first checkpoint.
            before = checkpoint(partial)
            while kills % 3 and checkpoint(partial) == before and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.1))
            kills += process.poll() is None
            process.kill()
        _, told = process.communicate(timeout=120)
        assert process.returncode in (0, -signal.SIGKILL), told
        resumed += "going on after" in told
    assert kills == KILLS
    assert resumed > KILLS // 2
    assert content(tmp_path / "out") == content(wanted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "straight"]


def test_what_is_stopped_says_how_it_goes_on(home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STEPWISE, *arguments(home, tmp_path / "out", "--workers", "1")]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(process, beside(tmp_path / "out", PARTIAL), "train-00000")
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM
    assert "and saved; the same command goes on from there" in told
    again = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "documents that an earlier run prepared; reading past them" in again.stderr
    assert content(tmp_path / "out") == content(home / "one")


def test_a_worker_that_is_gone_loses_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def dying(*items: Any, **options: Any) -> Any:
        results = in_order(*items, **options)
        for _ in range(400):
            yield next(results)
        raise OperationalFault("a worker process ended before its work was done")

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("bertwright.recipes.prepare.in_order", dying)
        patched.setattr("bertwright.recipes.prepare._CHARACTERS_AT_ONCE", 500)
        assert main(arguments(home, out, "--workers", "1")) == 1
    assert main(arguments(home, out, "--workers", "1")) == 0
    assert "documents that an earlier run prepared; reading past them" in capsys.readouterr().err
    assert content(out) == content(home / "one")


def test_a_scheduler_that_tells_the_workers_too_loses_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As GNU timeout, systemd and SLURM do; the workers may be gone before this process looks at its signal."""

    def told_to_end(*items: Any, **options: Any) -> Any:
        results = in_order(*items, **options)
        for _ in range(400):
            yield next(results)
        os.kill(os.getpid(), signal.SIGTERM)
        raise OperationalFault("a worker process ended before its work was done")

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr("bertwright.recipes.prepare.in_order", told_to_end)
        patched.setattr("bertwright.recipes.prepare._CHARACTERS_AT_ONCE", 500)
        assert main(arguments(home, out, "--workers", "1")) == 128 + signal.SIGTERM
    told = capsys.readouterr().err
    number = json.loads(checkpoint(beside(out, PARTIAL)))["documents"]
    assert f"stopped after {number:,} documents and saved; the same command goes on from there" in told
    assert main(arguments(home, out, "--workers", "1")) == 0
    assert content(out) == content(home / "one")


def stopped(home: Path, out: Path) -> Path:
    """What a run leaves that was killed half way; returns its folder."""
    partial = beside(out, PARTIAL)
    process = subprocess.Popen(
        [sys.executable, "-c", STEPWISE, *arguments(home, out, "--workers", "1")],
        stderr=subprocess.DEVNULL,
    )
    wait_for(process, partial, "train-00000")
    process.kill()
    process.wait()
    return partial


def test_a_shard_that_was_damaged_meanwhile_is_made_again(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = stopped(home, tmp_path / "out")
    (partial / "train-00000.tokens.npy").write_bytes(b"")
    assert main(arguments(home, tmp_path / "out", "--workers", "1")) == 0
    assert "left by an earlier run that this one cannot go on with; begun anew" in capsys.readouterr().err
    assert content(tmp_path / "out") == content(home / "one")


def test_another_corpus_is_not_gone_on_with(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moved = tmp_path / "home"
    shutil.copytree(home, moved)
    partial = stopped(moved, tmp_path / "out")
    corpus = (moved / "corpus.jsonl").read_text().splitlines(keepends=True)
    (moved / "corpus.jsonl").write_text("".join(corpus[1:]))
    kept = checkpoint(partial)
    assert main(arguments(moved, tmp_path / "out", "--workers", "1")) == 2
    told = capsys.readouterr().err
    assert f"{partial}: the corpus does not begin with the " in told
    assert " documents that an earlier run prepared; give it as it was, or --overwrite to lose them and begin" in told
    assert checkpoint(partial) == kept
    assert main(arguments(moved, tmp_path / "out", "--workers", "1", "--overwrite")) == 0
    assert main(arguments(moved, tmp_path / "straight", "--workers", "1")) == 0
    assert content(tmp_path / "out") == content(tmp_path / "straight")


def test_other_settings_are_not_gone_on_with(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    partial = stopped(home, out)
    kept = content(partial)
    assert main(arguments(home, out, "--workers", "1", "--dedupe", "exact", "--language", "de")) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith(
            " documents that an earlier run prepared otherwise (language, dedupe); give what that was given, to go on, "
            "or --overwrite to lose them and begin anew"
        )
    )
    assert content(partial) == kept
    more = ["--workers", "1", "--dedupe", "exact"]
    assert main(arguments(home, out, *more, "--overwrite")) == 0
    assert main(arguments(home, tmp_path / "straight", *more)) == 0
    assert content(out) == content(tmp_path / "straight")


def test_who_stops_at_a_bad_line_may_go_on_and_skip_it(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [json.dumps({"text": text}) for _, text in documents(420)]
    lines[400:400] = ["{"]
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr("bertwright.recipes.prepare._CHARACTERS_AT_ONCE", 500)
    monkeypatch.setattr("bertwright.recipes.prepare._CHECKPOINT_SECONDS", 0.0)
    command = ["prepare", str(tmp_path / "corpus.jsonl"), "--vocab", str(home / "vocab"), "--workers", "1"]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    assert "corpus.jsonl:401: this line is no JSON" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "out"), "--on-error", "skip"]) == 0
    assert "documents that an earlier run prepared; reading past them" in capsys.readouterr().err
    assert main([*command, "--out", str(tmp_path / "straight"), "--on-error", "skip"]) == 0
    assert content(tmp_path / "out") == content(tmp_path / "straight")


def test_a_disk_that_fails_for_a_moment_costs_nothing(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = stopped(home, tmp_path / "out")
    kept = content(partial)

    reading = Path.read_bytes

    def failing(self: Path) -> bytes:
        if self.name == "progress.json":
            raise OSError(errno.EIO, "Input/output error", str(self))
        return reading(self)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", failing)
        assert main(arguments(home, tmp_path / "out", "--workers", "1")) == 1
    assert "Input/output error" in capsys.readouterr().err
    assert content(partial) == kept
    assert main(arguments(home, tmp_path / "out", "--workers", "1")) == 0
    assert content(tmp_path / "out") == content(home / "one")


def test_a_corpus_that_is_away_for_a_while_costs_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "home"
    shutil.copytree(home, moved)
    stopped(moved, tmp_path / "out")
    (moved / "corpus.jsonl").rename(moved / "away")
    assert main(arguments(moved, tmp_path / "out", "--workers", "1")) == 2
    assert "corpus.jsonl: no such file or folder" in capsys.readouterr().err
    (moved / "away").rename(moved / "corpus.jsonl")
    assert main(arguments(moved, tmp_path / "out", "--workers", "1")) == 0
    assert "documents that an earlier run prepared; reading past them" in capsys.readouterr().err
    assert content(tmp_path / "out") == content(home / "one")


# Where a kill would find all written and nothing in its place: (module, what it calls then, before or after it).
LATE = [
    ("bertwright.recipes.prepare", "tokenizer_files", "before"),
    ("bertwright.recipes.prepare", "to_json", "before"),
    ("bertwright.files", "_put_in_place", "before"),
    ("bertwright.files", "_put_in_place", "after"),
]


@pytest.mark.parametrize(("module", "name", "when"), LATE)
def test_killed_at_the_very_end_it_loses_nothing(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], module: str, name: str, when: str
) -> None:
    script = f"""
import importlib, os, signal, sys
from bertwright.cli.main import main
module = importlib.import_module({module!r})
original = module.{name}

def dying(*given, **named):
    {"result = original(*given, **named)" if when == "after" else ""}
    os.kill(os.getpid(), signal.SIGKILL)

module.{name} = dying
main(sys.argv[1:])
"""
    out = tmp_path / "out"
    died = subprocess.run([sys.executable, "-c", script, *arguments(home, out)], capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL
    if when == "before":
        assert not out.exists()
        assert main(arguments(home, out)) == 0
        assert "documents that an earlier run prepared; reading past them" in capsys.readouterr().err
        assert content(out) == content(home / "one")
    else:
        # Whole, beside what it would be gone on with; that is in nobody's way.
        found = content(out)
        assert {name: found[name] for name in content(home / "one")} == content(home / "one")
        assert main(arguments(home, out, "--overwrite")) == 0
        assert content(out) == content(home / "one")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_duplicates_are_left_out_and_counted(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = {}
    for dedupe in ("none", "exact", "near"):
        assert main(arguments(home, tmp_path / dedupe, "--dedupe", dedupe, "--workers", "2")) == 0
        manifest = json.loads((tmp_path / dedupe / "manifest.json").read_text())
        counts[dedupe] = manifest["counts"]
        assert manifest["counts"]["documents"] == 3000
        assert (manifest["counts"]["skipped"], manifest["counts"]["empty_documents"]) == (2, 1)
    told = capsys.readouterr().err
    assert "30 documents that were there before, left out" in told
    assert counts["none"]["exact_duplicates"] == 0
    assert counts["exact"]["exact_duplicates"] == counts["near"]["exact_duplicates"] == 30
    assert counts["near"]["near_duplicates"] >= 28  # of 30 that differ in their last two words
    for found in counts.values():
        kept = found["train_documents"] + found["held_out_documents"]
        assert kept + found["exact_duplicates"] + found["near_duplicates"] == 3000
    assert counts["exact"]["tokens"] + counts["exact"]["duplicate_tokens"] == counts["none"]["tokens"]
