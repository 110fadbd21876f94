"""The last part of a model card: how to use the model, in commands and code that run as they stand.

They are run from the folder that the directory lies in.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from bertwright.checkpoints.graphs import EXPORTED, ONNX, OPENVINO

if TYPE_CHECKING:
    from bertwright.heads.model import Bert

_TEXTS = ("The ferry leaves at nine.", "Nobody takes it.")
_QUESTION = ("When does the ferry leave?", _TEXTS[0])
_MASKED = "The [MASK] leaves at nine."


def usage_part(name: str, model: Bert, record: dict[str, Any], form: str = "hf") -> list[str]:
    """Lines of Markdown for a directory called `name`; form: as `convert --to` names it."""
    graphs = {
        "onnx": _onnx(name),
        "openvino": _openvino(name, record.get("precision", "")),
        "torch-export": _exported(name),
    }
    if form in graphs:
        ours = [] if form == "torch-export" else _with_ours(name, model, record)
        return ["", "## Use", *ours, "", *_code("python", graphs[form])]
    if form == "google":
        return ["", "## Use", "", *_code("sh", [f"bertwright convert {shlex.quote(name)} {shlex.quote(name + '-hf')}"])]
    if form == "sentence-transformers":
        texts = _quoted(list(_TEXTS))
        theirs = [
            "from sentence_transformers import SentenceTransformer",
            "",
            f"print(SentenceTransformer({_quoted(name)}).encode({texts}))",
        ]
        lines = _code("python", _own(name, f"model.embed({texts})"))
        return ["", "## Use", "", *lines, "", *_code("python", theirs)]
    lines = ["", "## Use", *_with_ours(name, model, record)]
    if record.get("task") == "choice":
        return lines
    return [*lines, "", *_code("python", _transformers(name, model, record))]


def _with_ours(name: str, model: Bert, record: dict[str, Any]) -> list[str]:
    """The command and the Python of this project."""
    if record.get("task") == "choice":
        call = f"model.choose({_quoted(_TEXTS[0])}, {_quoted(list(_TEXTS))})"
        return ["", *_code("python", _own(name, call))]
    command, call = _ours(name, model, record)
    return ["", *_code("sh", [command]), "", *_code("python", _own(name, call))]


def _own(name: str, call: str) -> list[str]:
    return ["import bertwright", "", f"model = bertwright.load({_quoted(name)})", f"print({call})"]


def _ours(name: str, model: Bert, record: dict[str, Any]) -> tuple[str, str]:
    """A command, and a call of the model in Python."""
    path, parts, task = shlex.quote(name), model.parts, record.get("task")
    if parts.spans:
        row = dict(zip(("question", "context"), _QUESTION, strict=True))
        return _predict(row, path), f"model.answer({_quoted(_QUESTION[0])}, {_quoted(_QUESTION[1])})"
    if parts.tags:
        return _predict(_row(record, 1), path), f"model.tag([{_quoted(_TEXTS[0])}])"
    if parts.labels:
        row = _row(record, 2 if task == "pair" else 1)
        if task in ("regress", "multilabel"):
            return _predict(row, path), f"list(model.predict([{_quoted(row)}]))"
        texts = f"({', '.join(map(_quoted, _TEXTS))})" if task == "pair" else _quoted(_TEXTS[0])
        return _predict(row, path), f"model.classify([{texts}])"
    if parts.masked_words and task != "embed":
        return f"bertwright fill {path} {shlex.quote(_MASKED)}", f"model.fill({_quoted(_MASKED)})"
    return (
        f"echo {shlex.quote(_TEXTS[0])} | bertwright embed {path} --out vectors.npy",
        f"model.embed({_quoted(_TEXTS)})",
    )


def _row(record: dict[str, Any], count: int) -> dict[str, str]:
    """A row with the columns of the training, or with the usual ones."""
    columns = record.get("columns", {}).get("texts") or (["text"] if count == 1 else ["text_a", "text_b"])
    return dict(zip(map(str, columns), _TEXTS, strict=False))


def _predict(row: dict[str, str], path: str) -> str:
    return f"echo {shlex.quote(_quoted(row))} | bertwright predict {path}"


def _transformers(name: str, model: Bert, record: dict[str, Any]) -> list[str]:
    parts = model.parts
    kind, text, remarks = "AutoModel", _quoted(_TEXTS[0]), []
    if (temperature := record.get("temperature", 1)) != 1:
        remarks.append(f"# The probabilities above are the softmax of these scores divided by {temperature:.6g}.")
    if parts.labels:
        kind = "AutoModelForSequenceClassification"
    elif parts.tags and not parts.lstm:
        kind = "AutoModelForTokenClassification"
    elif parts.spans:
        kind, text = "AutoModelForQuestionAnswering", ", ".join(map(_quoted, _QUESTION))
    elif parts.masked_words:
        kind, text = "AutoModelForMaskedLM", _quoted(_MASKED)
    return [
        f"from transformers import {kind}, AutoTokenizer",
        "",
        f"tokenizer = AutoTokenizer.from_pretrained({_quoted(name)})",
        f"model = {kind}.from_pretrained({_quoted(name)})",
        # Without a head, and without a pooler that anything was learnt by, the tokens' vectors are what it says.
        f'print(model(**tokenizer({text}, return_tensors="pt")){".last_hidden_state" if kind == "AutoModel" else ""})',
        *remarks,
    ]


def _inputs(name: str) -> list[str]:
    return [
        f"tokenizer = AutoTokenizer.from_pretrained({_quoted(name)})",
        f'inputs = tokenizer({_quoted(_TEXTS)}, padding=True, return_tensors="np")',
    ]


def _onnx(name: str) -> list[str]:
    return [
        "from onnxruntime import InferenceSession",
        "from transformers import AutoTokenizer",
        "",
        *_inputs(name),
        f"session = InferenceSession({_quoted(f'{name}/{ONNX}')})",
        "for output, array in zip(session.get_outputs(), session.run(None, dict(inputs))):",
        "    print(output.name, array.shape)",
    ]


def _openvino(name: str, precision: str) -> list[str]:
    hint = "bf16" if precision == "bf16" else "f32"
    return [
        "from openvino import Core",
        "from transformers import AutoTokenizer",
        "",
        *_inputs(name),
        f'hint = {{"INFERENCE_PRECISION_HINT": "{hint}"}}',
        f'model = Core().compile_model({_quoted(f"{name}/{OPENVINO}")}, "CPU", hint)',
        "for output, array in model(dict(inputs)).items():",
        "    print(output.get_any_name(), array.shape)",
    ]


def _exported(name: str) -> list[str]:
    return [
        "import torch",
        "from transformers import AutoTokenizer",
        "",
        *(line.replace('"np"', '"pt"') for line in _inputs(name)),
        f"model = torch.export.load({_quoted(f'{name}/{EXPORTED}')}).module()",
        'print(model(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"]))',
    ]


def _quoted(value: Any) -> str:
    """As Python has it, and JSON too."""
    return json.dumps(value, ensure_ascii=False)


def _code(language: str, lines: list[str]) -> list[str]:
    return [f"```{language}", *lines, "```"]
