"""Bad input: one line with the cause, the place and the cure, exit code 2, and nothing half-written.

(One long file: all refusals side by side, of one small model, so that one sees which are tested and how they sound.)
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

import bertwright
from bertwright.checkpoints.model_directory import read_model, write_model
from bertwright.cli.main import main
from bertwright.errors import UserFault
from bertwright.heads.model import Parts
from tests.made_text import write_corpus, write_rows
from tests.unit.checkpoints.small import TOKENIZER, small_model

Run = Callable[..., str]


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line that must fail with exit code 2; returns its one line."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        told = [line for line in captured.err.splitlines() if line.startswith("bertwright: ")]
        assert len(told) == 1, captured.err
        assert "Traceback" not in captured.err
        return told[0].removeprefix("bertwright: ")

    return run


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vocabulary, shards and a small model."""
    home = tmp_path_factory.mktemp("bad")
    corpus = write_corpus(home / "corpus.jsonl", 40)
    assert main(["vocab", str(corpus), "--size", "120", "--out", str(home / "vocab")]) == 0
    assert main(["prepare", str(corpus), "--vocab", str(home / "vocab"), "--out", str(home / "shards")]) == 0
    settings = ["--set", "model.preset=bert-tiny", "--set", "training.steps=1", "--set", "training.batch_size=2"]
    arguments = ["--data", str(home / "shards"), "--out", str(home / "model"), *settings]
    assert main(["pretrain", "quickstart", *arguments]) == 0
    return home


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the corpus is empty: there is no word in it"),
        (b"\n\n  \n", "the corpus is empty: there is no word in it"),
        (b"plain\nand\0binary\n", "corpus.txt:2: this is a binary file, not text; give text in UTF-8"),
        (
            b"good\nna\xefve\n",
            (
                "corpus.txt:2: bytes that are not UTF-8 (0xef at byte 3 of the line); "
                "convert the file, as in: iconv -f latin1 -t utf-8"
            ),
        ),
    ],
)
def test_a_corpus_that_is_none(tmp_path: Path, fails: Run, content: bytes, what: str) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_bytes(content)
    assert fails("vocab", corpus, "--out", tmp_path / "vocab").endswith(what)
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


