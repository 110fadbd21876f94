"""Other libraries as engines: so that a comparison does not rest on our own reading of a model."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.model_directory import CONFIG
from bertwright.errors import ModelError
from bertwright.files import read_json
from bertwright.inference.engines.engine import Arrays
from bertwright.tokens.layout import read_tokenizer


class TransformersEngine:
    """A directory, loaded by transformers as it lies: the class that its config.json names, and AutoTokenizer."""

    form = "transformers"

    def __init__(self, path: Path) -> None:
        library = _library("transformers", path)
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
        values = read_json(path / CONFIG, ModelError)
        name = (values.get("architectures") or ["BertModel"])[0]
        kind = getattr(library, str(name), None)
        if kind is None:
            raise ModelError(f"`architectures` names {name!r}, which transformers does not have", where=path / CONFIG)
        self.vocabulary = read_tokenizer(path).vocabulary
        self._tokenizer = library.AutoTokenizer.from_pretrained(path)
        self._model = kind.from_pretrained(path, dtype=torch.float32).eval()
        self.longest = min(512, self._model.config.max_position_embeddings)
        self.segments = self._model.config.type_vocab_size

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, without [CLS] and [SEP]."""
        found: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU, in fp32."""
        inputs = _inputs(batch)
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

    def __init__(self, path: Path) -> None:
        quiet = _library("transformers", path).utils.logging
        quiet.set_verbosity_error()
        quiet.disable_progress_bar()
        library = _library("sentence_transformers", path)
        self._model = library.SentenceTransformer(str(path), device="cpu")
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
            found = self._model(_inputs(batch))
        return {
            "last_hidden_state": found["token_embeddings"].float().numpy(),
            "sentence_embedding": found["sentence_embedding"].float().numpy(),
        }


def _inputs(batch: InputBatch) -> dict[str, torch.Tensor]:
    return {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask.long(),
        "token_type_ids": batch.token_type_ids,
    }


def _library(name: str, path: Path) -> Any:
    if not path.is_dir():
        raise ModelError("no such model directory", where=path)
    try:
        return import_module(name)
    except ImportError:
        package = name.replace("_", "-")
        raise ModelError(
            f"{package} is not installed, which is to run it", where=path, cure=f"pip install {package}"
        ) from None
