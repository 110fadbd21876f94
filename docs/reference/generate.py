"""Pages of the reference that are made from the code while the book is built, so that they cannot say something else.

`mkdocs.yml` names this file as a hook. The commands are what `--help` prints, the settings are the fields of the
classes with the comments that stand above them, the recipes are the files themselves.
"""

from __future__ import annotations

import ast
import importlib.resources
import inspect
import textwrap
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel
from typer.testing import CliRunner

import bertwright
from bertwright.cli.main import app
from bertwright.recipes.adapting.settings import AdaptSettings
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.recipe import PretrainRecipe, recipe_names
from bertwright.serving.settings import ServeSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from pydantic.fields import FieldInfo

# What stands in a --set of each command: its class, and the option that takes it.
SETTINGS: dict[str, tuple[type[BaseModel], str]] = {
    "pretrain": (PretrainRecipe, "a recipe of `pretrain`, and its `--set`"),
    "finetune": (FinetuneSettings, "`--set` and `--recipe` of `finetune`, `--set` of `ladder`"),
    "adapt": (AdaptSettings, "`--set` and `--recipe` of `adapt`, `--adapt-set` of `ladder`"),
    "serve": (ServeSettings, "`--set` of `serve`"),
}
# What the calls of the Python API give back.
_RESULTS = (
    "bertwright.inference.results.Filled",
    "bertwright.inference.results.Candidate",
    "bertwright.tasks.classify.Classified",
    "bertwright.tasks.tag.Tagged",
    "bertwright.tasks.tag.TaggedSpan",
    "bertwright.tasks.answer.Answered",
    "bertwright.tasks.answer.AnswerSpan",
    "bertwright.inference.results.Chosen",
    "bertwright.inference.results.Attention",
    "bertwright.recipes.inspection.Inspection",
)
_BOUNDS = {"Ge": ("ge", "at least"), "Gt": ("gt", "above"), "Le": ("le", "at most"), "Lt": ("lt", "below")}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the pages beside those that lie in the folder; mkdocs calls this before it looks at the navigation."""
    from mkdocs.structure.files import File  # the tests read the pages without mkdocs

    for name, page in PAGES.items():
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files


def verbs() -> list[str]:
    """Every verb, in the order of the life."""
    return [str(command.name) for command in app.registered_commands]


def help_of(verb: str) -> str:
    """What `--help` prints, as wide as a page is."""
    found = CliRunner().invoke(app, [verb, "--help"], prog_name="bertwright", terminal_width=100)
    assert found.exit_code == 0, found.output
    return found.output.strip()


def cli_page() -> str:
    """What `--help` says of each command."""
    lines = [
        "# Commands",
        "",
        "What `bertwright COMMAND --help` prints, in the order of the life. Results go to standard output, talk",
        "to standard error. Exit codes: 0 all well; 1 the machine could not do it (or, of `parity`, the two differ);",
        "2 the input is wrong, and one line says what, where and the cure; 130 or 143 stopped by a signal, and saved.",
        "",
    ]
    for verb in verbs():
        lines += [f"## {verb}", "", "```text", help_of(verb), "```", ""]
    return "\n".join(lines)


def settings_page() -> str:
    """Every setting of every command, with its type, default and comment."""
    lines = [
        "# Settings",
        "",
        "Each is written as `--set name=value`, or as a line of a TOML file; a table is written with a dot, as in",
        "`--set training.steps=1000`. A name or value that is not possible is refused before the work begins, all",
        "faults at once, each with its line. Where the default is *(none)*, the comment says what then holds.",
        "",
    ]
    for name, (settings, where) in SETTINGS.items():
        lines += [f"## {name}", "", f"For {where}.", ""]
        for table, inner in tables(settings):
            lines += (
                [f"### {name}: {table}" if table else f"### {name}: of its own", ""] if _has_tables(settings) else []
            )
            lines += [*_table(inner), ""]
    return "\n".join(lines)


def recipes_page() -> str:
    """The recipes that come with bertwright, as they lie."""
    lines = [
        "# Recipes",
        "",
        "`pretrain` takes one of these by name, or a file of the same form. `bertwright inspect NAME` shows the model.",
        "",
    ]
    for name in recipe_names():
        text = (importlib.resources.files("bertwright.recipes") / f"{name}.toml").read_text(encoding="utf-8")
        lines += [f"## {name}", "", "```toml", text.rstrip(), "```", ""]
    return "\n".join(lines)


def python_page() -> str:
    """The public names, with what they give back and raise."""
    lines = [
        "# Python",
        "",
        "`import bertwright` gives these names; everything else is inside the house and may change.",
        "",
    ]
    public = [name for name in bertwright.__all__ if name != "__version__"]
    for name in sorted(public, key=lambda name: (name != "load", name)):
        lines += [f"::: bertwright.{name}", ""]
    lines += [
        "## What comes back",
        "",
        "Frozen dataclasses, so that they can be compared, printed and turned into JSON.",
        "",
    ]
    for name in _RESULTS:
        lines += [f"::: {name}", "    options:", "      heading_level: 3", ""]
    lines += [
        "## Errors",
        "",
        "::: bertwright.errors",
        "    options:",
        "      show_root_heading: false",
        "      heading_level: 3",
        "",
    ]
    return "\n".join(lines)


PAGES = {"cli": cli_page, "settings": settings_page, "recipes": recipes_page, "python": python_page}


def tables(settings: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The class and those of its tables, each with its dotted name; a list of tables is written `[[name]]`."""
    yield prefix, settings
    for name, field in settings.model_fields.items():
        inner, several = _settings_of(field)
        if inner is not None:
            yield from tables(inner, f"[[{name}]]" if several else f"{prefix}.{name}".lstrip("."))


