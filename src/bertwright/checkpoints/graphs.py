"""The graphs that a model may be exported to, each in a directory that looks like the model's but holds no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertwright.checkpoints.weights import holds_weights

if TYPE_CHECKING:
    from pathlib import Path

ONNX, OPENVINO, EXPORTED = "model.onnx", "openvino_model.xml", "model.pt2"
# The form of each, as `convert --to` names it.
FORM_OF = {ONNX: "onnx", OPENVINO: "openvino", EXPORTED: "torch-export"}


def graph_files(path: Path) -> list[Path]:
    """The files of the graph that a directory holds, such as one for its structure and one for its weights."""
    stems = tuple(name.rpartition(".")[0] + "." for name in FORM_OF)
    return sorted(file for file in path.iterdir() if file.is_file() and file.name.startswith(stems))


def graph_in(path: Path) -> str | None:
    """The form of the graph that a directory holds; None where it holds none, or has weights beside it."""
    if holds_weights(path):
        return None
    return next((form for name, form in FORM_OF.items() if (path / name).is_file()), None)