def test_a_corpus_of_one_document(home: Path, tmp_path: Path, fails: Run) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("The whale of the sea sleeps.\nThe crab of the sea eats.\n")
    message = fails("prepare", corpus, "--vocab", home / "vocab", "--out", tmp_path / "shards")
    assert message == (
        f"{corpus}: the corpus is a single document, and next-sentence negatives come from another one; "
        "part its documents by blank lines (.txt), or give one object a document (.jsonl)"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.txt"]


def test_an_empty_corpus_for_shards(home: Path, tmp_path: Path, fails: Run) -> None:
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("")
    message = fails("prepare", corpus, "--vocab", home / "vocab", "--out", tmp_path / "shards")
    assert message == f"{corpus}: the corpus is empty: there is no text in it"
    assert not (tmp_path / "shards").exists()


def test_a_corpus_of_single_tokens(home: Path, tmp_path: Path, fails: Run) -> None:
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text('{"text": "whale"}\n' * 5)
    arguments = ["--vocab", home / "vocab", "--out", tmp_path / "shards", "--held-out", "0"]
    assert main(["prepare", str(corpus), *map(str, arguments)]) == 0
    message = fails("pretrain", "quickstart", "--data", tmp_path / "shards", "--out", tmp_path / "out")
    assert "none of the documents holds two tokens" in message
    assert not (tmp_path / "out").exists()


def test_too_few_documents_to_keep_some_aside(home: Path, tmp_path: Path, fails: Run) -> None:
    for seed in range(20):
        corpus = tmp_path / f"{seed}.jsonl"
        corpus.write_text("".join(json.dumps({"text": f"The whale eats. {seed} {n}"}) + "\n" for n in range(3)))
        arguments = [
            "prepare",
            corpus,
            "--vocab",
            home / "vocab",
            "--out",
            tmp_path / f"out{seed}",
            "--held-out",
            "0.5",
        ]
        if main([str(argument) for argument in arguments]) == 2:
            assert "too few to keep some aside" in fails(*arguments)
            return
    pytest.fail("no such split came up")


def test_an_unknown_label_in_dev_leaves_nothing(home: Path, tmp_path: Path, fails: Run) -> None:
    train = write_rows(tmp_path / "train.jsonl", 20, 0)
    dev = tmp_path / "dev.jsonl"
    dev.write_text('{"text": "The whale.", "label": "--1"}\n')
    task = ["--task", "classify", "--train", train, "--dev", dev, "--out", tmp_path / "out"]
    assert fails("finetune", home / "model", *task).startswith(f"{dev}:1: the label '--1' is unknown")
    assert not (tmp_path / "out").exists()


def test_a_lone_surrogate_goes_in_and_comes_out(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 20, 0)
    task = ["--task", "classify", "--train", str(rows), "--dev", str(rows), "--out", str(tmp_path / "out")]
    assert main(["finetune", str(home / "model"), *task, "--set", "epochs=1"]) == 0
    (tmp_path / "odd.jsonl").write_text('{"text": "a\\ud800 whale"}\n')
    assert main(["predict", str(tmp_path / "out"), str(tmp_path / "odd.jsonl")]) == 0
    assert json.loads(capsys.readouterr().out)["text"] == "a? whale"


def test_a_padded_vocabulary_gives_no_words_that_are_not_there(home: Path, tmp_path: Path) -> None:
    assert main(["convert", str(home / "model"), str(tmp_path / "copy")]) == 0
    vocabulary = tmp_path / "copy/vocab.txt"
    vocabulary.write_text("".join(f"{line}\n" for line in vocabulary.read_text().splitlines()[:-3]))
    assert main(["fill", str(tmp_path / "copy"), "The [MASK].", "--top", "500"]) == 0


def test_what_is_for_rows_is_not_for_shards(home: Path, fails: Run) -> None:
    message = fails("evaluate", home / "model", home / "shards", "--text-column", "text", "--on-error", "skip")
    assert message == (
        f"{home / 'shards'}: --text-column, --on-error: for labelled rows, and this is a shard directory; leave it out"
    )


def test_a_vocabulary_that_does_not_match_the_shards(home: Path, tmp_path: Path, fails: Run) -> None:
    other = write_corpus(tmp_path / "corpus.jsonl", 20)
    assert main(["vocab", str(other), "--size", "90", "--out", str(tmp_path / "vocab")]) == 0
    assert main(["prepare", str(other), "--vocab", str(tmp_path / "vocab"), "--out", str(tmp_path / "shards")]) == 0
    arguments = ["--data", tmp_path / "shards", "--out", tmp_path / "out", "--init", home / "model"]
    assert fails("pretrain", "quickstart", *arguments) == (
        f"{home / 'model'}: the vocabulary does not match the shards: they were made with another one; "
        f"prepare the corpus with --vocab {home / 'model'}"
    )
    vocabulary = tmp_path / "shards/tokenizer/vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "zebra\n")
    message = fails("pretrain", "quickstart", "--data", tmp_path / "shards", "--out", tmp_path / "out")
    assert message.startswith(f"{vocabulary}: the vocabulary does not match the shards")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["fill", "predict", "evaluate", "embed", "finetune", "inspect", "convert"])
