"""The book keeps its word: its commands run, what it names exists, every page is in it, and the two READMEs agree.

A page's shell blocks run in their order, with the numbers of steps made small, in a folder that holds what the first
hour leaves; its Python runs after them. The first hour itself, and the pages that make a tagger and an answerer, run
first.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from bertwright.cli.main import app
from docs.reference.generate import SETTINGS, help_of, keys, settings_page, verbs
from tests.made_tasks import (
    write_chinese,
    write_chinese_rows,
    write_folder,
    write_names,
    write_questions,
    write_texts,
)
from tests.made_text import tools, write_rows
from tests.warm_shell import WarmShell

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FIRST = ["tutorial/first-hour.md", "howto/no-answer.md", "howto/names-in-long-documents.md"]
CHINESE = "tutorial/chinese.md"
# Their Python is run by test_readme.py, after the commands that it belongs to.
ELSEWHERE = ["shards.md"]
SMALLER = [
    (r"training\.steps=\d+", "training.steps=20"),
    (r"training\.evaluate_every=\d+", "training.evaluate_every=10"),
    (r"most_steps=\d+", "most_steps=3"),
    (r"--steps \d+", "--steps 3"),
    (r"--extend \d+", "--extend 3"),
    (r"--seeds \d+", "--seeds 2"),
    (r"\bepochs=\d+", "epochs=1"),
    (
        r"(bertwright ladder .*)",
        r"\1 --rungs general,field --adapt-set field.most_steps=3 --adapt-set evaluation_examples=16 --set epochs=1",
    ),
    (r"(bertwright adapt .*)", r"\1 --set task.most_steps=3 --set examples.max_length=32 --set evaluation_examples=16"),
    # Timing trains; other processes would import all anew; an export to a graph takes longer than the questions.
    (r"(bertwright doctor .*)", r"\1 --no-timing"),
    (r"(bertwright (?:doctor|vocab|prepare|adapt|ladder) .*)", r"\1 --workers 1"),
    (r"(bertwright serve .*)", r"\1 --engine torch"),
    (
        r"(bertwright pretrain (?!.*bert-).*)",
        r"\1 --set model.preset=bert-tiny --set training.batch_size=8 --set evaluation_examples=16",
    ),
]
# What stands for any setting.
ANY = {"k", "key", "name"}
# Options of other programs that the book names.
FOREIGN = {
    "--nnodes", "--node-rank", "--nproc-per-node", "--master-addr", "--master-port", "--max-restarts", "--no-python",
    "--logdir", "--signal",
}  # fmt: skip


def pages() -> list[str]:
    """Every page that lies in the folder."""
    return sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))


def text_of(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def runs() -> list[str]:
    """The pages with something to run, but for those that run first."""
    return [
        page
        for page in pages()
        if page not in [*FIRST, *ELSEWHERE]
        and not page.startswith("experiments/")  # each is a job of hours, whose scripts have tests of their own
        and (blocks("sh", text_of(page)) or blocks("python", text_of(page)))
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, shell: WarmShell) -> Path:
    """What a reader has, and what the first pages leave."""
    home = tmp_path_factory.mktemp("book")
    write_folder(home / "text", 200)
    for number, name in enumerate(("train", "dev", "test")):
        write_rows(home / f"{name}.jsonl", 60 if name == "train" else 20, number)
        write_questions(home / f"questions.{name}.jsonl", 30, number)
        write_names(home / f"names.{name}.conll", 30, number)
    for page in FIRST:
        if "names" in page:
            write_texts(home / "documents.jsonl", 3, 0, sentences=60)
        follow(page, home, shell)
    return home


@pytest.fixture
def folder(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of that, with what a page needs beside it."""
    page, folder = request.getfixturevalue("page"), tmp_path / "home"
    if page == CHINESE:
        write_chinese(folder / "text", 300)
        write_chinese_rows(folder / "train.jsonl", 40, 1)
        write_chinese_rows(folder / "dev.jsonl", 20, 2)
        return folder
    shutil.copytree(home, folder)
    if page == "adapting.md":
        shutil.rmtree(folder / "classifier")  # the page makes one
    write_rows(folder / "few.jsonl", 30, 4)
    write_texts(folder / "unlabelled.jsonl", 60, 5)
    write_rows(folder / "rows.jsonl", 200, 7)
    for field in ("field.jsonl", "biology.jsonl"):
        (folder / field).write_text("".join(json.dumps({"text": text}) + "\n" for text in tools(60, 6)))
    shutil.copytree(folder / "model", folder / "quickstart/model")
    shutil.copy(folder / "field.jsonl", folder / "quickstart/corpus.jsonl")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", runs())
