"""The layout of sentence-transformers: a model directory that also says how a text becomes one vector.

modules.json                 the modules in order: a Transformer, a Pooling and perhaps a Normalize
sentence_bert_config.json    the length that texts are cut at
1_Pooling/config.json        the mean of the tokens, or [CLS]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bertwright.errors import ModelError
from bertwright.files import read_json, read_json_list

if TYPE_CHECKING:
    from pathlib import Path

MODULES = "modules.json"
LENGTHS = "sentence_bert_config.json"
POOLING = "1_Pooling"
NORMALIZE = "2_Normalize"
# Those that we have; in bertwright.json they have the same names.
_POOLINGS = ("mean", "cls")


@dataclass(frozen=True, slots=True)
class SentenceLayout:
    """What the files say. transformer: where the encoder lies. record: what bertwright.json would hold.

    unused: modules and settings that have no place here, so that vectors would not be those of the original.
    lowercase: texts are put in lower case before they are tokenized.
    """

    transformer: Path
    record: dict[str, Any]
    unused: tuple[str, ...] = ()
    lowercase: bool = False


def read_sentence_layout(path: Path) -> SentenceLayout | None:
    """The layout of a directory, None where it is not one of sentence-transformers. Raises ModelError."""
    if not (path / MODULES).exists():
        return None
    modules = [_Module.of(each, path) for each in read_json_list(path / MODULES, ModelError)]
    if not modules or modules[0].kind != "Transformer":
        raise ModelError("its first module is no Transformer", where=path / MODULES)
    transformer = path / modules[0].path
    lengths = _read_if_there(transformer / LENGTHS)
    record: dict[str, Any] = {"task": "embed", "pooling": "mean"}
    unused = []
    for module in modules[1:]:
        if module.kind == "Pooling":
            modes = _modes(_read_if_there(path / module.path / "config.json"))
            if len(modes) == 1 and modes[0] in _POOLINGS:
                record["pooling"] = modes[0]
            else:
                unused.append(f"{module.path} (pooling {' and '.join(modes) or 'of no kind'})")
        elif module.kind == "Normalize":
            record["normalize"] = True
        else:
            unused.append(f"{module.path} ({module.kind})")
    longest = lengths.get("max_seq_length")
    if type(longest) is int and longest >= 8:
        record["max_length"] = longest
    return SentenceLayout(transformer, {} if unused else record, tuple(unused), lengths.get("do_lower_case") is True)


@dataclass(frozen=True, slots=True)
class _Module:
    path: str
    kind: str

    @classmethod
    def of(cls, values: Any, path: Path) -> _Module:
        where, kind = (values.get(key) for key in ("path", "type")) if isinstance(values, dict) else (None, None)
        if not isinstance(where, str) or not isinstance(kind, str) or not re.fullmatch(r"(?!\.\.?$)[\w.-]*", where):
            what = f"{values!r} is no module with a `type` and a `path` within the directory"
            raise ModelError(what, where=path / MODULES, cure="copy it again")
        # Of `sentence_transformers.models.Pooling` and its longer names of later versions.
        return cls(where, kind.rpartition(".")[2])


def _modes(config: dict[str, Any]) -> list[str]:
    """How tokens are pooled: the old files have a switch for each way, the new ones a name or several."""
    given = config.get("pooling_mode")
    if given is not None:
        return [str(mode) for mode in given] if isinstance(given, list) else [str(given)]
    on = [key.removeprefix("pooling_mode_") for key, value in config.items() if value is True and "mode" in key]
    return [{"cls_token": "cls", "mean_tokens": "mean"}.get(mode, mode) for mode in on] or ["mean"]


def _read_if_there(path: Path) -> dict[str, Any]:
    return read_json(path, ModelError) if path.exists() else {}
