"""A model that knows animals is adapted to tools, through the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bertwright.checkpoints.model_directory import read_model, with_parts, write_model
from bertwright.cli.main import main
from bertwright.errors import CorpusError
from bertwright.heads.model import Parts
from bertwright.recipes.adapting.adapt import _Adaptation
from tests.made_text import tools, write_corpus
from tests.small_runs import KILLED, flags, metrics, pretrain_small, weights

PRETRAINING = [
    "model.initializer_range=0.1",
    "training.steps=150",
    "training.learning_rate=5e-3",
    "training.evaluate_every=150",
]
SETTINGS = [
    "examples.max_length=48",
    "field.epochs=4",
    "field.learning_rate=5e-3",
    "field.held_out=0.1",
    "field.evaluations=3",
    "task.learning_rate=3e-3",
    "task.most_steps=8",
    "task.held_out=0.1",
    "task.evaluations=1",
    "evaluation_examples=20",
    "dropout=0.1",
    "precision=fp32",
]


def write_rows(path: Path, texts: list[str]) -> Path:
    path.write_text("".join(json.dumps({"text": text, "label": "any"}) + "\n" for text in texts))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pretrained model, a field's text, a task's rows."""
    home = tmp_path_factory.mktemp("adapting")
    pretrain_small(home, *PRETRAINING)
    write_corpus(home / "general.jsonl", 60)
    write_rows(home / "field.jsonl", tools(80, 0))
    write_rows(home / "task.jsonl", tools(60, 1, 1))
    pairs = [text.replace(". The", ".\tThe") for text in tools(60, 1, 2)]
    (home / "pairs.tsv").write_text("text_a\ttext_b\n" + "".join(f"{pair}\n" for pair in pairs))
    return home


def adapting(home: Path, out: Path, *more: str, model: str = "model", settings: list[str] | None = None) -> list[str]:
    return ["adapt", str(home / model), "--out", str(out), "--workers", "1", *flags(settings or SETTINGS), *more]


def both(home: Path, out: Path) -> list[str]:
    texts = [str(home / "field.jsonl"), "--task-data", str(home / "task.jsonl")]
    return adapting(home, out, *texts, "--general", str(home / "general.jsonl"), "--extend", "5")


@pytest.fixture(scope="module")
def adapted(home: Path) -> Path:
    """The field, then the task, with five more words."""
    out = home / "straight" / "adapted"
    assert main(both(home, out)) == 0
    return out