def test_its_commands_and_its_python_run(page: str, folder: Path, shell: WarmShell) -> None:
    if "uncased_L-12_H-768_A-12.zip" in text_of(page):
        released(folder, shell)
    follow(page, folder, shell)


def released(folder: Path, shell: WarmShell) -> None:
    """A checkpoint of the original code, packed as the released ones are."""
    done = shell.run("bertwright convert model uncased_L-12_H-768_A-12 --to google", folder)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(folder / "uncased_L-12_H-768_A-12.zip", "w") as packed:
        for path in sorted((folder / "uncased_L-12_H-768_A-12").iterdir()):
            packed.write(path, f"uncased_L-12_H-768_A-12/{path.name}")


def follow(page: str, folder: Path, shell: WarmShell) -> None:
    """Do what a reader of the page does, and end what is still running at its end."""
    text = text_of(page)
    written = "".join(blocks("sh", text))
    server = re.search(r"^bertwright serve .*", written, flags=re.MULTILINE)
    before, _, after = written.partition(server[0]) if server else (written, "", "")
    if server and shutil.which("curl") is None:
        pytest.skip("the page asks a server with curl, and there is none here")
    for commands in groups(before):
        run(commands, folder, shell)
    if server:
        with served(server[0], folder, shell) as address:
            # Any answer but 200 to 299 is then a fault of curl's.
            (folder / ".curlrc").write_text("fail\n")
            for commands in groups(after):
                run(commands.replace("localhost:8000", address.removeprefix("http://")), folder, shell)
    for code in blocks("python", text):
        done = shell.python(code, folder)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


def groups(written: str) -> list[str]:
    """Commands one by one, but those after an `if` with it, and lines that go on with the one before."""
    if "\nif " in f"\n{written}":
        return [written]
    return [line for line in written.replace("\\\n", " ").splitlines() if line.strip()]


def smaller(command: str) -> str:
    for pattern, instead in SMALLER:
        command = re.sub(pattern, instead, command)
    return command


def run(commands: str, folder: Path, shell: WarmShell) -> None:
    done = shell.run(smaller(commands), folder, CURL_HOME=str(folder))
    assert done.returncode == 0, f"{smaller(commands)}\n{done.stdout}\n{done.stderr}"


