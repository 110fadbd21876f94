"""A model that knows animals climbs to a task about tools, through the command line."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bertwright.checkpoints.model_directory import read_model
from bertwright.cli.main import main
from bertwright.files import hold
from bertwright.recipes.adapting.texts import documents_json, task_documents
from tests.made_text import TOOLS, tools, write_corpus
from tests.small_runs import KILLED, flags, pretrain_small

ADAPTING = [
    "examples.max_length=48",
    "field.most_steps=4",
    "field.learning_rate=5e-3",
    "field.held_out=0.1",
    "field.evaluations=1",
    "task.most_steps=3",
    "task.evaluations=1",
    "evaluation_examples=8",
    "precision=fp32",
]
FINE_TUNING = ["epochs=2", "batch_size=8", "learning_rate=3e-3", "precision=fp32"]


def write_labelled(path: Path, count: int, seed: int) -> Path:
    """Sentences without the room's name, and the room as label."""
    rows = []
    for text in tools(count, seed, 1):
        room = next(room for room in TOOLS if room in text)
        rows.append({"text": text.replace(f" of the {room}", ""), "label": room})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained model, a field's text, a task's rows."""
    home = tmp_path_factory.mktemp("laddering")
    pretrain_small(home, "training.steps=20", "training.evaluate_every=20")
    write_corpus(home / "general.jsonl", 20)
    (home / "field.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in tools(40, 0)))
    for seed, (name, count) in enumerate((("train", 24), ("dev", 20), ("test", 30)), start=1):
        write_labelled(home / f"{name}.jsonl", count, seed)
    return home


def climbing(home: Path, out: Path, *more: str, field: str | None = "field.jsonl") -> list[str]:
    files = [part for name in ("train", "dev") for part in (f"--{name}", str(home / f"{name}.jsonl"))]
    settings = [*flags(ADAPTING, "--adapt-set"), *flags(FINE_TUNING)]
    settings += ["--field", str(home / field)] if field else []
    arguments = ["ladder", str(home / "model"), "--task", "classify", *files, "--out", str(out), "--workers", "1"]
    return [*arguments, "--seeds", "2", *settings, *more]


def two_rungs(home: Path, out: Path) -> list[str]:
    return climbing(home, out, "--rungs", "general,field", "--test", str(home / "test.jsonl"))


@pytest.fixture(scope="module")
def ladder(home: Path) -> Path:
    """As it is, and adapted to the field."""
    out = home / "straight" / "ladder"
    assert main(two_rungs(home, out)) == 0
    return out


def found(out: Path) -> dict[str, Any]:
    """What a ladder found, but for the time it took."""
    values: dict[str, Any] = json.loads((out / "ladder.json").read_text())
    for rung in values["rungs"]:
        del rung["minutes"]
    return values


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_all_scores_are_kept_and_of_the_models_one_for_each_rung_and_the_best(ladder: Path) -> None:
    values = found(ladder)
    assert (values["metric"], values["scored_on"], values["rows"], values["seeds"]) == ("accuracy", "test", 30, 2)
    general, field = values["rungs"]
    assert (general["rung"], field["rung"], general["gain"]) == ("general", "field", None)
    one, other = general["scores"]["test_accuracy"], field["scores"]["test_accuracy"]
    assert general["mean"] == pytest.approx(sum(one) / 2)
    assert field["gain"]["mean"] == pytest.approx((other[0] - one[0] + other[1] - one[1]) / 2)
    assert len(field["scores"]["macro_f1"]) == len(field["scores"]["test_mcc"]) == 2
    # Watched while adapting, before it and after it.
    assert [column["after"] for column in field["held_out"]] == ["before", "field"]
    assert field["held_out"][1]["field_mlm_loss"] < field["held_out"][0]["field_mlm_loss"]

    models = sorted(str(path.parent.relative_to(ladder)) for path in ladder.rglob("model.safetensors"))
    assert models == ["best", "rungs/field/model"]
    assert not (ladder / "rungs/field/model/adapt").exists()
    assert (ladder / "ladder.png").read_bytes().startswith(b"\x89PNG")


def test_the_best_rung_is_that_of_dev_and_its_model_scores_as_the_table_says(
    home: Path, ladder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = found(ladder)
    means = {rung["rung"]: sum(rung["scores"]["accuracy"]) for rung in values["rungs"]}
    best = values["best"]
    assert means[best["rung"]] == max(means.values())
    assert main(["evaluate", str(ladder / "best"), str(home / "test.jsonl"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    rung = next(rung for rung in values["rungs"] if rung["rung"] == best["rung"])
    assert scores["accuracy"] == pytest.approx(rung["scores"]["test_accuracy"][best["seed"]])
    card = (ladder / "best/README.md").read_text()
    assert "# ladder\n" in card
    assert read_model(ladder / "best").record["ladder"]["rung"] == best["rung"]


def test_the_rung_of_both_goes_on_from_the_model_of_the_field(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ladder"
    general = ["--general", str(home / "general.jsonl"), "--extend", "3", "--set", "epochs=1"]
    assert main(climbing(home, out, "--rungs", "general,task,field+task", "--json", *general)) == 0
    captured = capsys.readouterr()
    values = json.loads(captured.out)
    assert values == json.loads((out / "ladder.json").read_text())
    assert [rung["rung"] for rung in values["rungs"]] == ["general", "task", "field+task"]
    assert (values["scored_on"], values["rows"]) == ("dev", 20)
    stages = {
        name: [step["stage"] for step in read_model(out / f"rungs/{name}/model").record["lineage"] if "stage" in step]
        for name in ("field", "task", "field+task")
    }
    assert stages == {"field": ["field"], "task": ["task"], "field+task": ["field", "task"]}
    pieces = {name: len(read_model(out / f"rungs/{name}/model").tokenizer.vocabulary) for name in stages}
    assert pieces == {"field": 123, "task": 120, "field+task": 123}
    # Of the rows, those of train alone are adapted to.
    rows, _ = task_documents([str(home / "train.jsonl")], None)
    for name in ("task", "field+task"):
        run = json.loads((out / f"rungs/{name}/model/run/run.json").read_text())
        assert run["task_text_sha256"] == hashlib.sha256(documents_json(rows)).hexdigest()
    # Its own rung was not wanted: the field's model is made, and not fine-tuned.
    assert not (out / "rungs/field/seeds").exists()
    assert values["rungs"][2]["held_out"][0]["after"] == "before"
    assert "general_mlm_loss" in values["rungs"][2]["held_out"][1]
    note = ", by which each run's best weights were chosen too: give --test for scores that nothing chose"
    assert f"scored on the 20 rows of dev{note}" in captured.err.splitlines()


def test_killed_again_and_again_it_finds_the_same(home: Path, ladder: Path, tmp_path: Path) -> None:
    out = tmp_path / "ladder"
    kills = [
        ("bertwright.recipes.finetuning.several", "evaluate", "2"),  # the second seed is trained, and not scored
        ("bertwright.recipes.laddering.ladder", "write_atomic", "1"),  # the field's model is there, and nobody knows
        ("bertwright.recipes.finetuning.series", "Series.adopt", "2"),  # after that of the first rung, for nothing
        ("bertwright.recipes.laddering.ladder", "write_card", "1"),  # while the best model is put in its place
    ]
    arguments = two_rungs(home, out)
    for kill in kills:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *kill, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == -9, done.stderr
        assert not (out / "ladder.json").exists()
        assert not (out / "best").exists()
        if not (out / "rungs/field/seeds").exists():
            # What a kill leaves that comes before the first file of a series.
            (out / "rungs/field/seeds/series").mkdir(parents=True)
        arguments = [*two_rungs(home, out), "--resume"]
    made = (out / "rungs/field/model/model.safetensors").stat().st_mtime_ns
    assert main(arguments) == 0
    assert found(out) == found(ladder)
    for name in ("best/model.safetensors", "best/config.json", "rungs/field/model/model.safetensors"):
        assert (out / name).read_bytes() == (ladder / name).read_bytes(), name
    assert (out / "rungs/field/model/model.safetensors").stat().st_mtime_ns == made
    assert sorted(entry.name for entry in out.iterdir()) == sorted(entry.name for entry in ladder.iterdir())


def test_a_ladder_is_gone_on_with_as_it_began(home: Path, ladder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (ladder / "ladder.json").read_bytes()
    assert main(two_rungs(home, ladder)) == 2
    assert told(capsys) == [
        f"bertwright: {ladder}: holds a ladder; go on with --resume, or begin anew with --overwrite"
    ]
    assert main([*two_rungs(home, ladder), "--resume", "--seeds", "3", "--set", "epochs=4"]) == 2
    what = "the ladder began otherwise: `seeds` was 2 and is 3; `epochs` was 2 and is 4"
    assert told(capsys) == [f"bertwright: {ladder}: {what}; resume it with everything that it began with"]
    # What is finished is told once more, and nothing is trained.
    assert main([*two_rungs(home, ladder), "--resume"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].split()[:2] == ["rung", "accuracy"]
    assert [line.split()[0] for line in captured.out.splitlines()] == ["rung", "general", "field"]
    assert "fine-tuning:" not in captured.err
    assert (ladder / "ladder.json").read_bytes() == before
    with hold(ladder / "rungs"):
        for more in ("--resume", "--overwrite"):
            assert main([*two_rungs(home, ladder), more]) == 2
            cure = "wait for it, or choose another name"
            message = f"bertwright: {ladder}/rungs: another process is writing this directory; {cure}"
            assert told(capsys)[-1] == message
    assert (ladder / "ladder.json").read_bytes() == before


def test_what_cannot_be_is_refused_before_anything_is_written(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    names = {name: str(tmp_path / f"{name}.jsonl") for name in ("cut", "one", "bare", "none")}
    Path(names["cut"]).write_text('{"text": "The spoon lies."}\n{"text": \n')
    Path(names["one"]).write_text('{"text": "The spoon lies."}\n')
    Path(names["bare"]).write_text('{"text": "The spoon lies."}\n{"text": "The kettle hangs."}\n')
    train, dev = str(home / "train.jsonl"), str(home / "dev.jsonl")
    part = "part its documents by blank lines (.txt), or give one object a document (.jsonl)"
    cases: list[tuple[list[str], str]] = [
        (["--rungs", "general,fields"], "`--rungs` names 'fields'; rungs are general, field, task, field+task"),
        (["--task", "sort"], "`--task` must be one of"),
        (["--field", names["none"]], f"{names['none']}: no such file or folder"),
        (
            ["--field", names["one"], "--rungs", "general,task"],
            "`--field` is given, but none of the rungs general, task reads it; name field or field+task in --rungs",
        ),
        (
            ["--field", "-"],
            "a ladder reads its texts more than once, and standard input can be read only once; save it to a file",
        ),
        (
            ["--field", dev],
            f"{dev}: holds rows that are scored on, and a model that had read them would look better than it is; leave",
        ),
        (["--test", dev], f"{dev}: is named twice: no score on it would say anything; give other rows"),
        (
            ["--test", names["bare"]],
            (
                f"{names['bare']}:1: there is no column `label`; the columns are `text`; "
                "label every row, or name the column with --label-column"
            ),
        ),
        (["--text-column", "said"], f"{train}:1: there is no column `said`; the columns are `text`, `label`; name it"),
        (["--label-column", "room"], f"{train}:1: there is no column `room`; the columns are `text`, `label`; label"),
        (["--general", names["one"]], f"{names['one']}: holds 1 documents, and two are the least that can be"),
        (
            ["--adapt-set", "examples.max_length=64"],
            "`examples.max_length` is 64, but the model has 48 positions; give --adapt-set examples.max_length=48",
        ),
        (
            ["--adapt-set", "field.epoch=2"],
            "--adapt-set field.epoch: `field.epoch` is no setting; did you mean `epochs`?",
        ),
        (["--adapt-set", "seed"], "`--adapt-set seed` is not of the form key=value"),
        (["--set", "keep_best_by=f1"], "`keep_best_by` is 'f1', but the scores are accuracy, macro_f1, mcc; name one"),
        # Found by the first fine-tuning, of which nothing stays.
        (["--set", "max_length=64"], "`max_length` is 64, but the model has 48 positions; set it to 48 or less"),
        (["--resume"], f"{out}: holds no ladder to go on with; start it without --resume"),
    ]
    for more, message in cases:
        arguments = climbing(home, out, *more, field=None if "--field" in more else "field.jsonl")
        assert main(arguments) == 2, more
        assert told(capsys)[-1].startswith(f"bertwright: {message}"), more
        assert not out.exists(), more
    assert main(climbing(home, out, "--extend", "5", field=None)) == 2
    what = "`--extend` adds words of the field, and there is no --field; name its text"
    assert told(capsys) == [f"bertwright: {what}"]
    for name, place, what in (
        ("cut", ":2", " "),
        ("one", "", f" holds 1 documents, and two are the least to adapt to; {part}"),
    ):
        assert main(climbing(home, out, "--field", names[name], field=None)) == 2
        assert told(capsys)[-1].startswith(f"bertwright: {names[name]}{place}:{what}")
        assert not out.exists()
    assert main(climbing(home, home, "--train", train)) == 2
    message = f"{home}: holds the model to start from, which would be lost; choose another --out"
    assert told(capsys) == [f"bertwright: {message}"]


def test_rows_with_columns_of_other_names(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name in ("train", "dev"):
        rows = [json.loads(line) for line in (home / f"{name}.jsonl").read_text().splitlines()]
        renamed = tmp_path / f"{name}.jsonl"
        renamed.write_text("".join(json.dumps({"said": row["text"], "room": row["label"]}) + "\n" for row in rows))
        files += [f"--{name}", str(renamed)]
    out = tmp_path / "out"
    columns = ["--text-column", "said", "--label-column", "room"]
    # The rows are read before it is looked whether there is a ladder.
    assert main(climbing(home, out, *files, *columns, "--resume")) == 2
    assert told(capsys)[-1] == f"bertwright: {out}: holds no ladder to go on with; start it without --resume"


def test_overwrite_leaves_nothing_of_the_one_before(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "ladder"
    for name in ("rungs/task/model/adapt", "best"):
        (out / name).mkdir(parents=True)
        (out / name / "config.json").write_text("of another ladder")
    (out / "rungs/begun.json").write_text("{}\n")
    (out / "notes.txt").write_text("mine")
    assert main(climbing(home, out, "--rungs", "general,task", "--overwrite", field=None)) == 0
    assert sorted(entry.name for entry in out.iterdir()) == sorted(
        ["best", "ladder.json", "ladder.md", "ladder.png", "notes.txt", "rungs"]
    )
    assert read_model(out / "best").labels == ("garage", "kitchen")
