from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from benchmarks.lab import documentation as under_test
from benchmarks.lab.documentation import documentation_shards
from bertwright.errors import CorpusError
from bertwright.progress import Silent
from bertwright.shards.read import open_shards
from tests.made_text import write_packages


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three packages of twenty modules, installed as far as anyone can see."""
    root = tmp_path / "packages"
    write_packages(root, 20)
    monkeypatch.setattr("bertwright.text.installed_docs.package_roots", lambda: [root])
    return root


def content(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_shards_of_documentation_are_made_once(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "not" / "there"
    shards = documentation_shards(out, Silent())
    assert shards == out / "shards"
    assert sorted(path.name for path in out.iterdir()) == ["corpus.jsonl", "shards", "vocab"]
    assert len((out / "corpus.jsonl").read_text().splitlines()) == 60
    manifest = open_shards(shards).manifest
    assert manifest.held_out_fraction == 0.08
    assert manifest.counts["documents"] == 60
    assert 0 < manifest.counts["held_out_documents"] < 20

    made = content(out)
    shutil.rmtree(packages)
    monkeypatch.setattr(under_test, "gather_documentation", lambda *_: pytest.fail("they are there"))
    assert documentation_shards(out, Silent()) == shards
    assert content(out) == made


@pytest.mark.parametrize("left", [["corpus.jsonl"], ["corpus.jsonl", "vocab"]])
@pytest.mark.usefixtures("packages")
def test_what_a_kill_left_is_made_anew(tmp_path: Path, left: list[str]) -> None:
    wanted, out = tmp_path / "wanted", tmp_path / "out"
    documentation_shards(wanted, Silent())
    out.mkdir()
    for name in left:
        path = wanted / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, out / name)
    # Packages came and went meanwhile.
    (out / "corpus.jsonl").write_text(json.dumps({"text": "Other packages were installed."}) + "\n")
    documentation_shards(out, Silent())
    assert content(out) == content(wanted)


def test_where_nothing_is_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bertwright.text.installed_docs.package_roots", list)
    with pytest.raises(CorpusError) as caught:
        documentation_shards(tmp_path, Silent())
    assert str(caught.value) == ("found no documentation in the installed packages; give your own text with --corpus")
    assert list(tmp_path.iterdir()) == []