@contextmanager
def served(command: str, folder: Path, shell: WarmShell) -> Iterator[str]:
    """A server that the command starts, at a port that is free; told to stop, it ends with 0."""
    arguments = re.sub(r"--port \d+", "--port 0", smaller(command)).split()[1:]
    started = subprocess.Popen(
        [sys.executable, "-m", "bertwright", *arguments],
        cwd=folder,
        env=shell.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with started as process:
        assert process.stderr is not None
        messages = (json.loads(line)["message"] for line in process.stderr)
        yield next(message for message in messages if message.startswith("serving ")).rpartition(" ")[2]
        process.terminate()
        process.stderr.read()
        assert process.wait(60) == 0


def in_nav(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from in_nav(inner)


def test_every_page_is_in_the_navigation_once() -> None:
    # The hook's name is a path; no tag of YAML's that runs code stands in the file.
    nav = list(in_nav(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    made = {f"reference/{name}.md" for name in ("cli", "settings", "recipes", "python")}
    assert len(nav) == len(set(nav))
    assert set(nav) == set(pages()) | made


def test_the_book_is_built_without_a_warning(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    front = (tmp_path / "site/index.html").read_text(encoding="utf-8")
    # Nothing is fetched from elsewhere.
    assert re.findall(r'(?:src|href)="(https?://[^"]*\.(?:js|css|woff2?)[^"]*)"', front) == []
    assert "googleapis" not in front


@pytest.mark.parametrize("verb", verbs())
def test_the_reference_has_the_help_of_every_command(verb: str) -> None:
    assert "Example: " in help_of(verb)


def test_the_reference_has_every_setting() -> None:
    page = settings_page()
    for settings, _ in SETTINGS.values():
        for key in keys(settings):
            assert f"| `{key.rpartition('.')[2]}` |" in page
    assert [line for line in page.splitlines() if line.startswith("| `") and line.endswith("|  |")] == []


def options() -> dict[str, set[str]]:
    """The options of each verb."""
    group: Any = typer.main.get_command(app)
    return {
        name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        | {"--help", "-h"}
        for name, command in group.commands.items()
    }


WRITTEN = [*(f"docs/{page}" for page in pages()), "README.md", "README.zh.md", "CONTRIBUTING.md"]


def commands_in(text: str) -> list[str]:
    """Everything that begins with `bertwright VERB`, in a block or between backquotes, up to its end."""
    joined = re.sub(r"\\\n\s*", " ", text)
    inner = re.findall(r"`+([^`\n]*)`+", joined) + re.findall(r"^(?: {4}|\$ )?(.*bertwright .*)$", joined, re.MULTILINE)
    parts = [part.strip() for line in inner for part in re.split(r"\||&&|;", line.split("  #")[0])]
    matches = (re.search(r"(?:^|\$ |-m |exec |\d )bertwright ([a-z].*)", part) for part in parts)
    return [match[1] for match in matches if match]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_option_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    known = options()
    for command in commands_in(text):
        verb = max((verb for verb in known if f"{command} ".startswith(f"{verb} ")), key=len, default=None)
        if verb is None:
            continue
        given = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", command))
        assert given <= known[verb] | FOREIGN, f"bertwright {command}"
    folders = (ROOT / "benchmarks", ROOT / "experiments")
    scripts = "".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    everywhere = set().union(*known.values(), FOREIGN, re.findall(r'"(--[a-z-]+)"', scripts), {"--strict"})
    for code in re.findall(r"`(--[a-z][a-z-]*)", text):
        assert code in everywhere


@pytest.mark.parametrize("name", WRITTEN)
def test_every_setting_that_is_named_exists(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    of_verb = {verb: keys(settings) for verb, (settings, _) in SETTINGS.items()}
    of_verb["ladder"] = of_verb["finetune"]
    every = set().union(*of_verb.values())
    for command in commands_in(text):
        verb = command.split()[0]
        for option, key in re.findall(r"--(set|adapt-set) '?\"?([a-z_]+(?:\.[a-z_]+)*)=", command):
            allowed = of_verb["adapt"] if option == "adapt-set" else of_verb.get(verb, every)
            assert key in allowed | ANY, f"bertwright {command}"
    for key in re.findall(r"--(?:adapt-)?set '?\"?([a-z_]+(?:\.[a-z_]+)*)=", text):
        assert key in every | ANY
    for key in re.findall(r"`((?:training|machine|examples|field|task)\.(?!jsonl)[a-z_]+)", text):
        # Files of the rooms have such names too.
        assert key in every or (ROOT / "src/bertwright" / key.replace(".", "/")).with_suffix(".py").exists(), key


def test_the_chinese_readme_has_the_same_commands() -> None:
    english, chinese = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
    fenced = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
    assert fenced.findall(english) == fenced.findall(chinese)
    assert "(README.zh.md)" in english
    assert "(README.md)" in chinese


def test_links_of_the_readmes_lead_somewhere() -> None:
    for name in ("README.md", "README.zh.md"):
        for link in re.findall(r"\]\(([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
            assert link.startswith("https://") or (ROOT / link).exists(), f"{name}: {link}"


@pytest.mark.parametrize("page", pages())
def test_a_line_that_begins_with_a_hash_is_a_heading(page: str) -> None:
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    # A piece such as ##ia at the beginning of a line would become one.
    assert re.findall(r"^#+[^# \n].*", prose, flags=re.MULTILINE) == []


def test_every_picture_is_small_and_shown() -> None:
    shown = "".join(text_of(page) for page in pages())
    for picture in (DOCS / "concepts").glob("*.png"):
        assert picture.stat().st_size < 120_000
        assert picture.name in shown
