"""Other libraries as engines: so that a comparison does not rest on our own reading of a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.sentence_layout import MODULES
from bertwright.errors import ModelError
from bertwright.files import read_json, read_json_list
from bertwright.hub import located
from bertwright.inference.engines.engine import Arrays
from bertwright.inference.outputs import inputs_of
from bertwright.tokens.layout import read_tokenizer


class TransformersEngine:
    """A directory, loaded by transformers as it lies: the class that its config.json names, and AutoTokenizer."""

    form = "transformers"
    task = ""

    def __init__(self, path: Path) -> None:
        path = _directory(path)
        library = _library("transformers", path)
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
        names = read_json(path / CONFIG, ModelError).get("architectures") or ["BertModel"]
        name = names[0] if isinstance(names, list) else names
        kind = getattr(library, str(name), None) if re.fullmatch(r"Bert(Model|For\w+)", str(name)) else None
        if kind is None:
            raise ModelError(f"`architectures` names {name!r}, which is no BERT of transformers", where=path / CONFIG)
        self.vocabulary = read_tokenizer(path).vocabulary
        with _faults("transformers", path):
            self._tokenizer = library.AutoTokenizer.from_pretrained(path, local_files_only=True)
            self._model = kind.from_pretrained(path, dtype=torch.float32, local_files_only=True).eval()
        self.longest = min(512, self._model.config.max_position_embeddings)
        self.segments = self._model.config.type_vocab_size

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without [CLS] and [SEP]."""
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU, in fp32."""
        inputs = inputs_of(batch)
        if "MultipleChoice" in type(self._model).__name__:
            # (batch, choices, length)
            inputs = {name: tensor[:, None] for name, tensor in inputs.items()}
        with torch.inference_mode():
            found = self._model(**inputs, output_hidden_states=True)
        arrays = {
            name: value.numpy() for name, value in found.items() if isinstance(value, torch.Tensor) and name != "loss"
        }
        return {"last_hidden_state": found["hidden_states"][-1].numpy(), **arrays}


class SentenceTransformersEngine:
    """A directory, loaded by sentence-transformers as it lies."""

    form = "sentence-transformers"
    task = "embed"

    def __init__(self, path: Path) -> None:
        path = _directory(path)
        quiet = _library("transformers", path).utils.logging
        quiet.set_verbosity_error()
        quiet.disable_progress_bar()
        library = _library("sentence_transformers", path)
        _refuse_foreign_code(path)
        with _faults("sentence-transformers", path):
            self._model = library.SentenceTransformer(
                str(path), device="cpu", local_files_only=True, trust_remote_code=False
            )
            transformer = self._model[0].auto_model
            self._tokenizer = self._model.tokenizer
        self.vocabulary = read_tokenizer(path).vocabulary
        self.longest = self._model.max_seq_length
        self.segments = transformer.config.type_vocab_size

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without [CLS] and [SEP]."""
        found: list[int] = self._tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"]
        return found

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU, in fp32."""
        with torch.inference_mode():
            found = self._model(inputs_of(batch))
        return {
            "last_hidden_state": found["token_embeddings"].float().numpy(),
            "sentence_embedding": found["sentence_embedding"].float().numpy(),
        }


def _refuse_foreign_code(path: Path) -> None:
    """Some versions import a module's class from the directory itself, whoever wrote it."""
    for module in read_json_list(path / MODULES, ModelError):
        kind = module.get("type") if isinstance(module, dict) else None
        if not isinstance(kind, str) or not kind.startswith("sentence_transformers."):
            what = f"names a module {kind!r}, which is not one of sentence-transformers and could run any code"
            raise ModelError(what, where=path / MODULES)


@contextmanager
def _faults(library: str, path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a library has its own names for all that may be wrong with a directory
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelError(f"{library} cannot load it: {reason}", where=path) from None


def _directory(path: Path) -> Path:
    found = located(path)
    if not found.is_dir():
        raise ModelError("no such model directory", where=path)
    return found


def _library(name: str, path: Path) -> Any:
    try:
        return import_module(name)
    except ImportError:
        package = name.replace("_", "-")
        raise ModelError(
            f"{package} is not installed, which is to run it", where=path, cure=f"pip install {package}"
        ) from None
