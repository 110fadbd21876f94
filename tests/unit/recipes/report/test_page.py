from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertwright.cli.main import main
from tests.unit.recipes.html_page import Tags
from tests.unit.recipes.report.made_runs import IDENTITY, pretraining, tuning, write_run

HOSTILE = "<script>alert('x')<b>&\x1b[31m"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two runs, the one hostile in all that it says, and the other a fine-tuning."""
    folder = tmp_path_factory.mktemp("report")
    rows = [*pretraining(), {"step": 100, "event": f"stopped {HOSTILE}"}, {"step": 100, HOSTILE: 1.0}]
    hostile = write_run(folder / HOSTILE, rows, identity=IDENTITY | {HOSTILE: HOSTILE})
    tuned = write_run(folder / "tuned", list(tuning()), identity={"settings": {"epochs": 3}})
    return report(folder / "page.html", hostile, tuned)


def report(page: Path, *runs: Path) -> str:
    assert main(["report", *map(str, runs), "--out", str(page)]) == 0
    return page.read_text()


def panel(html: str, title: str) -> str:
    """The first figure of that title."""
    return next(part for part in html.split("<figure>") if part.startswith(f"<figcaption><b>{title}</b>"))


def test_the_page_is_whole_and_stands_alone(html: str) -> None:
    tags = Tags(html)
    assert not tags.open
    assert html.startswith("<!doctype html>")
    assert not re.search(r"""(src|href)=|url\(|@import|https?:""", html)
    assert "prefers-color-scheme: dark" in html
    assert "default-src 'none'" in html


def test_what_runs_say_is_text_and_nothing_else(html: str) -> None:
    tags = Tags(html)
    assert "script" not in tags.seen
    assert "<script>alert('x')<b>&" in tags.text
    assert "\x1b" not in html
    # Not even as an attribute: a plot is named for its figure, and a figure may be called anything.
    assert "<script" not in html


def test_every_figure_has_its_panel(html: str) -> None:
    titles = re.findall(r"<figcaption><b>(.*?)</b>", html)
    assert titles[:8] == [
        "masked-word loss", "masked-word accuracy", "next-sentence loss", "next-sentence accuracy", "loss", "accuracy",
        "macro F1", "Matthews correlation",
    ]  # fmt: skip
    assert titles[8:12] == ["masked-word accuracy", "masked-word loss", "never", "1k–10k times"]
    assert titles[12:15] == ["learning rate", "gradient norm before clipping", "throughput"]
    assert titles[15].startswith("&lt;script&gt;")


def test_curves_are_told_apart_without_colour(html: str) -> None:
    accuracy = panel(html, "learning rate")
    lines = re.findall(r'<polyline fill="none" class="(s\d)" stroke="#\w+"(?: stroke-dasharray="(.*?)")?', accuracy)
    assert set(lines) == {("s0", ""), ("s1", "7 3")}
    marks = [
        re.findall(r'<path class="f\d" fill="#\w+" d="[^"]*?([avhl])', key) for key in html.split('class="key"')[1:3]
    ]
    assert marks[0] != marks[1]


def test_training_and_what_was_measured(html: str) -> None:
    loss = panel(html, "masked-word loss")
    assert "nats; thin: training; with marks: held out" in loss
    assert ", held out at step 50: 9" in loss
    assert ", held out at step 100: 8.5" in loss
    # The bands' words and losses: 2 of 14 and 6 of 4.
    assert "unigram baseline" in loss
    assert "chance" in panel(html, "next-sentence accuracy")
    assert "with marks: dev" in panel(html, "accuracy")
    assert "tuned, dev at step 20: 80%" in panel(html, "accuracy")


def test_bands_at_the_end(html: str) -> None:
    at_the_end, bands, _ = html.split("Accuracy by word frequency</h2>")[1].split("<h2>", 2)
    assert ">never</text>" in at_the_end
    assert ">1k–10k</text>" in at_the_end
    assert "held out: 50%" not in at_the_end
    assert ": 50%</title>" in at_the_end
    assert ": 11</title>" in at_the_end
    assert "<b>never</b> 2 hidden words" in bands
    assert "<b>1k–10k times</b> 6 hidden words" in bands


def test_along_steps_and_time_and_tokens_where_they_are_known(html: str, tmp_path: Path) -> None:
    assert re.findall(r'<input [^>]*id="axis-(\w+)"( checked)?', html) == [("steps", " checked"), ("seconds", "")]
    counted = write_run(tmp_path / "counted", [{"step": 3, "loss": 1.0, "tokens_seen": 384}])
    page = report(tmp_path / "page.html", counted)
    assert re.findall(r'<input [^>]*id="axis-(\w+)"', page) == ["steps", "tokens"]
    # A choice of one is none.
    alone = write_run(tmp_path / "alone", [{"step": 3, "loss": 1.0}])
    assert "<label" not in report(tmp_path / "page.html", alone)


def test_share_of_peak_where_it_was_recorded(html: str, tmp_path: Path) -> None:
    assert "share of the device" not in html
    measured = write_run(tmp_path / "a", [{"step": 3, "share_of_peak": 0.41}, {"step": 6, "share_of_peak": 0.4}])
    assert ">40%<" in panel(report(tmp_path / "page.html", measured), "share of the device&#x27;s peak")


def test_events_are_listed_and_marked(html: str) -> None:
    assert "<h2>What happened</h2>" in html
    assert "stopped &lt;script&gt;" in panel(html, "masked-word loss")
    # Not where the run has no curve.
    assert "stopped" not in panel(html, "macro F1")


def test_a_long_run_makes_no_long_page(tmp_path: Path) -> None:
    short = report(tmp_path / "short.html", write_run(tmp_path / "short", list(pretraining(2000))))
    long = report(tmp_path / "long.html", write_run(tmp_path / "long", list(pretraining(200_000))))
    assert "Curves of more than 200 reports are drawn as 200 means" in long
    assert "Curves of more than" not in short
    assert "<polygon" in panel(long, "masked-word loss")
    assert len(long) < 2 * len(short)


def test_very_many_events_make_no_long_page(tmp_path: Path) -> None:
    rows = [{"step": 1, "loss": 1.0}, *({"step": step, "event": "skipped"} for step in range(1, 20_000))]
    assert len(report(tmp_path / "page.html", write_run(tmp_path / "a", rows))) < 100_000


def test_marks_that_would_cover_each_other_are_one(tmp_path: Path) -> None:
    happened = [{"step": step, "event": f"skipped {step}"} for step in (1, 2, 900)]
    page = report(tmp_path / "page.html", write_run(tmp_path / "a", [{"step": 1000, "loss": 1.0}, *happened]))
    assert re.findall(r"<g><title>a: (skipped \d+)", panel(page, "loss")) == ["skipped 1", "skipped 900"]
    assert "<td>skipped 2</td>" in page


def test_what_is_not_drawn_is_told(tmp_path: Path) -> None:
    rows = ["nothing", {"step": 1, "loss": 1.0, "gradient_norm": float("inf")}]
    page = report(tmp_path / "page.html", write_run(tmp_path / "a", rows))
    assert "a: 1 lines of metrics.jsonl are no reports, and were left out." in page
    assert "a: gradient_norm was infinite or no number in 1 reports, and is not drawn there." in page


def test_baselines_of_runs_on_other_texts(tmp_path: Path) -> None:
    rows = list(pretraining())
    one = write_run(tmp_path / "one", rows)
    for row in rows:
        if "held_out_by_frequency" in row:
            row["held_out_by_frequency"] = [
                band | {"unigram_loss": band["unigram_loss"] + 1} for band in row["held_out_by_frequency"]
            ]
    page = report(tmp_path / "page.html", one, write_run(tmp_path / "two", rows))
    assert "unigram, one" in panel(page, "masked-word loss")
    assert "unigram, two" in panel(page, "masked-word loss")
    assert "words and baseline of one, for the texts differ" in page


def test_only_a_report_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, page = write_run(tmp_path / "a", [{"step": 1, "loss": 1.0}]), tmp_path / "page.html"
    report(page, run)
    assert report(page, run)
    mine = tmp_path / "mine.html"
    mine.write_text("<!doctype html>")
    capsys.readouterr()
    for out, message in (
        (mine, "exists, and is no report that may be replaced; choose another --out"),
        (tmp_path, "is a directory; give --out a file"),
        (tmp_path / "no/page.html", "its folder does not exist"),
    ):
        assert main(["report", str(run), "--out", str(out)]) == 2
        assert capsys.readouterr().err == f"bertwright: {out}: {message}\n"
    assert mine.read_text() == "<!doctype html>"
