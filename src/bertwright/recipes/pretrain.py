"""Shards -> a pretrained model: masked words and next sentence."""

from __future__ import annotations

import functools
import importlib.resources
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import Field, model_validator

from bertwright.batches.pretraining import PretrainingBatch, PretrainingBatches
from bertwright.checkpoints.model_directory import read_model, with_parts, write_model
from bertwright.checkpoints.weights import weights_hash
from bertwright.encoder.config import PRESETS, EncoderConfig, check_heads
from bertwright.errors import ModelError, SettingsError, ShardError, Stopped
from bertwright.examples.plan import SHARDS_PER_WINDOW, Cursor, ExamplePlan
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import PRETRAINING, WORDS_ALONE, Bert
from bertwright.progress import Progress
from bertwright.recipes.curves import draw_curves
from bertwright.recipes.run import Run, open_run
from bertwright.settings import Settings
from bertwright.shards.cache import ShardCache
from bertwright.shards.read import Shard, ShardDirectory, open_shards
from bertwright.tasks.pretrain import held_out_scores, objective, unigram_baseline
from bertwright.training.compilation import compile_encoder, refuse_without_compiler
from bertwright.training.loop import Trainee
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype, computing_in
from bertwright.training.settings import TrainingSettings
from bertwright.version import VERSION

_EVALUATION_BATCH = 64


class ModelSettings(Settings):
    """The encoder's shape: a preset, and what differs from it. The vocabulary's size comes from the shards."""

    preset: Literal["bert-tiny", "bert-mini", "bert-small", "bert-medium", "bert-base", "bert-large"]
    hidden_size: int | None = Field(default=None, ge=1)
    num_hidden_layers: int | None = Field(default=None, ge=1)
    num_attention_heads: int | None = Field(default=None, ge=1)
    intermediate_size: int | None = Field(default=None, ge=1)
    max_position_embeddings: int | None = Field(default=None, ge=8)
    hidden_dropout_prob: float | None = Field(default=None, ge=0, lt=1)
    attention_probs_dropout_prob: float | None = Field(default=None, ge=0, lt=1)
    initializer_range: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        shape = self._shape()
        check_heads(hidden_size=shape["hidden_size"], num_attention_heads=shape["num_attention_heads"])
        return self

    def config(self, vocab_size: int, pad_token_id: int) -> EncoderConfig:
        """The encoder's numbers."""
        return EncoderConfig.from_values(self._shape() | {"vocab_size": vocab_size, "pad_token_id": pad_token_id})

    def _shape(self) -> dict[str, Any]:
        changed = {name: value for name, value in self.model_dump(exclude={"preset"}).items() if value is not None}
        return PRESETS[self.preset].model_dump() | changed


class PretrainRecipe(Settings):
    """Everything that pretraining follows from, but the data."""

    model: ModelSettings
    examples: ExampleSettings = ExampleSettings()
    training: TrainingSettings
    # Held-out examples that each evaluation measures on, always the same ones.
    evaluation_examples: int = Field(default=512, ge=1)


