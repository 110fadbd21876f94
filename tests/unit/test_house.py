"""The house keeps its own rules: imports run one way, every dependency is pinned, every decision is listed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bertwright.version import VERSION

ROOT = Path(__file__).resolve().parents[2]


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contract of our pyproject.toml on the `bertwright` package inside `folder`."""
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--config", str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_room_imports_only_from_rooms_above_it() -> None:
    result = check_imports(ROOT / "src")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("file", "line", "complaint"),
    [
        ("errors.py", "import bertwright.cli", "bertwright.errors -> bertwright.cli"),
        ("attic.py", "", "bertwright.attic"),
    ],
    ids=["an import that runs against the house", "a room without a place"],
)
def test_the_contract_would_notice(tmp_path: Path, file: str, line: str, complaint: str) -> None:
    package = shutil.copytree(ROOT / "src" / "bertwright", tmp_path / "bertwright")
    with (package / file).open("a", encoding="utf-8") as source:
        source.write(f"{line}\n")
    result = check_imports(tmp_path)
    assert result.returncode == 1
    assert complaint in result.stdout


def pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_starts(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / script, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


def test_every_constraint_is_exact_and_serves_every_build() -> None:
    assert pins()[0] == "torch==2.13.0"
    # `==1.2` takes 1.2+cpu and 1.2+cu126 alike; a local label would take one of them only.
    assert [pin for pin in pins() if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)] == []
    assert pins()[1:] == sorted(pins()[1:], key=str.lower)


def test_every_installed_dependency_is_pinned() -> None:
    pinned = {canonicalize_name(pin.partition("==")[0]) for pin in pins()}
    needed: set[str] = set()
    waiting = [("bertwright", "dev"), ("bertwright", "report")]
    seen = set(waiting)
    while waiting:
        name, extra = waiting.pop()
        for requirement in map(Requirement, requires(name) or []):
            if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
                continue
            wanted = canonicalize_name(requirement.name)
            if re.match(r"nvidia-|cuda-|triton$", wanted):
                continue  # a CUDA build of torch names these itself, each exactly
            needed.add(wanted)
            new = {(wanted, each) for each in ("", *requirement.extras)} - seen
            seen |= new
            waiting.extend(new)
    assert needed - pinned - {"bertwright"} == set()
    assert pinned - needed == set()


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", (folder / "README.md").read_text(encoding="utf-8"))
    assert listed == sorted(path.name for path in folder.glob("[0-9]*.md"))


def test_the_workflow_is_the_gate_and_no_more() -> None:
    steps = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["gate"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]
    assert os.access(ROOT / ".ci/run", os.X_OK)


def test_the_citation_is_of_this_version() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == VERSION


def test_every_extra_is_tried_in_an_empty_environment() -> None:
    # The trial itself installs torch for each of them: make wheels.
    done = subprocess.run(
        [sys.executable, ROOT / ".ci" / "try_wheel.py", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
