"""Every command and line of Python in the README runs, in the order in which it stands there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bertwright.cli.main import main
from tests.made_text import write_corpus, write_rows
from tests.small_runs import shrink_quickstart
from tests.warm_shell import WarmShell

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SHARDS = (ROOT / "docs/shards.md").read_text(encoding="utf-8")


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `make quickstart` leaves behind, only smaller."""
    home = tmp_path_factory.mktemp("readme")
    write_corpus(home / "quickstart/corpus.jsonl", 500)
    write_rows(home / "quickstart/task/train.jsonl", 100, 1)
    write_rows(home / "quickstart/task/dev.jsonl", 30, 2)
    return home


def serve(command: str, home: Path) -> None:
    """Start a server, ask it, and tell it to stop."""
    # Another test may have the port.
    arguments = re.sub(r"--port \d+", "--port 0", command).split()[1:]
    started = [sys.executable, "-m", "bertwright", *arguments]
    with subprocess.Popen(started, cwd=home, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        messages = (json.loads(line)["message"] for line in process.stderr)
        address = next(message for message in messages if message.startswith("serving ")).rpartition(" ")[2]
        with urllib.request.urlopen(f"{address}/models") as answer:
            assert [model["name"] for model in json.loads(answer.read())] == ["model", "classifier"]
        process.terminate()
        process.stderr.read()
        assert process.wait(60) == 0


def test_the_commands_and_then_the_python(home: Path, shell: WarmShell) -> None:
    assert len(commands()) > 10
    for command in commands():
        if command.startswith("bertwright serve "):
            serve(command, home)
            continue
        done = shell.run(command, home)
        assert done.returncode == 0, f"{command}\n{done.stderr}"
    for code in blocks("python") + blocks("python", SHARDS):
        done = shell.python(code, home)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


def test_every_verb_is_in_the_readme() -> None:
    from bertwright.cli.main import app

    verbs = {str(command.name) for command in app.registered_commands}
    shown = set()
    for line in commands():
        command = line.split("bertwright ")[1]
        shown.add(max((verb for verb in verbs if command.startswith(verb)), key=len))
    assert shown == verbs - {"quickstart"}


def test_the_tree_names_every_room() -> None:
    source = Path(__file__).parents[2] / "src/bertwright"
    rooms = {path.name for path in source.iterdir() if (path / "__init__.py").exists()}
    modules = {path.name for path in source.glob("*.py") if not path.name.startswith("__")}
    named = set(re.findall(r"^  (\w+)/ ", README, flags=re.MULTILINE))
    assert named == rooms
    assert modules == set(re.findall(r"^  (\w+\.py) ", README, flags=re.MULTILINE))


def test_quickstart_on_ones_own_text(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shrink_quickstart(monkeypatch)
    out = home / "own"
    assert (
        main(["quickstart", "--corpus", str(home / "quickstart/corpus.jsonl"), "--out", str(out), "--minutes", "0.5"])
        == 0
    )
    told = capsys.readouterr().out
    assert "hidden words guessed right" in told
    assert f"bertwright fill {out}/model" in told
    summary = json.loads((out / "quickstart.json").read_text())
    assert summary["held_out"]["mlm_accuracy"] > 0
    assert summary["classifier"] is None
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert main(["quickstart", "--out", str(out)]) == 2