def test_a_directory_that_is_missing_or_foreign(tmp_path: Path, fails: Run, verb: str) -> None:
    (tmp_path / "foreign").mkdir()
    rows = write_rows(tmp_path / "rows.jsonl", 10, 0)
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", tmp_path / "out"]
    rest: dict[str, list[object]] = {
        "fill": ["[MASK]"],
        "predict": [rows],
        "evaluate": [rows],
        "embed": [rows, "--out", tmp_path / "out.npy"],
        "finetune": task,
        "inspect": [],
        "convert": [tmp_path / "out"],
    }
    for name, what in (("missing", "no such"), ("foreign", "holds no config.json, so it is no model directory")):
        message = fails(verb, tmp_path / name, *rest[verb])
        assert message.startswith(f"{tmp_path / name}: {what}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["foreign", "rows.jsonl"]


def test_shards_that_are_missing_or_foreign(home: Path, tmp_path: Path, fails: Run) -> None:
    for data, what in ((tmp_path / "none", "no such directory"), (home / "vocab", "holds no manifest.json")):
        message = fails("pretrain", "quickstart", "--data", data, "--out", tmp_path / "out")
        assert message.startswith(f"{data}: {what}")
        assert "bertwright prepare" in message
    assert not (tmp_path / "out").exists()


def test_every_fault_of_a_recipe_at_once(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        '[model]\npreset = "bert-tiny"\n\n[examples]\nmax_lenght = 64\n\n'
        '[training]\nsteps = "many"\nlearning_rate = -1\n'
    )
    assert main(["pretrain", str(recipe), "--data", str(home / "shards"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"bertwright: {recipe}:5: `examples.max_lenght` is no setting; did you mean `max_length`?",
        f"{recipe}:8: `training.steps` is 'many', but should be a valid integer",
        f"{recipe}:9: `training.learning_rate` is -1, but should be greater than 0",
    ]
    assert not (tmp_path / "out").exists()


def test_a_shape_that_does_not_fit_together_comes_with_the_other_faults(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text('[model]\npreset = "bert-tiny"\nhidden_size = 100\nnum_attention_heads = 3\n\n[training]\n')
    assert main(["pretrain", str(recipe), "--data", str(home / "shards"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"bertwright: {recipe}:1: `model`: `hidden_size` 100 is no multiple of `num_attention_heads` 3",
        f"{recipe}: `training.steps` is missing",
    ]


def test_a_length_over_512(home: Path, tmp_path: Path, fails: Run) -> None:
    arguments = ["--data", home / "shards", "--out", tmp_path / "out", "--set", "examples.max_length=513"]
    assert fails("pretrain", "quickstart", *arguments) == (
        "--set examples.max_length: `examples.max_length` is 513, but should be less than or equal to 512"
    )
    rows = write_rows(tmp_path / "rows.jsonl", 10, 0)
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", tmp_path / "out"]
    assert "should be less than or equal to 512" in fails("finetune", home / "model", *task, "--set", "max_length=600")
    long = "The whale " * 300 + "[MASK]"
    assert fails("fill", home / "model", long) == (
        "the text is 603 tokens long, the model takes 128; give the part around the [MASK]"
    )


def test_a_label_column_that_is_absent(home: Path, tmp_path: Path, fails: Run) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text,klass\nThe whale.,sea\n")
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", tmp_path / "out"]
    assert fails("finetune", home / "model", *task) == (
        f"{rows}:2: there is no column `label`; the columns are `text`, `klass`; "
        "label every row, or name the column with --label-column"
    )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["rows", "rows.jsonl", "rows.parquet"])
def test_rows_that_are_a_folder(home: Path, tmp_path: Path, fails: Run, name: str) -> None:
    rows = tmp_path / name
    rows.mkdir()
    task = ["--train", rows, "--dev", rows, "--out", tmp_path / "out"]
    told = f"{rows}: is a directory, not a file"
    for each in ("classify", "tag", "answer"):
        assert fails("finetune", home / "model", "--task", each, *task).startswith(told)


def test_what_is_wrong_with_the_directory_is_told_before_rows_are_read(home: Path, tmp_path: Path, fails: Run) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("no row")
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", home]
    assert "exists and is not empty" in fails("finetune", home / "model", *task)
    assert "which this command never makes" in fails("finetune", home / "model", *task, "--overwrite")


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("rows.jsonl", "", "holds no rows"),
        ("rows.jsonl", '{"text": "a", "label": "x"}\n{"text": "b"\n', ":2: this line is no JSON"),
        ("rows.jsonl", '{"text": 3, "label": "x"}\n', ":1: `text` is 3, not a string"),
        (
            "rows.jsonl",
            '{"text": "a", "label": null}\n',
            ":1: `label` is None, not a label; label the row, or remove it",
        ),
        ("rows.csv", "text,label\na,x,y\n", ":2: this row has 3 columns, the header 2"),
        ("rows.csv", "text,label\na,x\nb,x\n", "all rows have the label 'x'; two labels or more are needed"),
        ("rows.parquet", "PAR1", "cannot be read as Parquet: "),
        ("rows.xls", "", "do not know how to read rows from `.xls`; give .jsonl, .csv, .tsv or .parquet"),
    ],
)
def test_rows_that_are_none(home: Path, tmp_path: Path, fails: Run, name: str, content: str, what: str) -> None:
    rows = tmp_path / name
    rows.write_text(content)
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", tmp_path / "out"]
    assert what in fails("finetune", home / "model", *task)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("rows", "more", "message"),
    [
        ("anna O\n", [], "train.conll: every word is tagged O, so there is nothing to find; give rows with spans"),
        ("anna B-x\n", ["--text-column", "1", "--text-column", "2"], "`tag` reads 1 column, but 2 are named: 1, 2;"),
        ("anna X-x\n", [], "train.conll:1: the tag 'X-x' fits no scheme; a tag is O, or B-,"),
        (
            "anna B-x\n",
            ["--set", "tag_features=last-four", "--set", "freeze=1"],
            '`freeze` is 1, but `tag_features = "last-four"` freezes the whole encoder',
        ),
    ],
)
def test_tags_that_are_none(home: Path, tmp_path: Path, fails: Run, rows: str, more: list[str], message: str) -> None:
    train, dev = tmp_path / "train.conll", tmp_path / "dev.conll"
    train.write_text(rows)
    dev.write_text("anna B-x\n")
    task = ["--task", "tag", "--train", train, "--dev", dev, "--out", tmp_path / "out"]
    assert message in fails("finetune", home / "model", *task, *more)
    assert not (tmp_path / "out").exists()


def test_settings_that_a_task_does_not_look_at_are_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 3, 0)
    task = ["--task", "regress", "--train", rows, "--dev", rows, "--out", tmp_path / "out"]
    sets = ["--set", "tag_features=last-four", "--set", "class_weights=balanced", "--set", "epochs=1"]
    assert main(["finetune", *map(str, (home / "model", *task, *sets))]) == 2
    assert capsys.readouterr().err.splitlines()[-2:] == [
        (
            "bertwright: `class_weights` is 'balanced', but it is for classify and pair and multilabel and tag, "
            "and not for regress"
        ),
        "`tag_features` is 'last-four', but it is for tag, and not for regress",
    ]
    assert not (tmp_path / "out").exists()


def test_a_head_that_is_not_there(home: Path, tmp_path: Path, fails: Run) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 3, 0)
    message = "has no head for a task; fine-tune one with: bertwright finetune MODEL --task classify"
    assert message in fails("predict", home / "model", rows)
    assert "the text has no [MASK]" in fails("fill", home / "model", "Nothing to fill.")


