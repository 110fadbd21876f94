"""The documentation of installed packages as data: a corpus, and passages labelled by their package."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bertwright.errors import CorpusError, RowError
from bertwright.files import write_atomic
from bertwright.progress import Progress
from bertwright.randomness import Stream
from bertwright.shards.write import belongs_to_held_out
from bertwright.text.duplicates import text_digest
from bertwright.text.installed_docs import LibraryReport, library_documents

VOCABULARY_SIZE = 8000
HELD_OUT = 0.08
LABELS = 12
ROWS_PER_LABEL = 100
DEV_ROWS_PER_LABEL = 60
LEAST_DEV_ROWS = 10
PASSAGE_WORDS = (25, 120)
# Some 2.6 million tokens.
_CHARACTERS = 12_500_000
_REPORT_EVERY = 100


def gather_documentation(path: Path, progress: Progress) -> None:
    """Write the documentation of all installed packages as a corpus, one module a line.

    Each line has `text`, `package` and `module`. Raises CorpusError where none is found.
    """
    report = LibraryReport()
    with progress.task("reading documentation", None, "modules") as task:

        def tell(done: int, total: int) -> None:
            if done % _REPORT_EVERY == 0:
                task.update(done, f"of {total:,}")

        lines = [
            json.dumps(
                {"text": "\n\n".join(document.paragraphs), "package": document.package, "module": document.module},
                ensure_ascii=False,
            )
            for document in library_documents(report, on_progress=tell)
        ]
    if not lines:
        raise CorpusError("found no documentation in the installed packages", cure="give your own text with --corpus")
    found, total = len(lines), sum(map(len, lines))
    if total > _CHARACTERS:
        # In a large environment there is more than a few minutes can use: a fixed random part of the modules is taken.
        order = Stream(0, "quickstart modules").permutation(len(lines))
        taken = np.cumsum([len(lines[number]) for number in order]) <= _CHARACTERS
        lines = [lines[number] for number in sorted(order[taken].tolist())]
    write_atomic(path, ("\n".join(lines) + "\n").encode("utf-8", "replace"))
    characters = sum(map(len, lines))
    progress.say(
        f"{len(lines):,} of {found:,} documented modules, {characters / 1e6:.1f} million characters -> {path}; "
        f"left out: {report.modules_without_text:,} modules without prose, {report.dropped_paragraphs:,} paragraphs "
        f"that are no prose, {report.duplicate_paragraphs:,} that stand elsewhere too, "
        f"{report.skipped_unreadable + report.skipped_huge:,} files unreadable or huge"
    )


def labelled_passages(corpus: Path, held_out: float) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Passages of such a corpus with their package, for the packages that have most: training rows and dev rows.

    The dev rows come from the modules that `prepare` keeps aside for the same share `held_out`, so neither pretraining
    nor fine-tuning has seen them. Raises RowError where fewer than two packages have enough.
    """
    train: dict[str, list[str]] = {}
    dev: dict[str, list[str]] = {}
    for line in corpus.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        paragraphs = tuple(row["text"].split("\n\n"))
        side = dev if belongs_to_held_out(text_digest(paragraphs), held_out) else train
        fitting = [p for p in paragraphs if PASSAGE_WORDS[0] <= len(p.split()) <= PASSAGE_WORDS[1]]
        side.setdefault(row["package"], []).extend(fitting)
    enough = [
        package
        for package in train
        if len(train[package]) >= ROWS_PER_LABEL and len(dev.get(package, ())) >= LEAST_DEV_ROWS
    ]
    chosen = sorted(enough, key=lambda package: (-len(dev[package]), package))[:LABELS]
    if len(chosen) < 2:
        raise RowError("too few packages are documented well enough here", cure="give your own text with --corpus")
    return (
        _drawn(train, chosen, ROWS_PER_LABEL, "quickstart train"),
        _drawn(dev, chosen, DEV_ROWS_PER_LABEL, "quickstart dev"),
    )


def _drawn(passages: dict[str, list[str]], packages: Sequence[str], limit: int, name: str) -> list[dict[str, str]]:
    """At most `limit` passages of each package, drawn at random but always the same ones."""
    rows = []
    for package in packages:
        order = Stream(0, f"{name} {package}").permutation(len(passages[package]))[:limit]
        rows += [{"text": passages[package][number], "label": package} for number in order.tolist()]
    return rows
