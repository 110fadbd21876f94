"""Choices, arguments and options that several verbs offer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class OnErrorChoice(StrEnum):
    """What to do with a line that is no document."""

    stop = "stop"
    skip = "skip"


class DedupeChoice(StrEnum):
    """Which documents are left out for having been there before."""

    none = "none"
    exact = "exact"
    near = "near"


class PrecisionChoice(StrEnum):
    """What matrix products are computed in."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"


class SegmenterChoice(StrEnum):
    """What tells which ideographs make a word."""

    none = "none"
    jieba = "jieba"


class ScoringChoice(StrEnum):
    """What a model computes in while it is scored."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


class InferenceChoice(StrEnum):
    """What runs a model."""

    auto = "auto"
    torch = "torch"
    torch_bf16 = "torch-bf16"
    torch_int8 = "torch-int8"
    torch_compiled = "torch-compiled"
    openvino = "openvino"
    openvino_bf16 = "openvino-bf16"


class BulkChoice(StrEnum):
    """What runs a model over a file, and where."""

    auto = "auto"
    torch = "torch"
    torch_bf16 = "torch-bf16"
    torch_int8 = "torch-int8"
    torch_compiled = "torch-compiled"
    openvino = "openvino"
    openvino_bf16 = "openvino-bf16"
    ray = "ray"


class WhereChoice(StrEnum):
    """Where the work is done."""

    local = "local"
    ray = "ray"


Corpus = Annotated[
    list[str],
    typer.Argument(help=".txt .jsonl .csv .tsv .parquet (also .gz .zst .xz), folders, globs, s3://..., or -."),
]
TextColumn = Annotated[str, typer.Option(help="Column that holds the text.")]
RowTexts = Annotated[
    list[str] | None, typer.Option(help="Column that holds the text, instead of `text`; twice for pairs.")
]
RowLabel = Annotated[
    str | None, typer.Option(help="Column that holds the label, instead of `label`, `labels` or `score`.")
]
OnError = Annotated[OnErrorChoice, typer.Option(help="skip: count bad lines and go on.")]
Segmenter = Annotated[SegmenterChoice, typer.Option(help="jieba: Chinese words, for masking them whole.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; one a core by default.")]