def test_an_out_that_cannot_be_written_is_told_before_the_work(home: Path, tmp_path: Path, fails: Run) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 3, 0)
    missing = tmp_path / "no/such/vectors.npy"
    told = f"{missing}: its folder does not exist; make it, or choose another --out"
    assert fails("embed", home / "model", rows, "--out", missing) == told
    assert fails("embed", home / "model", rows, "--out", tmp_path).startswith(
        f"{tmp_path}: vectors are written as .npy"
    )


def test_an_out_that_holds_something(home: Path, tmp_path: Path, fails: Run) -> None:
    (tmp_path / "precious.txt").write_text("keep me")
    for arguments in (
        ["vocab", home / "corpus.jsonl", "--out", tmp_path],
        ["prepare", home / "corpus.jsonl", "--vocab", home / "vocab", "--out", tmp_path],
        ["pretrain", "quickstart", "--data", home / "shards", "--out", tmp_path],
        ["convert", home / "model", tmp_path],
    ):
        assert fails(*arguments) == f"{tmp_path}: exists and is not empty; choose another name, or give --overwrite"
    assert (
        fails("quickstart", "--out", tmp_path, "--overwrite")
        == f"{tmp_path}: exists and is not empty; choose another --out"
    )
    assert (tmp_path / "precious.txt").read_text() == "keep me"


