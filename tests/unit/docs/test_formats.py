"""What the pages on formats say of rows is what the code reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bertwright.recipes.finetuning.assembly import TASKS
from bertwright.records import TABLES
from bertwright.tasks.questions import read_questions
from bertwright.tasks.rows import FIELDS, LABEL_COLUMN, Kind, read_rows
from bertwright.tasks.tagged_rows import COLUMN_FILES, read_tagged

DOCS = Path(__file__).parents[3] / "docs"
KINDS: dict[str, Kind] = {"multilabel": "labels", "regress": "score"}


def table(page: str) -> dict[str, str]:
    """The lines of a page's table of tasks, by the task."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return {found[1]: line for line in lines if (found := re.match(r"\| `(\w+)` \| ", line)) and found[1] in TASKS}


def test_every_task_is_described() -> None:
    assert tuple(table("finetuning.md")) == tuple(table("reference/formats.md")) == TASKS


@pytest.mark.parametrize("task", TASKS)
def test_the_example_of_a_task_is_read(task: str, tmp_path: Path) -> None:
    found = re.search(r"`(\{.*\})` \|$", table("reference/formats.md")[task])
    assert found, task
    example = json.loads(found[1])
    for name in example:
        assert f"`{name}`" in table("reference/formats.md")[task]
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(example) + "\n")
    if task == "tag":
        assert len(read_tagged(path).rows) == 1
    elif task == "answer":
        assert len(read_questions(path).rows[0].answers) == 1
    else:
        label = LABEL_COLUMN[task] if LABEL_COLUMN[task] in example else None
        assert any(list(example)[: len(fields)] == list(fields) for fields in FIELDS[task])
        assert len(read_rows(path, FIELDS[task][0], label, KINDS.get(task, "class"))) == 1


def test_every_ending_is_named() -> None:
    page = (DOCS / "finetuning.md").read_text(encoding="utf-8")
    assert {ending for ending in (*TABLES, *COLUMN_FILES) if f"`{ending}`" not in page} == set()
