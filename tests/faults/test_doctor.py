"""The doctor on what is no corpus: one line, exit code 2, nothing half-written; and stopped half way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bertwright.cli.main import main
from bertwright.lines import MAX_LINE_BYTES
from tests.made_text import prose, write_corpus, write_prose

Run = Callable[..., str]
# The command line with a document at a time, slowly, and a word when the first one is done.
SLOWLY = """
import sys, time
import bertwright.recipes.doctor.diagnosis as under_test
from bertwright.cli.main import main

def slowly(wish, when, original=under_test._heed):
    print("begun", file=sys.stderr, flush=True)
    time.sleep(0.2)
    original(wish, when)

under_test._heed, under_test._CHARACTERS_AT_ONCE = slowly, 500
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def fails(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a doctor that must fail with exit code 2; returns its one line."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main(["doctor", *map(str, arguments), "--no-timing", "--workers", "1"]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        told = [line for line in captured.err.splitlines() if line.startswith("bertwright: ")]
        assert len(told) == 1, captured.err
        return told[0].removeprefix("bertwright: ")

    return run


def test_an_empty_corpus(tmp_path: Path, fails: Run) -> None:
    corpus = tmp_path / "corpus.txt"
    for content in (b"", b"\n \n\n"):
        corpus.write_bytes(content)
        assert fails(corpus) == f"{corpus}: the corpus is empty: there is no text in it"


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        (
            "c.jsonl",
            "{\n[1]\n",
            "there is no text in the corpus: {}:1: this line is no JSON; one object a line is expected",
        ),
        (
            "c.jsonl",
            '{"body": "One. Two."}\n',
            (
                "there is no text in the corpus: {}:1: no text in the column `text`; the columns are `body`; "
                "name the column with --text-column"
            ),
        ),
        ("c.txt", "\0\1binary\0", "there is no text in the corpus: {}:1: this is a binary file, not text"),
        ("c.bin", "x", "{}: do not know how to read `.bin`; give .txt"),
    ],
)
def test_files_without_a_document_say_why(tmp_path: Path, fails: Run, name: str, content: str, what: str) -> None:
    corpus = tmp_path / name
    corpus.write_text(content)
    assert fails(corpus).startswith(what.format(corpus))


def test_places_that_are_none(tmp_path: Path, fails: Run) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 20)
    assert fails(tmp_path / "none.txt") == f"{tmp_path}/none.txt: no such file or folder"
    assert fails(corpus, "--vocab", tmp_path / "none").startswith(f"{tmp_path}/none: is no directory")
    assert fails(corpus, "--vocab", corpus).startswith(f"{corpus}: has no [PAD]")
    assert fails(corpus, "--language", "English").startswith("`--language` is 'English'")


def test_a_bad_line_stops_where_that_is_wanted(tmp_path: Path, fails: Run) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 20)
    corpus.write_text(corpus.read_text() + "{\n")
    assert fails(corpus, "--on-error", "stop").startswith(f"{corpus}:21: this line is no JSON")


def test_a_page_that_cannot_be_written_is_told_before_the_work(tmp_path: Path, fails: Run) -> None:
    corpus = write_corpus(tmp_path / "corpus.jsonl", 20)
    page = tmp_path / "page.html"
    assert fails(corpus, "--html", tmp_path) == f"{tmp_path}: is a directory"
    assert fails(corpus, "--html", tmp_path / "no/page.html") == f"{tmp_path}/no/page.html: its folder does not exist"
    page.write_text("mine")
    assert fails(corpus, "--html", page) == f"{page}: exists; choose another --html, or give --overwrite"
    assert page.read_text() == "mine"
    assert main(["doctor", str(corpus), "--no-timing", "--workers", "1", "--html", str(page), "--overwrite"]) == 0
    assert page.read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus.jsonl", "page.html"]


def test_one_giant_line_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = write_prose(tmp_path / "corpus.txt", prose(30))
    with documents.open("ab") as file:
        file.write(b"\n" + b"word " * (MAX_LINE_BYTES // 5 + 10) + b"\n")
    assert main(["doctor", str(documents), "--no-timing", "--workers", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["measures"]["documents"], found["measures"]["skipped"]) == (30, 1)
    assert "a line is longer than 64 MB" in found["measures"]["first_skipped"][0]


def test_odd_texts_are_no_traceback(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.jsonl"
    texts = [
        "\ud800 lone. Two.",
        "\u200b\u200b",
        "…",
        "\x00\x01",
        "a" * 100_000,
        "\U0010ffff\ufdd0",
        "\r\n\r\n\u2028.",
        "é" * 9,
    ]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    page = tmp_path / "page.html"
    assert main(["doctor", str(corpus), "--no-timing", "--workers", "1", "--html", str(page)]) == 0
    page.read_text(encoding="utf-8")
    # Two documents without a single word between them.
    corpus.write_text('{"text": "\\u200b"}\n{"text": "\\u200b"}\n')
    assert main(["doctor", str(corpus), "--no-timing", "--workers", "1"]) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_ends_it_with_one_line(tmp_path: Path, workers: str) -> None:
    corpus, page = write_prose(tmp_path / "corpus.jsonl", prose(300)), tmp_path / "page.html"
    command = [sys.executable, "-c", SLOWLY, "doctor", str(corpus), "--workers", workers, "--html", str(page)]
    # A group of its own, so that the signal reaches the workers too, as Ctrl-C does.
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "begun\n"
    os.killpg(process.pid, signal.SIGINT)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert out == ""
    assert "Traceback" not in told
    assert re.fullmatch(r"bertwright: stopped after \d+ documents; nothing was written", told.splitlines()[-1])
    assert not page.exists()