def test_overwrite_replaces_only_what_the_command_makes(home: Path, tmp_path: Path, fails: Run) -> None:
    vocab = ["vocab", home / "corpus.jsonl", "--size", 120, "--out", tmp_path / "vocab"]
    shards = ["prepare", home / "corpus.jsonl", "--vocab", home / "vocab", "--out", tmp_path / "shards"]
    copy = ["convert", home / "model", tmp_path / "copy"]
    for arguments, out in ((vocab, "vocab"), (shards, "shards"), (copy, "copy")):
        assert main([*map(str, arguments)]) == 0
        assert main([*map(str, arguments), "--overwrite"]) == 0
        (tmp_path / out / "precious.txt").write_text("keep me")
        assert "holds `precious.txt`, which this command never makes" in fails(*arguments, "--overwrite")
        assert (tmp_path / out / "precious.txt").read_text() == "keep me"
    # Where there is no run of ours, nothing that looks like one is taken for it.
    project = tmp_path / "project"
    (project / "run" / "checkpoints").mkdir(parents=True)
    (project / "run" / "checkpoints" / "x").write_text("keep me")
    pretrain = ["pretrain", "bert-tiny", "--data", home / "shards", "--out", project, "--overwrite"]
    assert "holds `run`, which this command never makes" in fails(*pretrain)
    quickstart = tmp_path / "quickstart"
    (quickstart / "model").mkdir(parents=True)
    (quickstart / "model" / "mine").write_text("keep me")
    (quickstart / "quickstart.json").write_text('{"a": 1}')
    assert "is no file of a quickstart" in fails("quickstart", "--out", quickstart, "--overwrite")
    (quickstart / "quickstart.json").write_text('{"unigram_baseline": {}}')
    assert "holds `mine`, which this command never makes" in fails("quickstart", "--out", quickstart, "--overwrite")
    assert (quickstart / "model" / "mine").read_text() == "keep me"


def test_the_model_to_start_from_is_never_the_one_to_write(home: Path, tmp_path: Path, fails: Run) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 20, 0)
    model = home / "model"
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", model, "--overwrite"]
    message = f"{model}: is the model to start from, and would be lost; choose another --out"
    assert fails("finetune", model, *task) == message
    arguments = ["--data", home / "shards", "--init", model, "--out", model, "--overwrite"]
    assert fails("pretrain", "bert-tiny", *arguments) == message


def test_columns_of_ones_own_are_remembered(
    home: Path, tmp_path: Path, fails: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("review,feeling\n" + "The whale sleeps.,good\nThe goat eats.,bad\n" * 4)
    task = ["--task", "classify", "--train", rows, "--dev", rows, "--out", tmp_path / "out", "--set", "epochs=1"]
    assert "there is no column `text`; the columns are `review`, `feeling`; name it with --text-column" in fails(
        "finetune", home / "model", *task
    )
    named = [*map(str, task), "--text-column", "review", "--label-column", "feeling"]
    assert main(["finetune", str(home / "model"), *named]) == 0
    assert main(["evaluate", str(tmp_path / "out"), str(rows)]) == 0
    assert main(["predict", str(tmp_path / "out"), str(rows)]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["review"] == "The goat eats."
    assert "`classify` reads 1 column(s), but 2 are named: a, b" in fails(
        "evaluate", tmp_path / "out", rows, "--text-column", "a", "--text-column", "b"
    )
    semicolons = tmp_path / "semicolons.csv"
    semicolons.write_text("text;label\na;b\n")
    task[3], task[7] = semicolons, tmp_path / "other"
    assert "the cells are parted by something else" in fails("finetune", home / "model", *task)


def test_rows_from_standard_input_are_all_scored(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 20, 0)
    task = ["--task", "classify", "--train", str(rows), "--dev", str(rows), "--out", str(tmp_path / "out")]
    assert main(["finetune", str(home / "model"), *task, "--set", "epochs=1"]) == 0
    (tmp_path / "out/bertwright.json").unlink()  # a foreign directory does not tell its task
    assert main(["evaluate", str(tmp_path / "out"), str(rows), "--json"]) == 0
    from_file = capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(rows.read_bytes())))
    assert main(["evaluate", str(tmp_path / "out"), "-", "--json"]) == 0
    assert capsys.readouterr().out == from_file


