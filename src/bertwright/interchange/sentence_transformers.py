"""The layout of sentence-transformers: `SentenceTransformer(directory)` gives the vectors that `embed` gives."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bertwright.checkpoints.model_directory import MODEL_FILES, LoadedModel, with_parts, write_model
from bertwright.checkpoints.sentence_layout import LENGTHS, MODULES, NORMALIZE, POOLING
from bertwright.files import to_json, write_atomic
from bertwright.heads.model import Parts
from bertwright.inference.known_task import normalizes, pooling_of

VERSIONS = "config_sentence_transformers.json"
FILES = (*MODEL_FILES, MODULES, LENGTHS, POOLING, NORMALIZE, VERSIONS)
# The names of version 2, which all later ones read.
_KIND = "sentence_transformers.models."


def sentence_encoder(loaded: LoadedModel) -> LoadedModel:
    """The encoder of a model without its heads, and how a text's vector is made of its tokens'."""
    model, _ = with_parts(loaded.model, Parts(pooler=loaded.model.parts.pooler), seed=0)
    about = {"task": "embed", "pooling": pooling_of(loaded), "max_length": loaded.longest}
    known = loaded.record
    if loaded.task != "embed":
        # Scores and labels are those of a head that is left behind.
        known = {
            key: value for key, value in known.items() if key in ("bertwright", "lineage", "max_windows", "overlap")
        }
    if normalizes(loaded):
        about["normalize"] = True
    return replace(loaded, model=model, task="embed", labels=(), record=known | about)


def write_sentence_encoder(path: Path, loaded: LoadedModel, *, name: str) -> None:
    """Write a sentence encoder into the existing directory `path`.

    Texts are cut there where the first window ends; `embed` reads on.
    """
    pooling = pooling_of(loaded)
    write_model(path, loaded.model, loaded.tokenizer, record=loaded.record, name=name, form="sentence-transformers")
    kinds = [("", "Transformer"), (POOLING, "Pooling"), *([(NORMALIZE, "Normalize")] if normalizes(loaded) else [])]
    modules = [
        {"idx": number, "name": str(number), "path": place, "type": _KIND + kind}
        for number, (place, kind) in enumerate(kinds)
    ]
    (path / POOLING).mkdir()
    switches = {
        "word_embedding_dimension": loaded.model.config.hidden_size,
        "pooling_mode_cls_token": pooling == "cls",
        "pooling_mode_mean_tokens": pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    write_atomic(path / POOLING / "config.json", to_json(switches))
    # The tokenizer's files say what becomes of case.
    write_atomic(path / LENGTHS, to_json({"max_seq_length": loaded.longest, "do_lower_case": False}))
    write_atomic(path / VERSIONS, to_json({"similarity_fn_name": "cosine"}))
    write_atomic(path / MODULES, to_json(modules))
