"""bertwright convert."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bertwright.cli.talk import Talk


class FormChoice(StrEnum):
    """Forms that a model can be written in."""

    hf = "hf"
    google = "google"
    sentence_transformers = "sentence-transformers"
    onnx = "onnx"
    openvino = "openvino"
    torch_export = "torch-export"


class IrPrecisionChoice(StrEnum):
    """What a graph is computed in."""

    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


def run(
    source: Annotated[
        Path,
        typer.Argument(
            help="Model directory, ours or one of transformers' or sentence-transformers', or a checkpoint "
            "of the original code: its folder, its .zip, or the prefix of its files."
        ),
    ],
    destination: Annotated[Path, typer.Argument(help="Directory to write.")],
    to: Annotated[
        FormChoice,
        typer.Option(help="hf: a directory that transformers loads as it lies. google: what the original code reads."),
    ] = FormChoice.hf,
    lower_case: Annotated[
        bool | None,
        typer.Option(
            "--lower-case/--keep-case", help="Of a checkpoint of the original code. Default: as its vocabulary shows."
        ),
    ] = None,
    fused: Annotated[
        bool,
        typer.Option("--fused", help="onnx: with the operators of onnxruntime, faster there and unknown elsewhere."),
    ] = False,
    precision: Annotated[
        IrPrecisionChoice, typer.Option(help="openvino: fp32, bf16 or int8. onnx: fp32 or int8.")
    ] = IrPrecisionChoice.fp32,
    calibrate: Annotated[
        Path | None,
        typer.Option(
            help="int8: rows of yours to measure on, and for openvino to set ranges by; labelled ones of the model's "
            "task if you have them."
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what the destination holds.")] = False,
) -> None:
    """Write a model in another form, and compare the two; nothing is written that says something else.

    Example: bertwright convert uncased_L-12_H-768_A-12.zip bert-base --to hf
    """
    from bertwright.interchange.convert import ConvertSettings, convert

    settings = ConvertSettings(lowercase=lower_case, fused=fused, precision=precision.value, calibrate=calibrate)
    convert(source, destination, to.value, settings, overwrite=overwrite, progress=Talk())
