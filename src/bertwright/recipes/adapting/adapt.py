"""A model and a field's text, then the task's own -> the same model, at home in the field.

Gururangan et al. 2020, "Don't stop pretraining: adapt language models to domains and tasks".

OUT/run/run.json            what the adaptation is
OUT/run/metrics.jsonl       the figures of the watched texts over all stages
OUT/adapt/extended/         the model with the field's words
OUT/adapt/field/shards/     the field's text, and model/ and head/, runs of pretraining on it
OUT/adapt/task/             the same of the task's text, and its rows as documents
OUT/adapt/general/          a sample of general text, to see what is forgotten
OUT/...                     the model directory, once there is a model
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bertwright.checkpoints.configuration import CONFIG
from bertwright.checkpoints.model_directory import LoadedModel, read_model, with_parts, write_model
from bertwright.checkpoints.weights import weights_hash
from bertwright.errors import ModelError, SettingsError, Stopped, UserFault
from bertwright.files import write_atomic
from bertwright.progress import Progress, Silent
from bertwright.recipes.adapting.outcome import Adapted, Measured, measured_of, overlong
from bertwright.recipes.adapting.settings import AdaptSettings
from bertwright.recipes.adapting.stages import Stage, Text, plan_stages, run_stage
from bertwright.recipes.adapting.texts import (
    documents_json,
    refuse_standard_input,
    sampled_documents,
    task_documents,
)
from bertwright.recipes.extension import extend_vocabulary
from bertwright.recipes.prepare import PrepareSettings, prepare_corpus
from bertwright.recipes.resuming import refuse_both
from bertwright.recipes.run import Run, open_run, refuse_used
from bertwright.recipes.tensorboard import refuse_without_tensorboard
from bertwright.shards.read import Shard, ShardDirectory, open_shards
from bertwright.text.documents import corpus_files
from bertwright.training.world import alone
from bertwright.version import VERSION

# Of a general corpus no more than this many characters a token is read, that its sample is to fill.
_CHARACTERS_PER_TOKEN = 6
# What it makes in its directory beside the run and the model.
_MADE = ("adapt",)


def adapt(
    source: Path,
    corpora: Sequence[str],
    out: Path,
    *,
    task_data: Sequence[str] = (),
    general: Sequence[str] = (),
    extend: int = 0,
    settings: AdaptSettings | None = None,
    workers: int | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    progress: Progress,
) -> Adapted:
    """Go on pretraining a model directory on a field's text, on a task's own text, or on both in that order.

    corpora: the field's text. task_data: files of the task's rows, whose labels are not looked at. general: text like
    that of the first pretraining, of which a sample is watched. extend: words of the field to add to the vocabulary.
    `out` becomes a model directory. Raises Stopped after saving, or UserFault.
    """
    settings = settings or AdaptSettings()
    if not corpora and not task_data:
        raise SettingsError("there is nothing to adapt to", cure="name a CORPUS of the field, or --task-data, or both")
    if source.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    if tensorboard:
        refuse_without_tensorboard()
    refuse_standard_input([*corpora, *task_data, *general])
    refuse_both(resume=resume, overwrite=overwrite)
    if not resume:
        refuse_used(out, overwrite=overwrite, made=_MADE)
    loaded = read_model(source)
    refuse_long(settings, loaded)
    # Looked at before anything is written: what is wrong with the rows, or a name, leaves nothing behind.
    for place in (corpora, general):
        if place:
            corpus_files(place)
    rows, pairs = task_documents(
        corpus_files(task_data) if task_data else [],
        settings.task.text_columns,
        settings.task.rows,
        settings.task.on_error or settings.on_error,
        progress.say,
    )
    if general and not resume:
        # Before hours are spent on the field's text, which could not be gone on with beside another sample.
        for _ in general_sample(general, settings):
            pass
    identity = {
        "command": "adapt",
        "model": f"weights sha256 {weights_hash(loaded.model)}",
        "vocabulary_sha256": loaded.tokenizer.vocabulary.sha256,
        "tokenizer": loaded.tokenizer.identity(),
        "corpus": list(corpora),
        "task_text_sha256": hashlib.sha256(documents_json(rows)).hexdigest(),
        "general": list(general),
        "extend": extend,
        "settings": settings.model_dump(exclude={"machine"}),
    }
    with open_run(
        out, identity, world=alone(), resume=resume, overwrite=overwrite, made=_MADE, progress=progress
    ) as run:
        if resume:
            progress.say(f"{out}: going on with the adaptation that was begun there")
        whole = _Adaptation(run, source, loaded, settings, progress)
        try:
            whole.prepare(corpora, rows, general, extend=extend, pairs=pairs, workers=workers)
        except UserFault:
            if whole.has_work:
                progress.say(f"{out}: what was prepared is kept; go on with --resume")
            elif not resume:
                whole.forget()
            raise
        except Stopped as stop:
            raise Stopped("stopped while preparing, and saved; go on with --resume", stop.signal_number) from None
        return whole.go(tensorboard=tensorboard)


def refuse_long(settings: AdaptSettings, loaded: LoadedModel, option: str = "--set") -> None:
    """Raise SettingsError where examples would have more tokens than the model has positions."""
    wanted, positions = settings.examples.max_length, loaded.model.config.max_position_embeddings
    if wanted > positions:
        what = f"`examples.max_length` is {wanted}, but the model has {positions} positions"
        raise SettingsError(what, cure=f"give {option} examples.max_length={positions} or less")


def general_sample(general: Sequence[str], settings: AdaptSettings) -> Iterator[str]:
    """As much of a general corpus as is watched. Raises CorpusError."""
    characters = settings.evaluation_examples * settings.examples.max_length * _CHARACTERS_PER_TOKEN
    column = settings.general_text_column or settings.text_column
    return sampled_documents(general, characters=characters, text_column=column, on_error=settings.on_error)


class _Adaptation:
    """One sitting of an adaptation: what is done already is passed over."""

    def __init__(
        self, run: Run, source: Path, loaded: LoadedModel, settings: AdaptSettings, progress: Progress
    ) -> None:
        self.run, self.source, self.loaded, self.settings, self.progress = run, source, loaded, settings, progress
        self.folder = run.out / "adapt"
        self.begin = source
        self.texts: list[Text] = []
        self.watched: dict[str, Sequence[Shard]] = {}

    def prepare(
        self,
        corpora: Sequence[str],
        rows: Sequence[str],
        general: Sequence[str],
        *,
        extend: int,
        pairs: bool,
        workers: int | None,
    ) -> None:
        """Make everything that the stages begin with: the vocabulary, the shards of each text."""
        settings, say = self.settings, self.progress.say
        for name in ("field", "task", "general"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        task_file = self.folder / "task" / "documents.jsonl"
        if rows:
            write_atomic(task_file, documents_json(rows))
        if extend:
            self.begin = self.folder / "extended"
            if not (self.begin / CONFIG).exists():
                say("vocabulary: adding the field's words")
                extend_vocabulary(
                    self.source,
                    corpora or [str(task_file)],
                    self.begin,
                    add=extend,
                    text_column=settings.text_column if corpora else "text",
                    on_error=settings.on_error,
                    workers=workers,
                    progress=self.progress,
                )
        if corpora:
            shards = self._shards("field", corpora, settings.text_column, settings.field.held_out, workers)
            self.texts.append(Text("field", shards, settings.field))
        if rows:
            shards = self._shards("task", [str(task_file)], "text", settings.task.held_out, 1)
            self.texts.append(Text("task", shards, settings.task, pairs))
        kept_aside = ((text.name, text.shards.shards("held_out")) for text in self.texts)
        self.watched = {name: shards for name, shards in kept_aside if shards}
        if general:
            self.watched["general"] = self._general(general).shards("train")
        else:
            say("forgetting is not watched: for that, name a corpus of general text with --general")

    def _shards(
        self, name: str, corpus: Sequence[str], column: str, held_out: float, workers: int | None
    ) -> ShardDirectory:
        """The shards of a text, which are made where they are not there yet."""
        out = self.folder / name / "shards"
        if not out.exists():
            self.progress.say(f"{name} text: preparing")
            settings = self._prepare_settings(column, held_out)
            prepare_corpus(corpus, self.begin, out, settings=settings, workers=workers, progress=self.progress)
        return open_shards(out)

    def _prepare_settings(self, column: str, held_out: float) -> PrepareSettings:
        settings = self.settings
        return PrepareSettings(
            held_out=held_out,
            language=settings.language,
            segmenter=settings.segmenter,
            text_column=column,
            on_error=settings.on_error,
        )

    def _general(self, general: Sequence[str]) -> ShardDirectory:
        """A sample of general text as shards, all of which is held out."""
        folder = self.folder / "general"
        if not (folder / "shards").exists():
            write_atomic(folder / "sample.jsonl", documents_json(list(general_sample(general, self.settings))))
            # Without its report, which would tell of a corpus of which nothing was held out.
            sample = [str(folder / "sample.jsonl")]
            whole = self._prepare_settings("text", 0.0)
            made = prepare_corpus(sample, self.begin, folder / "shards", settings=whole, workers=1, progress=Silent())
            self.progress.say(
                f"general text: a sample of {made.counts['documents']:,} documents, {made.counts['tokens']:,} tokens, "
                "is watched"
            )
        return open_shards(folder / "shards")

    @property
    def has_work(self) -> bool:
        """Whether anything was made that took its time: a vocabulary, or a part of the shards."""
        return any(any(self.folder.rglob(name)) for name in (CONFIG, "manifest.json", "progress.json"))

    def forget(self) -> None:
        """Remove what was made so far."""
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.run.folder, ignore_errors=True)
        if not any(self.run.out.iterdir()):
            self.run.out.rmdir()

    def go(self, *, tensorboard: bool) -> Adapted:
        """Train stage by stage, then write the model."""
        begun = read_model(self.begin)
        head_is_new = not begun.model.parts.masked_words
        if head_is_new:
            self.progress.say(f"{self.source}: has no masked-word head, so it gets a new one")
        stages = plan_stages(self.texts, begun.model, self.folder, self.settings, self.progress)
        begin, found = self.begin, []
        for stage in stages:
            self.progress.say(f"stage: {stage.name}")
            measured = run_stage(stage, begin, self.watched, tensorboard=tensorboard, progress=self.progress)
            found.append((stage.name, measured))
            begin = stage.out
        columns = measured_of(found, head_is_new=head_is_new)
        advice = self._gather_metrics(stages)
        self._write_model(begun, stages, columns)
        seconds = sum(self._run_of(stage).told_seconds() for stage in stages)
        return Adapted(self.run.out, columns, tuple(advice), seconds)

    def _gather_metrics(self, stages: Sequence[Stage]) -> list[str]:
        """Write the figures of the watched texts over the steps of all stages; returns what they advise."""
        lines: list[dict[str, Any]] = []
        advice: list[str] = []
        before = 0
        for stage in stages:
            of_stage = [
                row for row in self._run_of(stage).metrics() if any(f"{name}_mlm_loss" in row for name in self.watched)
            ]
            lines += [row | {"step": before + row["step"], "stage": stage.name} for row in of_stage]
            before += stage.recipe.training.steps
            said = overlong(stage.name, of_stage)
            if said is not None:
                advice.append(said)
        write_atomic(self.run.metrics_path, "".join(json.dumps(row) + "\n" for row in lines).encode())
        return advice

    def _run_of(self, stage: Stage) -> Run:
        return Run(stage.out, self.settings.machine, self.run.world, self.progress, tensorboard=False)

    def _write_model(self, begun: LoadedModel, stages: Sequence[Stage], columns: Sequence[Measured]) -> None:
        last = read_model(stages[-1].out)
        # Dropout belongs to the training, not to the model: the directory says what the source said.
        model, _ = with_parts(last.model, last.model.parts, seed=0, config=begun.model.config)
        lineage = [*begun.record.get("lineage", []), *(_told(stage) for stage in stages)]
        record: dict[str, Any] = {
            "bertwright": VERSION,
            "lineage": lineage,
            "task": "pretrain",
            "max_length": max(begun.longest, self.settings.examples.max_length),
            "metrics": columns[-1].figures,
            "adaptation": [{"after": found.after, **found.figures} for found in columns],
        }
        write_model(self.run.out, model, last.tokenizer, record=record)


def _told(stage: Stage) -> dict[str, Any]:
    """What the lineage says of a stage."""
    run = json.loads((stage.out / "run" / "run.json").read_text(encoding="utf-8"))
    return {
        "step": "adapt",
        "stage": stage.name,
        "corpus_sha256": stage.shards.manifest.corpus_sha256,
        "tokens": stage.shards.manifest.counts["tokens"],
        "steps": stage.recipe.training.steps,
        "from": run["init"],
        "recipe": stage.recipe.identity,
    }