def test_python_is_told_too(home: Path) -> None:
    model = bertwright.load(home / "model")
    with pytest.raises(UserFault, match="a list of texts is expected, and this is one text; put it into a list"):
        model.embed("dog cat")
    with pytest.raises(UserFault, match="`pooling` is 'max'; it is one of mean, cls"):
        model.embed(["dog"], "max")  # type: ignore[arg-type]  # what the test is about
    with pytest.raises(UserFault, match="has no head for a task"):
        model.predict([])


def test_a_language_that_is_none(home: Path, tmp_path: Path, fails: Run) -> None:
    arguments = ["--vocab", home / "vocab", "--out", tmp_path / "out", "--language", "English"]
    assert fails("prepare", home / "corpus.jsonl", *arguments) == (
        "`--language` is 'English', which is no language code; give one as en, de or zh"
    )


def test_a_text_that_can_be_read_only_once(tmp_path: Path, fails: Run) -> None:
    message = fails("quickstart", "--corpus", "-", "--out", tmp_path / "out")
    assert message == "the text is read several times, and standard input only once; save it to a file"
    assert not (tmp_path / "out").exists()


def test_a_corpus_that_would_hold_what_is_made_of_it(tmp_path: Path, fails: Run) -> None:
    write_corpus(tmp_path / "corpus/a.jsonl", 5)
    for corpus, out in (("corpus", "corpus/out"), ("corpus/a.jsonl", "corpus"), ("corpus", "corpus")):
        message = fails("quickstart", "--corpus", tmp_path / corpus, "--out", tmp_path / out)
        assert message == (
            f"{tmp_path / corpus}: what is read and what is written lie in each other; choose another --out"
        )


def test_lines_to_fill_are_named(home: Path, fails: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"Nothing.\n")))
    message = fails("fill", home / "model", "-")
    assert message == 'standard input:1: the text has no [MASK]; as in "The capital of France is [MASK]."'


@pytest.mark.parametrize(
    ("name", "change", "what"),
    [
        ("bertwright.json", {"lineage": {"step": "pretrain"}}, "`lineage` must be a list of objects with a `step`"),
        ("bertwright.json", {"lineage": ["pretrain"]}, "`lineage` must be a list of objects with a `step`"),
        ("config.json", {"id2label": ["sea", "farm"]}, "`id2label` must be an object of names"),
        ("config.json", {"id2label": {"0": "sea", "1": "sea"}}, "`id2label` gives two classes one name"),
        ("bertwright.json", {"task": []}, "`task` is [], which no command writes"),
        ("bertwright.json", {"max_length": True}, "`max_length` must be a number of tokens, but is True"),
        ("bertwright.json", {"columns": {"texts": 5}}, "`columns` is {'texts': 5}, which no command writes"),
        ("bertwright.json", {"columns": {"label": ["a", 1]}}, "`columns` is {'label': ['a', 1]}, which no command"),
        ("bertwright.json", {"temperature": 0}, "`temperature` is 0, which no command writes"),
        ("bertwright.json", {"max_windows": 0}, "`max_windows` is 0, which no command writes"),
        ("bertwright.json", {"temperature": float("nan")}, "`temperature` is nan, which no command writes"),
        ("config.json", {"hidden_size": 10**9, "num_attention_heads": 1}, "should be less than or equal to 131072"),
        ("tokenizer_config.json", {"tokenizer_class": ["x"]}, "`tokenizer_class` must be BertTokenizer"),
    ],
)
def test_odd_files_in_a_model_directory(
    home: Path, tmp_path: Path, fails: Run, name: str, change: dict[str, object], what: str
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 20, 0)
    task = ["--task", "classify", "--train", str(rows), "--dev", str(rows), "--out", str(tmp_path / "out")]
    assert main(["finetune", str(home / "model"), *task, "--set", "epochs=1"]) == 0
    path = tmp_path / "out" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    message = fails("predict", tmp_path / "out", rows)
    assert message.startswith(f"{path}: ")
    assert what in message


