from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bertwright.cli.main import main
from bertwright.recipes.doctor.summary import about
from tests.made_text import prose
from tests.unit.recipes.html_page import Tags

HOSTILE = "<script>alert('x')</script> & \"more\" \x1b[31m of it on each page."


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    corpus = folder / "a<b>&c.jsonl"
    rows = [json.dumps({"text": f"{' '.join(document)}\n{HOSTILE}"}) for document in prose(60)]
    corpus.write_text("\n".join(rows) + "\n")
    page = folder / "page.html"
    assert main(["doctor", str(corpus), "--no-timing", "--workers", "1", "--html", str(page)]) == 0
    return page.read_text()


def test_the_page_is_whole_and_stands_alone(html: str) -> None:
    tags = Tags(html)
    assert not tags.open
    assert html.startswith("<!doctype html>")
    assert tags.seen.count("svg") >= 5
    assert not re.search(r"""(src|href)=|url\(|@import|https?:""", html)
    assert "prefers-color-scheme: dark" in html


def test_what_the_corpus_says_is_text_and_nothing_else(html: str) -> None:
    tags = Tags(html)
    assert "script" not in tags.seen
    assert "b" in tags.seen  # ours
    assert "<script>alert('x')</script>" in tags.text
    assert "a<b>&c.jsonl" in tags.text
    assert "\x1b" not in html
    assert "default-src 'none'" in html


def test_findings_stand_on_top(html: str) -> None:
    assert html.index('class="findings"') < html.index("<svg") < html.index("<table")
    assert "boilerplate" in html[: html.index("<svg")]


def test_the_terminal_gets_no_escape_sequence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus.jsonl"
    texts = [f"{' '.join(document)}\n{HOSTILE}" for document in prose(10)]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert main(["doctor", str(corpus), "--no-timing", "--workers", "1"]) == 0
    told = capsys.readouterr().out
    assert "<script>alert" in told
    assert "\x1b" not in told


def test_times_as_one_says_them() -> None:
    found = [about(seconds) for seconds in (0.04, 9, 59, 100, 6000, 2 * 86400, 400 * 86400)]
    assert found == ["0.0 s", "9.0 s", "59 s", "1.7 min", "1.7 h", "2.0 days", "1.1 years"]