def record(model: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((model / "bertwright.json").read_text())
    return found


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_each_stage_learns_its_text_and_what_is_forgotten_is_seen(adapted: Path) -> None:
    before, field, task = record(adapted)["adaptation"]
    assert [column["after"] for column in (before, field, task)] == ["before", "field", "task"]
    assert field["field_mlm_loss"] < before["field_mlm_loss"] - 2
    assert task["task_mlm_loss"] < field["task_mlm_loss"] < before["task_mlm_loss"]
    assert field["general_mlm_loss"] > before["general_mlm_loss"] + 1
    card = (adapted / "README.md").read_text()
    assert "| held-out text | before | field | task |" in card
    assert f"| {before['general_mlm_loss']:.4f} | {field['general_mlm_loss']:.4f} |" in card


def test_forgetting_is_measured_on_the_way(adapted: Path) -> None:
    stage = [row for row in metrics(adapted / "adapt/field/model") if "general_mlm_loss" in row]
    assert [row["step"] for row in stage] == [0, 10, 20, 30]
    assert {"general_mlm_accuracy", "field_mlm_loss", "task_mlm_loss"} < stage[0].keys()
    whole = metrics(adapted)
    assert [(row["stage"], row["step"]) for row in whole] == [
        ("field", 0), ("field", 10), ("field", 20), ("field", 30), ("task", 30), ("task", 38),
    ]  # fmt: skip


def test_the_model_tells_where_it_comes_from_and_keeps_its_heads(
    home: Path, adapted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lineage = record(adapted)["lineage"]
    assert [step["step"] for step in lineage] == ["vocabulary", "prepare", "pretrain", "extend", "adapt", "adapt"]
    field, task = lineage[-2:]
    assert (field["stage"], field["steps"], task["stage"], task["steps"]) == ("field", 30, "task", 8)
    assert field["recipe"]["examples"]["segments"] == "next_sentence"
    assert task["recipe"]["examples"]["segments"] == "none"
    assert field["recipe"]["examples"]["masked_unit"] == "whole_word"
    manifest = json.loads((adapted / "adapt/field/shards/manifest.json").read_text())
    assert field["corpus_sha256"] == manifest["corpus_sha256"]

    found, after_field = read_model(adapted), read_model(adapted / "adapt/field/model")
    assert found.model.parts == read_model(home / "model").model.parts
    assert found.model.pooler is not None
    assert after_field.model.pooler is not None
    assert torch.equal(found.model.pooler.dense.weight, after_field.model.pooler.dense.weight)
    # Dropout is of the training, and not of the model.
    assert found.model.config.hidden_dropout_prob == 0
    assert after_field.model.config.hidden_dropout_prob == 0.1
    # It is scored as it was adapted last: on running text.
    assert main(["evaluate", str(adapted), str(adapted / "adapt/task/shards"), "--json"]) == 0
    scores, last = json.loads(capsys.readouterr().out), record(adapted)["metrics"]
    assert scores == pytest.approx({name: last[f"task_{name}"] for name in ("mlm_loss", "mlm_accuracy")}, abs=1e-6)


def test_killed_again_and_again_it_ends_in_the_same_bytes(home: Path, adapted: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapted"
    kills = [
        ("bertwright.recipes.adapting.adapt", "prepare_corpus", "2"),
        ("bertwright.recipes.pretrain", "_Session._evaluate", "2"),
        ("bertwright.recipes.adapting.stages", "_keep_parts", "2"),
    ]
    arguments = both(home, out)
    for kill in kills:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, *kill, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == -9, done.stderr
        assert not (out / "config.json").exists()
        arguments = [*both(home, out), "--resume"]
    finished = (out / "adapt/field/model/model.safetensors").stat().st_mtime_ns
    assert main(arguments) == 0
    for name in ("model.safetensors", "config.json", "vocab.txt", "bertwright.json", "README.md", "run/metrics.jsonl"):
        assert (out / name).read_bytes() == (adapted / name).read_bytes(), name
    # The field was not gone through again.
    assert (out / "adapt/field/model/model.safetensors").stat().st_mtime_ns == finished


def test_an_encoder_alone_gets_a_head_that_is_trained_first(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = read_model(home / "model")
    encoder, _ = with_parts(source.model, Parts(), seed=0)
    (tmp_path / "encoder").mkdir()
    write_model(tmp_path / "encoder", encoder, source.tokenizer)
    settings = [*SETTINGS, "head_first_fraction=0.25"]
    files = ["--task-data", str(home / "task.jsonl"), "--json"]
    arguments = adapting(home, tmp_path / "out", *files, model=str(tmp_path / "encoder"), settings=settings)
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert f"{tmp_path}/encoder: has no masked-word head, so it gets a new one" in captured.err
    assert "the masked-word head is trained alone for the first 2 steps" in captured.err
    assert "task text, 6 steps: masked words alone, because the model has no next-sentence head" in captured.err
    assert "forgetting is not watched: for that, name a corpus of general text with --general" in captured.err
    measured = json.loads(captured.out)["measured"]
    # Before, there was nothing to measure with.
    assert [column["after"] for column in measured] == ["head", "task"]
    assert measured[1]["task_mlm_loss"] < measured[0]["task_mlm_loss"]

    head, end = (read_model(tmp_path / "out" / name).model for name in ("adapt/task/head", "."))
    before = dict(encoder.named_parameters())
    for name, parameter in head.named_parameters():
        if name in before:
            assert torch.equal(parameter, before[name]), name
    assert head.parts == end.parts == replace(encoder.parts, masked_words=True)
    assert not torch.equal(end.encoder.embeddings.word.weight, before["encoder.embeddings.word.weight"])

    # What is finished is not done again, and the same comes out where the head's run had been killed.
    once = weights(tmp_path / "out")
    for folder in ("adapt/task/model", "adapt/task/head/run/checkpoints/step-00000002"):
        shutil.rmtree(tmp_path / "out" / folder)
    (tmp_path / "out/adapt/task/head/config.json").unlink()
    assert main([*arguments, "--resume"]) == 0
    assert weights(tmp_path / "out") == once


@pytest.mark.parametrize(
    ("files", "settings", "why"),
    [
        (["field.jsonl"], [], "field text, 2 steps: masked words and next sentence"),
        (
            ["field.jsonl"],
            ["next_sentence=never"],
            "field text, 2 steps: masked words alone, because `next_sentence` says so",
        ),
        (
            ["--task-data", "pairs.tsv"],
            [],
            "task text, 2 steps: masked words alone, because the two texts of a row do not follow each other",
        ),
        (
            ["--task-data", "task.jsonl"],
            [],
            "task text, 2 steps: masked words alone, because a document has 1.0 sentences on average",
        ),
    ],
    ids=["field", "never", "pairs", "single"],
)
def test_next_sentence_goes_along_where_the_text_has_any(
    home: Path, tmp_path: Path, files: list[str], settings: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [text if text.startswith("-") else str(home / text) for text in files]
    arguments = adapting(home, tmp_path / "out", *texts, settings=[*SETTINGS, *settings])
    # The option stands before the setting of the same name, which holds.
    assert main([*arguments, "--steps", "2", "--masking", "token", "--set", "task.most_steps=2"]) == 0
    assert why in told(capsys)
    stage = "task" if "--task-data" in files else "field"
    row = [row for row in metrics(tmp_path / "out" / f"adapt/{stage}/model") if "loss" in row][-1]
    assert ("nsp_loss" in row) == ("because" not in why)
    assert read_model(tmp_path / "out").model.parts.next_sentence
    assert record(tmp_path / "out")["lineage"][-1]["recipe"]["examples"]["masked_unit"] == "token"


def test_what_cannot_be_is_refused_before_anything_is_written(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, field = tmp_path / "out", str(home / "field.jsonl")
    (tmp_path / "bare.jsonl").write_text('{"sentence": "The spoon.", "label": "any"}\n')
    (tmp_path / "cut.jsonl").write_text('{"text": "The spoon lies."}\n{"text": \n')
    (tmp_path / "one.jsonl").write_text('{"text": "The spoon lies."}\n')
    columns = "the columns are `sentence`, `label`; name it with --text-column, twice for pairs"
    faults = (
        "--set field.epoch: `field.epoch` is no setting; did you mean `epochs`?",
        "--set seed: `seed` is -1, but should be greater than or equal to 0",
    )
    cure = "part its documents by blank lines (.txt), or give one object a document (.jsonl)"
    cases = [
        ([], "there is nothing to adapt to; name a CORPUS of the field, or --task-data, or both"),
        ([str(tmp_path / "none.jsonl")], f"{tmp_path}/none.jsonl: no such file or folder"),
        (
            ["-"],
            "an adaptation reads its texts more than once, and standard input can be read only once; save it to a file",
        ),
        (
            ["--task-data", str(tmp_path / "bare.jsonl")],
            f"{tmp_path}/bare.jsonl:1: there is neither a column `text` nor `text_a` and `text_b`; {columns}",
        ),
        (
            [field, "--set", "examples.max_length=64"],
            "`examples.max_length` is 64, but the model has 48 positions; give --set examples.max_length=48 or less",
        ),
        (
            [field, "--set", "field.epoch=2", "--set", "seed=-1"],
            "\n".join(faults),
        ),
        (
            [field, "--general", str(tmp_path / "one.jsonl")],
            f"{tmp_path}/one.jsonl: holds 1 documents, and two are the least that can be measured on; {cure}",
        ),
        ([field, "--resume"], f"{out}: holds no run to go on with; start it without --resume"),
    ]
    for more, message in cases:
        assert main(adapting(home, out, *more)) == 2, more
        assert capsys.readouterr().err.endswith(f"bertwright: {message}\n"), more
        assert not out.exists(), more
    assert main(adapting(home, out, str(tmp_path / "cut.jsonl"))) == 2
    assert f"bertwright: {tmp_path}/cut.jsonl:2: " in told(capsys)[-1]
    assert not out.exists()
    assert main(adapting(home, home / "model", field)) == 2
    assert told(capsys) == [
        f"bertwright: {home}/model: is the model to start from, and would be lost; choose another --out"
    ]


def test_a_fault_leaves_what_was_prepared(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adapted"
    wish = adapting(home, out, str(home / "field.jsonl"), "--general", str(home / "general.jsonl"))

    def away(*_: object) -> None:
        raise CorpusError("the general text is away")

    with monkeypatch.context() as patch:
        patch.setattr(_Adaptation, "_general", away)
        assert main(wish) == 2
    assert told(capsys)[-2:] == [
        f"{out}: what was prepared is kept; go on with --resume",
        "bertwright: the general text is away",
    ]
    assert (out / "adapt" / "field" / "shards" / "manifest.json").exists()
    assert main([*wish, "--resume"]) == 0
    assert "field text: preparing" not in "".join(told(capsys))
    assert (out / "config.json").exists()


def test_an_adaptation_is_gone_on_with_as_it_began(
    home: Path, adapted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(both(home, adapted)) == 2
    what = "holds a finished run; go on with --resume, or begin anew with --overwrite"
    assert told(capsys) == [f"bertwright: {adapted}: {what}"]
    assert main([*both(home, adapted), "--resume", "--set", "field.epochs=5"]) == 2
    cure = "resume it with everything that it began with"
    assert told(capsys) == [f"bertwright: {adapted}: the run began otherwise: `epochs` was 4 and is 5; {cure}"]
    once = weights(adapted)
    assert main([*both(home, adapted), "--resume"]) == 0
    assert not [line for line in told(capsys) if "pretraining" in line]
    assert weights(adapted) == once


def test_a_second_process_is_refused(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bertwright.files import hold

    out = tmp_path / "adapted"
    (out / "run").mkdir(parents=True)
    arguments = both(home, out)
    with hold(out / "run"):
        assert main(arguments) == 2
    cure = "wait for it, or choose another name"
    assert told(capsys) == [f"bertwright: {out}/run: another process is writing this directory; {cure}"]
    assert [path.name for path in out.iterdir()] == ["run"]


def test_overwrite_leaves_nothing_of_the_one_before(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "adapted"
    files = ["--task-data", str(home / "task.jsonl"), "--steps", "2", "--set", "task.most_steps=2"]
    assert main(adapting(home, out, *files)) == 0
    (out / "adapt/task/shards/manifest.json").write_text("of another text")
    assert main(adapting(home, out, *files, "--overwrite")) == 0
    assert sorted(path.name for path in out.iterdir() if path.name.startswith(".")) == []