def keys(settings: type[BaseModel]) -> set[str]:
    """Every name that a --set may give."""
    return {
        f"{table}.{name}".lstrip(".")
        for table, inner in tables(settings)
        for name, field in inner.model_fields.items()
        if _settings_of(field)[0] is None
    }


def _has_tables(settings: type[BaseModel]) -> bool:
    return len(list(tables(settings))) > 1


def _settings_of(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    kind: Any = field.annotation
    several = get_origin(kind) is list
    if several:
        (kind,) = get_args(kind)
    return (kind, several) if isinstance(kind, type) and issubclass(kind, BaseModel) else (None, False)


def _table(settings: type[BaseModel]) -> list[str]:
    rows = ["| setting | kind | default | |", "|---|---|---|---|"]
    told = comments(settings)
    for name, field in settings.model_fields.items():
        if _settings_of(field)[0] is None:
            cells = [f"`{name}`", _kind(field), _default(field), told.get(name, "")]
            rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return rows if len(rows) > 2 else ["Tables alone, which follow.", ""]


def _kind(field: FieldInfo) -> str:
    kind = _named(field.annotation)
    bounds = [
        f"{words} {getattr(bound, attribute):,}"
        for bound in field.metadata
        for attribute, words in [_BOUNDS.get(type(bound).__name__, ("", ""))]
        if attribute
    ]
    return ", ".join([kind, *bounds])


def _named(kind: Any) -> str:
    """A type as a reader of TOML knows it."""
    plain = {int: "whole number", float: "number", bool: "`true` or `false`", str: "text", type(None): ""}
    if kind in plain:
        return plain[kind]
    if hasattr(kind, "__value__"):  # `type Name = ...`
        return _named(kind.__value__)
    parts = get_args(kind)
    if get_origin(kind) in (list, tuple):
        return f"list: {_named(parts[0])}"
    if parts and all(isinstance(part, str) for part in parts):
        return ", ".join(f"`{part}`" for part in parts)
    return " or ".join(filter(None, map(_named, parts))) if parts else str(kind)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "to be given"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return "*(none)*"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    return f"`{value}`" if isinstance(value, str) else "`[]`" if value in ([], ()) else f"{value:g}"


def comments(settings: type[BaseModel]) -> dict[str, str]:
    """The comment that stands above each field in the code, of a field that a class inherits too."""
    found: dict[str, str] = {}
    for each in reversed(settings.__mro__):
        if issubclass(each, BaseModel) and each is not BaseModel:
            found |= _own_comments(each)
    return found


def _own_comments(settings: type[BaseModel]) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(settings))
    lines = source.splitlines()
    (tree,) = ast.parse(source).body
    assert isinstance(tree, ast.ClassDef)
    fields = [node for node in tree.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]
    return {
        node.target.id: found
        for node in fields
        if isinstance(node.target, ast.Name) and (found := _above(lines, node.lineno))
    }


def _above(lines: Sequence[str], number: int) -> str:
    """The comment whose last line is the one before line `number`, counted from 1."""
    taken: list[str] = []
    for line in reversed(lines[: number - 1]):
        stripped = line.strip()
        if not stripped.startswith("#"):
            break
        taken.insert(0, stripped.removeprefix("#").strip())
    return " ".join(taken)
