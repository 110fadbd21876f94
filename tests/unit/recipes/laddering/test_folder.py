from __future__ import annotations

import re
from pathlib import Path

import pytest

from bertwright.errors import ModelError, UserFault
from bertwright.recipes.laddering.folder import Folder, open_folder

IDENTITY = {"seeds": 3, "settings": {"epochs": 2}}


def begin(out: Path) -> None:
    with open_folder(out, IDENTITY, resume=False, overwrite=False) as folder:
        folder.seeds("field").mkdir(parents=True)


def test_what_a_kill_left_before_anything_was_begun_is_no_hindrance(tmp_path: Path) -> None:
    out = tmp_path / "ladder"
    (out / "rungs").mkdir(parents=True)
    (out / "rungs/.begun.json.bertwright-partial").write_text("{")
    begin(out)
    with open_folder(out, IDENTITY, resume=True, overwrite=False) as folder:
        assert folder.seeds("field").is_dir()


def test_a_kill_while_the_old_ladder_is_removed_leaves_none_to_go_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "ladder"
    begin(out)

    def killed(_: Folder) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "clear", killed)
        with pytest.raises(KeyboardInterrupt), open_folder(out, IDENTITY, resume=False, overwrite=True):
            pass
    message = f"{out}: was being cleared by --overwrite when that was killed; give it once more"
    with (
        pytest.raises(ModelError, match=f"^{re.escape(message)}$"),
        open_folder(out, IDENTITY, resume=True, overwrite=False),
    ):
        pass
    with open_folder(out, IDENTITY, resume=False, overwrite=True) as folder:
        assert not folder.seeds("field").exists()


@pytest.mark.parametrize(
    "made",
    [
        "field/model/adapt/field/shards.bertwright-partial/progress.json",
        "field/model/adapt/stages/field/run/checkpoints/step-00000010/state.json",
        "general/seeds/series/seed-0/config.json",
    ],
)
def test_what_took_its_time_is_work(tmp_path: Path, made: str) -> None:
    folder = Folder(tmp_path)
    (folder.rungs / made).parent.mkdir(parents=True)
    assert not folder.has_work
    (folder.rungs / made).write_text("{}")
    assert folder.has_work


def test_what_is_no_ladder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    message = f"{tmp_path}: exists and is not empty"
    for overwrite in (False, True):
        with (
            pytest.raises(UserFault, match=f"^{re.escape(message)}"),
            open_folder(tmp_path, IDENTITY, resume=False, overwrite=overwrite),
        ):
            pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]


def test_other_settings_are_named(tmp_path: Path) -> None:
    out = tmp_path / "ladder"
    begin(out)
    other = {"seeds": 3, "settings": {"epochs": 4}, "task": "x" * 100}
    what = f"`epochs` was 2 and is 4; `task` was None and is '{'x' * 76}..."
    message = f"{out}: the ladder began otherwise: {what}; resume it with everything that it began with"
    with (
        pytest.raises(ModelError, match=f"^{re.escape(message)}$"),
        open_folder(out, other, resume=True, overwrite=False),
    ):
        pass
