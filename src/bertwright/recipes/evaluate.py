"""The metrics of a model's task on data it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from bertwright.batches.pretraining import PretrainingBatches
from bertwright.checkpoints.graphs import graph_in
from bertwright.checkpoints.model_directory import LoadedModel, read_model
from bertwright.checkpoints.record import RECORD
from bertwright.errors import ModelError, RowError, SettingsError, ShardError
from bertwright.examples.plan import Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.inference.asked import answered, rows_asked
from bertwright.inference.int8 import to_int8
from bertwright.inference.known_task import task_of
from bertwright.inference.opening import EngineName, open_runner
from bertwright.lines import STANDARD_INPUT
from bertwright.progress import Progress, Silent
from bertwright.shards.read import open_shards
from bertwright.tasks.pretrain import held_out_scores
from bertwright.tasks.rows import FIELDS, first_row
from bertwright.text.documents import OnError
from bertwright.training.precision import choose_dtype, computing_in
from bertwright.training.settings import PrecisionName

# What scores may be computed in.
ScoringPrecision = PrecisionName | Literal["int8"]
_BATCH = 64


def evaluate(
    model: str | Path,
    data: str | Path,
    *,
    text_columns: Sequence[str] | None = None,
    label_column: str | None = None,
    on_error: OnError = "stop",
    precision: ScoringPrecision = "fp32",
    null_threshold: float | None = None,
    progress: Progress | None = None,
) -> dict[str, float]:
    """Score a model of a task on a labelled file, or a pretrained model on the held-out text of a shard directory.

    The columns are those that the model was trained with, unless they are named. With `on_error="skip"` questions that
    cannot be read are left out and counted. `precision` is what the encoder computes in: fp32 for scores that are the
    same on every machine, bf16 for twice the speed where the processor multiplies it, "auto" for what it can, int8 to
    see what the engine "torch-int8" costs. `null_threshold` is the odds above which a question has no answer, where not
    those of the model's training.
    Raises ModelError, RowError, SettingsError or ShardError.
    """
    path, data, progress = Path(model), Path(data), progress or Silent()
    in_int8 = precision == "int8"
    device = torch.device("cuda" if torch.cuda.is_available() and not in_int8 else "cpu")
    dtype = torch.float32 if precision == "int8" else choose_dtype(precision, device)
    if data.is_dir():
        given = {
            "--null-threshold": null_threshold is not None,
            "--text-column": bool(text_columns),
            "--label-column": label_column is not None,
            "--on-error": on_error != "stop",
        }
        if wrong := [name for name, is_given in given.items() if is_given]:
            what = f"{', '.join(wrong)}: for labelled rows, and this is a shard directory"
            raise SettingsError(what, where=data, cure="leave it out")
        loaded = read_model(path)
        loaded.model.to(device)
        if in_int8:
            to_int8(loaded.model.encoder)
        with computing_in(dtype, device):
            return _pretraining(loaded, data, progress)
    engine: EngineName = "torch-int8" if in_int8 else "torch-bf16" if dtype == torch.bfloat16 else "torch"
    if graph_in(path) is not None:
        if precision in ("bf16", "int8"):
            raise SettingsError("--precision is for weights: a graph is run as it was exported", cure="leave it out")
        engine = "auto"
    runner = open_runner(path, say=progress.say, engine=engine)
    described = runner.described
    if str(data) != STANDARD_INPUT and not data.exists():
        raise RowError("no such file or shard directory", where=data)
    # Standard input can be read only once.
    row = first_row(data) if described.task in FIELDS and str(data) != STANDARD_INPUT else None
    task = task_of(
        described,
        text_columns=text_columns,
        label_column=label_column,
        row=row,
        on_error=on_error,
        null_threshold=null_threshold,
    )
    rows = task.read(data, progress.say)
    items = task.items(rows, described.tokenizer)
    lost = sum(1 for item in items if item.lost)
    if lost:
        progress.say(f"{lost:,} of {len(rows):,} rows lost tokens that no window holds")
    asked = rows_asked(runner, task, rows, items)
    with progress.task("scoring", len(asked.windows), "windows") as bar:
        predictions = answered(asked, bar.update)
    for sentence in task.advice(rows, predictions):
        progress.say(f"{data}: {sentence}")
    return task.scores(rows, predictions)


def _pretraining(loaded: LoadedModel, data: Path, progress: Progress) -> dict[str, float]:
    settings = _example_settings(loaded)
    pairs = settings.segments != "none"
    if not loaded.model.parts.masked_words or (pairs and not loaded.model.parts.next_sentence):
        what = "masked-word and next-sentence heads" if pairs else "masked-word head"
        raise ModelError(f"has no {what} to score", where=loaded.path)
    if pairs and loaded.model.config.type_vocab_size < 2:
        raise ModelError("has one segment type, and next-sentence pairs need two", where=loaded.path)
    shards = open_shards(data)
    if shards.manifest.vocabulary_sha256 != loaded.tokenizer.vocabulary.sha256:
        what = "the vocabulary does not match the shards: they were made with another one"
        raise ModelError(what, where=loaded.path, cure=f"prepare the corpus with --vocab {loaded.path}")
    held_out = shards.shards("held_out")
    if not held_out:
        raise ModelError("these shards hold no held-out text", where=data, cure="prepare with a larger --held-out")
    plan = ExamplePlan(held_out, settings, seed=0)
    builder = PretrainingBatches(plan, loaded.tokenizer.vocabulary)
    count = plan.size(0)
    if not count:
        what = "none of the documents held out has two tokens to make a pair of segments of"
        raise ShardError(what, where=data, cure="prepare with a larger --held-out")
    progress.say(f"{count:,} held-out examples of at most {settings.max_length} tokens")
    batches = (builder.build(Cursor(0, start), min(_BATCH, count - start)) for start in range(0, count, _BATCH))
    with progress.task("scoring", count, "examples") as bar:
        return held_out_scores(loaded.model, batches, bar.update)


def _example_settings(loaded: LoadedModel) -> ExampleSettings:
    """Those of the model's own pretraining, where its record tells; else the paper's, as long as the model takes."""
    recipes = [step.get("recipe") for step in loaded.record.get("lineage", []) if step["step"] in ("pretrain", "adapt")]
    if recipes:
        try:
            return ExampleSettings.from_values(recipes[-1]["examples"])
        except (TypeError, KeyError, SettingsError):
            what = "the recipe of its pretraining holds no example settings that this version knows"
            raise ModelError(
                what, where=loaded.path / RECORD, cure="remove the file to score it as the paper does"
            ) from None
    settings = ExampleSettings()
    return settings.model_copy(update={"max_length": min(settings.max_length, loaded.longest)})
