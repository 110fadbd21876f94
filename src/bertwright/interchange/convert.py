"""A model in one form -> the same model in another, and the proof that both say the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import CONFIG, config_values
from bertwright.checkpoints.graphs import EXPORTED, FORM_OF, ONNX, OPENVINO
from bertwright.checkpoints.model_directory import CARD, DEV, MODEL_FILES, LoadedModel, write_card, write_model
from bertwright.checkpoints.record import RECORD
from bertwright.checkpoints.weights import weights_hash
from bertwright.errors import SettingsError
from bertwright.files import new_directory, read_json, to_json, write_atomic
from bertwright.hub import located
from bertwright.interchange.exported import write_exported
from bertwright.interchange.forms import Form, form_of, read_form
from bertwright.interchange.google import checkpoint as google
from bertwright.interchange.int8_rows import Calibration, calibration_of
from bertwright.interchange.onnx import write_onnx
from bertwright.interchange.openvino import IrPrecision, write_openvino
from bertwright.interchange.proof import cost_of, refuse_unlike
from bertwright.interchange.sentence_transformers import FILES as SENTENCE_FILES
from bertwright.interchange.sentence_transformers import sentence_encoder, write_sentence_encoder
from bertwright.progress import Progress
from bertwright.tokens.layout import TOKENIZER_FILES, tokenizer_files
from bertwright.version import VERSION

_GRAPH_FILES = (*TOKENIZER_FILES, CONFIG, RECORD, CARD)
_FILES: dict[Form, tuple[str, ...]] = {
    "hf": (*MODEL_FILES, DEV),
    "google": (*google.FILES, CARD),
    "sentence-transformers": SENTENCE_FILES,
    "onnx": (*_GRAPH_FILES, ONNX, f"{ONNX}.data"),
    "openvino": (*_GRAPH_FILES, OPENVINO, OPENVINO.replace(".xml", ".bin")),
    "torch-export": (*_GRAPH_FILES, EXPORTED),
}
_GRAPHS = frozenset(FORM_OF.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertSettings:
    """What is wanted of the form.

    lowercase: whether a checkpoint of the original code is of text in lower case, where its vocabulary misleads. fused:
    ONNX with onnxruntime's own operators. precision: of OpenVINO's IR, and of ONNX, which has no bf16. calibrate: text
    to measure on what int8 costs; OpenVINO's takes its ranges from it too.
    """

    lowercase: bool | None = None
    fused: bool = False
    precision: IrPrecision = "fp32"
    calibrate: Path | None = None


def convert(
    source: Path,
    destination: Path,
    to: Form,
    settings: ConvertSettings | None = None,
    *,
    overwrite: bool = False,
    progress: Progress,
) -> None:
    """Write a model in another form, and compare the two. What has no place there is told.

    The directory is whole and says what the model says, or it is not there. Of bf16 and int8 it is told what they cost.
    Raises ModelError where `source` is no BERT, SettingsError where the wishes do not fit together.
    """
    settings = settings or ConvertSettings()
    _check(to, settings)
    form = form_of(source)
    loaded = read_form(source, lowercase=settings.lowercase, progress=progress)
    for name in loaded.unused:
        progress.say(f"left out, for want of a place here: {name}")
    loaded = _with_origin(loaded, source, form)
    if to == "sentence-transformers":
        parts = loaded.model.parts
        if parts.masked_words or parts.next_sentence or parts.labels or parts.tags or parts.spans:
            progress.say("left out: the heads, since a sentence encoder is the encoder alone")
        loaded = sentence_encoder(loaded)
    parts = loaded.model.parts
    if to in _GRAPHS and loaded.task not in ("", "embed") and parts.masked_words:
        progress.say("left out: the heads of pretraining, since a graph says what the task's head says")
    calibration = None
    if settings.calibrate is not None:
        calibration = calibration_of(loaded, settings.calibrate, progress, ranges=to == "openvino")
    with new_directory(destination, overwrite=_FILES[to] if overwrite else (), say=progress.say) as partial:
        if to == "hf" and (source / DEV).is_dir():
            _copy_shown(source / DEV, partial / DEV)
        _write(partial, loaded, to, settings, calibration, name=destination.name, say=progress.say)
        exact = settings.precision == "fp32"
        proof = refuse_unlike(partial, to, loaded, form, calibration, exact=exact, progress=progress)
        if not exact:
            measured = {"precision": settings.precision, **cost_of(proof, calibration, progress)}
            # What fewer bits cost stands beside the scores of the model, which are not the graph's.
            record = read_json(partial / RECORD) | {"exported": measured}
            write_atomic(partial / RECORD, to_json(record))
            write_card(partial, loaded.model, loaded.labels, record, form=to, name=destination.name)
    progress.say(f"{source} -> {destination}")


def _copy_shown(source: Path, destination: Path) -> None:
    """What a fine-tuning showed on dev, which the card speaks of; whatever links are there lead nowhere."""
    destination.mkdir()
    for file in source.iterdir():
        if file.is_file() and not file.is_symlink():
            shutil.copyfile(file, destination / file.name)


def _check(to: Form, settings: ConvertSettings) -> None:
    if settings.fused and to != "onnx":
        raise SettingsError("--fused is for --to onnx", cure="leave it out")
    taken = {"openvino": ("fp32", "bf16", "int8"), "onnx": ("fp32", "int8")}.get(to, ("fp32",))
    if settings.precision not in taken:
        forms = "--to openvino" if settings.precision == "bf16" else "--to openvino and --to onnx"
        raise SettingsError(f"--precision {settings.precision} is for {forms}", cure="leave it out")
    if settings.calibrate and settings.precision != "int8":
        raise SettingsError("--calibrate is for --precision int8", cure="leave it out")
    if settings.precision == "int8" and to == "openvino" and settings.calibrate is None:
        what = "int8 takes its ranges from text of yours"
        raise SettingsError(what, cure="give some hundreds of rows, labelled if you have them: --calibrate FILE")


def _write(
    path: Path,
    loaded: LoadedModel,
    to: Form,
    settings: ConvertSettings,
    calibration: Calibration | None,
    *,
    name: str,
    say: Callable[[str], None],
) -> None:
    if to == "google":
        google.write_checkpoint(path, loaded, say=say)
        write_card(path, loaded.model, loaded.labels, loaded.record, form=to, name=name)
    elif to == "sentence-transformers":
        write_sentence_encoder(path, loaded, name=name)
    elif to == "hf":
        write_model(path, loaded.model, loaded.tokenizer, labels=loaded.labels, record=loaded.record, name=name)
    else:
        if to == "onnx":
            outputs = write_onnx(path, loaded, fused=settings.fused, int8=settings.precision == "int8")
        elif to == "openvino":
            inputs = calibration.inputs if calibration else ()
            outputs = write_openvino(path, loaded, precision=settings.precision, calibration=inputs)
        else:
            outputs = write_exported(path, loaded)
        _write_around_graph(path, loaded, to, settings, outputs, name)


def _write_around_graph(
    path: Path, loaded: LoadedModel, to: Form, settings: ConvertSettings, outputs: tuple[str, ...], name: str
) -> None:
    """The tokenizer, the configuration, the record and the card that lie beside a graph."""
    step: dict[str, Any] = {"step": "export", "bertwright": VERSION, "form": to}
    if to == "onnx":
        step["fused"] = settings.fused
    if to == "openvino" or settings.precision != "fp32":
        step["precision"] = settings.precision
    if settings.calibrate:
        step["calibrated_on" if to == "openvino" else "measured_on"] = settings.calibrate.name
    record = loaded.record | {"lineage": [*loaded.record["lineage"], step], "outputs": list(outputs)}
    if "precision" in step:
        record["precision"] = settings.precision
    for file_name, content in tokenizer_files(loaded.tokenizer, max_length=loaded.longest).items():
        write_atomic(path / file_name, content)
    write_atomic(path / RECORD, to_json(record))
    write_card(path, loaded.model, loaded.labels, record, form=to, name=name)
    write_atomic(path / CONFIG, to_json(config_values(loaded.model, loaded.labels, loaded.task)))


def _with_origin(loaded: LoadedModel, source: Path, form: Form) -> LoadedModel:
    """A model that nobody tells the origin of says from now on from where it was converted."""
    if loaded.task:
        # Of a directory that another library saved anew, config.json alone may say it.
        loaded = replace(loaded, record=loaded.record | {"task": loaded.task})
    if loaded.record.get("lineage"):
        return loaded
    step = {"step": "convert", "bertwright": VERSION, "form": form}
    if source.exists():
        step["source"] = source.resolve().name
    else:
        # Of the hub, whose cache keeps each commit in a folder of its name.
        step |= {"source": str(source), "revision": located(source, weights=False).name}
    step["weights"] = weights_hash(loaded.model)
    return replace(loaded, record=loaded.record | {"bertwright": VERSION, "lineage": [step]})