def recipe_names() -> list[str]:
    """The recipes that come with bertwright."""
    folder = importlib.resources.files("bertwright.recipes")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_recipe(recipe: str, overrides: list[str] | None = None) -> PretrainRecipe:
    """A recipe by name or by path, with `key=value` overrides. Raises SettingsError."""
    if recipe in recipe_names():
        text = (importlib.resources.files("bertwright.recipes") / f"{recipe}.toml").read_text(encoding="utf-8")
        return PretrainRecipe.from_toml(text, where=recipe, overrides=overrides)
    path = Path(recipe)
    if not path.is_file():
        known = ", ".join(recipe_names())
        raise SettingsError("no such recipe or file", where=recipe, cure=f"recipes are: {known}")
    return PretrainRecipe.from_file(path, overrides)


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a finished run tells: held-out scores and baseline are empty where nothing was held out."""

    out: Path
    scores: dict[str, float]
    baseline: dict[str, float]
    seconds: float


def pretrain(  # three files and how to treat them
    recipe: PretrainRecipe,
    data: Path | str,
    out: Path,
    *,
    init: Path | None = None,
    cache: ShardCache | None = None,
    resume: bool = False,
    overwrite: bool = False,
    device: torch.device | None = None,
    progress: Progress,
) -> Pretrained:
    """Pretrain on a shard directory; `out` becomes a model directory. Raises Stopped after saving, or UserFault.

    Shards at an address come through `cache`.
    """
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if init is not None and init.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    shards = open_shards(data, cache, progress.say)
    shards.refuse_small_cache(2 * SHARDS_PER_WINDOW)  # a batch may stand across two windows
    dtype = choose_dtype(recipe.training.precision, device)
    # Opened and measured before anything is written: what is wrong with the data leaves no run behind.
    with progress.task("checking shards", len(shards.manifest.of("train")), "shards") as task:
        train_shards = shards.shards("train", task.update)
    pairs = recipe.examples.segments != "none"
    if pairs and not any(entry.tokens > entry.documents for entry in shards.manifest.of("train")):
        what = "none of the documents holds two tokens to make a pair of segments of"
        raise ShardError(what, where=data, cure="prepare a corpus of sentences")
    if recipe.training.compile:
        refuse_without_compiler(device)
    model, start = _first_model(recipe, shards, init, progress)
    identity = {
        "recipe": recipe.model_dump(),
        "data": shards.manifest.identity,
        "corpus_sha256": shards.manifest.corpus_sha256,
        "vocabulary_sha256": shards.manifest.vocabulary_sha256,
        "init": start,
        "precision": str(dtype).removeprefix("torch."),
    }
    with open_run(out, identity, resume=resume, overwrite=overwrite, progress=progress) as run:
        session = _Session(run, recipe, shards, train_shards, model.to(device), dtype, start, progress)
        return session.go()


class _Session:
    """One sitting of a pretraining run: what is built at its start, and the hooks of its loop."""

    def __init__(
        self,
        run: Run,
        recipe: PretrainRecipe,
        shards: ShardDirectory,
        train_shards: Sequence[Shard],
        model: Bert,
        dtype: torch.dtype,
        start: str,
        progress: Progress,
    ) -> None:
        self.run, self.recipe, self.shards, self.start, self.progress = run, recipe, shards, start, progress
        self.trainee = Trainee(model, build_optimizers(model, recipe.training))
        self.dtype, self.device = dtype, next(model.parameters()).device
        if recipe.training.compile:
            compile_encoder(model)
        vocabulary = shards.tokenizer.vocabulary
        coming = functools.partial(shards.fetch_ahead, "train")
        self.plan = ExamplePlan(train_shards, recipe.examples, recipe.training.seed, coming)
        self.batches = PretrainingBatches(self.plan, vocabulary, fixed_shape=recipe.training.compile)
        self.first, self.first_step = Cursor(), 0
        self.held_out = list(self._held_out_batches())
        counts = shards.unigrams(train_shards)
        never = (vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id)
        self.baseline = unigram_baseline(counts, self.held_out, never) if self.held_out else {}
        self.scores: dict[str, float] = {}

    def go(self) -> Pretrained:
        recipe, trainee = self.recipe, self.trainee
        saved = self.run.restore(trainee, recipe.training.steps)
        if saved:
            self.first, self.first_step = Cursor(**saved["cursor"]), trainee.step
            self.scores = saved["scores"]
        self._introduce()
        try:
            self.run.train(
                "pretraining",
                trainee,
                recipe.training,
                batches=self._training_batches(),
                objective=objective,
                dtype=self.dtype,
                headline=_headline,
                evaluate=self._evaluate,
                save=self._save,
            )
        except Stopped:
            self._draw()
            raise
        self._draw()
        self._write_model()
        return Pretrained(self.run.out, self.scores, self.baseline, self.run.seconds)

    def _training_batches(self) -> Iterator[PretrainingBatch]:
        size = self.recipe.training.batch_size
        cursor = self.first
        while True:
            yield self.batches.build(cursor, size)
            cursor = self.plan.advance(cursor, size)

    def _held_out_batches(self) -> Iterator[PretrainingBatch]:
        shards = self.shards.shards("held_out")
        if not shards:
            return
        # A seed of its own: what is measured stays the same whatever the training seed.
        plan = ExamplePlan(shards, self.recipe.examples, seed=0)
        fixed = self.recipe.training.compile
        builder = PretrainingBatches(plan, self.shards.tokenizer.vocabulary, fixed_shape=fixed)
        count = min(plan.size(0), self.recipe.evaluation_examples)
        for start in range(0, count, _EVALUATION_BATCH):
            yield builder.build(Cursor(0, start), min(_EVALUATION_BATCH, count - start))

    def _introduce(self) -> None:
        parameters = sum(parameter.numel() for parameter in self.trainee.model.parameters())
        with self.progress.task("counting examples", self.plan.windows, "windows of shards") as task:
            report = self.plan.report(self.first.epoch, task.update)
        steps, size = self.recipe.training.steps, self.recipe.training.batch_size
        examples = self.recipe.examples
        packed = f" with {report.sequences:,} sequences" if examples.packed else ""
        following = f", {report.is_next:,} of them IsNext" if examples.segments != "none" else ""
        self.progress.say(
            f"{parameters:,} parameters, {str(self.dtype).removeprefix('torch.')}; "
            f"{report.examples:,} examples an epoch{packed}{following}; "
            f"{steps:,} steps of {size} are {steps * size / report.examples:.1f} epochs"
        )
        lost = report.truncated_tokens + report.single_tokens
        padding = 1 - report.example_tokens / (report.examples * examples.max_length)
        self.progress.say(
            f"{1 - lost / report.corpus_tokens:.2%} of the text is in an example this epoch; "
            f"{padding:.1%} of the {examples.max_length} tokens of an example is padding"
        )

    def _evaluate(self, step: int, tell: Callable[[str], None]) -> None:
        if not self.held_out:
            return
        total = sum(len(batch.input_ids) for batch in self.held_out)
        with computing_in(self.dtype, self.device):
            self.scores = held_out_scores(
                self.trainee.model,
                self.held_out,
                lambda done: tell(f"measuring: {done:,} of {total:,} held-out examples"),
            )
        self.run.record({"step": step} | {f"held_out_{name}": value for name, value in self.scores.items()})
        following = f"; NSP accuracy {self.scores['nsp_accuracy']:.1%}" if "nsp_accuracy" in self.scores else ""
        self.progress.say(
            f"step {step:,}, held out: MLM loss {self.scores['mlm_loss']:.3f}, "
            f"accuracy {self.scores['mlm_accuracy']:.1%} (unigram {self.baseline['mlm_accuracy']:.1%}){following}"
        )

    def _save(self, step: int) -> None:
        size = self.recipe.training.batch_size
        cursor = self.plan.advance(self.first, (step - self.first_step) * size)
        self.run.save(self.trainee, cursor=asdict(cursor), scores=self.scores)

    def _draw(self) -> None:
        path = self.run.folder / "curves.png"
        if draw_curves(self.run.metrics(), path, self.baseline):
            self.progress.say(f"curves: {path}")
        else:
            self.progress.say("curves were not drawn: install matplotlib with pip install 'bertwright[report]'")

    def _write_model(self) -> None:
        manifest, recipe = self.shards.manifest, self.recipe
        record: dict[str, Any] = {
            "bertwright": VERSION,
            "lineage": [
                {"step": "vocabulary", "sha256": manifest.vocabulary_sha256, "size": manifest.vocabulary_size},
                {"step": "prepare", "corpus_sha256": manifest.corpus_sha256, "tokens": manifest.counts["tokens"]},
                {"step": "pretrain", "from": self.start, "recipe": recipe.model_dump()},
            ],
            "task": "pretrain",
            "max_length": recipe.examples.max_length,
            "metrics": self.scores,
            "baseline": self.baseline,
        }
        write_model(self.run.out, self.trainee.model, self.shards.tokenizer, record=record)


def _headline(figures: dict[str, float]) -> str:
    following = f"  NSP {figures['nsp_accuracy']:.1%}" if "nsp_accuracy" in figures else ""
    return f"loss {figures['loss']:.3f}  MLM {figures['mlm_accuracy']:.1%}{following}"


def _first_model(
    recipe: PretrainRecipe, shards: ShardDirectory, init: Path | None, progress: Progress
) -> tuple[Bert, str]:
    """The model of step 0 and what it is: random weights, or those of `init`."""
    if not shards.manifest.of("train"):
        raise ShardError("holds no shards to train on", where=shards.path)
    vocabulary = shards.tokenizer.vocabulary
    config = recipe.model.config(len(vocabulary), vocabulary.pad_id)
    longest = recipe.examples.max_length
    parts = WORDS_ALONE if recipe.examples.segments == "none" else PRETRAINING
    if init is None:
        _refuse_long(longest, config)
        model = Bert(config, parts)
        model.initialise(recipe.training.seed)
        return model, "random weights"
    loaded = read_model(init)
    if loaded.tokenizer.vocabulary.sha256 != vocabulary.sha256:
        raise ModelError(
            "the vocabulary does not match the shards: they were made with another one",
            where=init,
            cure=f"prepare the corpus with --vocab {init}",
        )
    if loaded.tokenizer.settings() != shards.tokenizer.settings():
        raise ModelError(
            "lower case, accents or CJK are treated otherwise in the shards",
            where=init,
            cure=f"prepare the corpus with --vocab {init}",
        )
    if loaded.model.config.type_vocab_size < 2 and parts.next_sentence:
        raise ModelError("has one segment type, and next-sentence pairs need two", where=init)
    dropout = {name: getattr(config, name) for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")}
    kept = loaded.model.config.model_copy(update=dropout)
    _refuse_long(longest, kept)
    if any(getattr(kept, name) != getattr(config, name) for name in ("hidden_size", "num_hidden_layers")):
        progress.say(f"{init}: its shape holds, not the recipe's ({kept.num_hidden_layers} layers, {kept.hidden_size})")
    model, drawn = with_parts(loaded.model, parts, seed=recipe.training.seed, config=kept)
    if drawn:
        progress.say(f"{init}: new weights for {', '.join(sorted({name.split('.')[0] for name in drawn}))}")
    dropped = dict(loaded.model.named_parameters()).keys() - dict(model.named_parameters()).keys()
    unused = [*loaded.unused, *sorted({name.split(".")[0] for name in dropped})]
    if unused:
        progress.say(f"{init}: not used, {', '.join(unused)}")
    return model, f"{init.name}, weights sha256 {weights_hash(loaded.model)}"


def _refuse_long(max_length: int, config: EncoderConfig) -> None:
    if max_length > config.max_position_embeddings:
        raise SettingsError(
            f"`examples.max_length` is {max_length}, but the model has {config.max_position_embeddings} positions",
            cure=f"set it to {config.max_position_embeddings} or less",
        )