@pytest.mark.parametrize("change", [{"data": 1}, {"adaptation": "x"}])
def test_a_record_that_no_card_can_be_made_of(
    home: Path, tmp_path: Path, fails: Run, change: dict[str, object]
) -> None:
    assert main(["convert", str(home / "model"), str(tmp_path / "copy")]) == 0
    record = tmp_path / "copy" / "bertwright.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | change))
    message = fails("convert", tmp_path / "copy", tmp_path / "again")
    assert "bertwright.json says what no command writes" in message
    assert not (tmp_path / "again").exists()


def test_a_problem_of_no_name_is_no_task(tmp_path: Path) -> None:
    write_model(tmp_path, small_model(Parts(labels=2)), TOKENIZER, labels=("no", "yes"))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"problem_type": ["x"]}))
    assert read_model(tmp_path).task == ""


def test_a_recipe_of_another_version_in_the_record(home: Path, tmp_path: Path, fails: Run) -> None:
    assert main(["convert", str(home / "model"), str(tmp_path / "copy")]) == 0
    path = tmp_path / "copy/bertwright.json"
    path.write_text(json.dumps({"lineage": [{"step": "pretrain", "recipe": {"examples": {"of": "tomorrow"}}}]}))
    shards = ["--vocab", str(home / "vocab"), "--out", str(tmp_path / "shards"), "--held-out", "0.3"]
    assert main(["prepare", str(home / "corpus.jsonl"), *shards]) == 0
    assert fails("evaluate", tmp_path / "copy", tmp_path / "shards") == (
        f"{path}: the recipe of its pretraining holds no example settings that this version knows; "
        "remove the file to score it as the paper does"
    )
    path.unlink()
    assert main(["evaluate", str(tmp_path / "copy"), str(tmp_path / "shards")]) == 0


def test_a_pair_for_a_model_of_single_texts(home: Path, tmp_path: Path, fails: Run) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", 20, 0)
    task = ["--task", "classify", "--train", str(rows), "--dev", str(rows), "--out", str(tmp_path / "out")]
    assert main(["finetune", str(home / "model"), *task, "--set", "epochs=1"]) == 0
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"text_a": "The whale.", "text_b": "The crab."}\n')
    assert fails("predict", tmp_path / "out", pairs) == (
        f"{pairs}:1: there is no column `text`; the columns are `text_a`, `text_b`; name it with --text-column"
    )


def test_a_full_memory_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch has it."""

    for fault in (MemoryError(), OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: can't allocate memory")):

        def run(_: object, fault: Exception = fault) -> None:
            raise fault

        monkeypatch.setattr("bertwright.cli.main.app", run)
        assert main([]) == 1
        assert capsys.readouterr().err.startswith("bertwright: the memory is full; ")
    monkeypatch.setattr("bertwright.cli.main.app", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main([])


def test_a_model_whose_vocabulary_was_swapped(home: Path, tmp_path: Path, fails: Run) -> None:
    assert main(["convert", str(home / "model"), str(tmp_path / "copy")]) == 0
    vocabulary = tmp_path / "copy/vocab.txt"
    vocabulary.write_text(vocabulary.read_text() + "".join(f"word{number}\n" for number in range(200)))
    assert "put the vocabulary there that the model was trained with" in fails("fill", tmp_path / "copy", "[MASK]")


def test_the_card_and_the_record_are_written(home: Path) -> None:
    record = json.loads((home / "model/bertwright.json").read_text())
    assert [step["step"] for step in record["lineage"]] == ["vocabulary", "prepare", "pretrain"]
    assert "## How it came to be" in (home / "model/README.md").read_text()
