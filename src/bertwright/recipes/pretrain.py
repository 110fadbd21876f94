"""Shards -> a pretrained model: masked words and next sentence."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from bertwright.checkpoints.model_directory import write_model
from bertwright.errors import DiskFull, ModelError, SettingsError, ShardError, Stopped
from bertwright.examples.plan import SHARDS_PER_WINDOW
from bertwright.heads.model import Bert
from bertwright.progress import Progress, Silent
from bertwright.recipes.course import Course, Stretch, sizes_of
from bertwright.recipes.first_model import first_model
from bertwright.recipes.held_out import WatchedTexts, held_out_batches
from bertwright.recipes.pretraining_curves import draw_curves
from bertwright.recipes.recipe import PretrainRecipe
from bertwright.recipes.run import Run, open_run
from bertwright.recipes.tensorboard import refuse_without_tensorboard
from bertwright.shards.cache import ShardCache
from bertwright.shards.read import Shard, ShardDirectory, open_shards
from bertwright.tasks.frequency import FrequencyBands, FrequencyTally
from bertwright.tasks.operations import operations_per_token
from bertwright.tasks.pretrain import held_out_scores, objective, unigram_baseline
from bertwright.training.compilation import compile_encoder, refuse_without_compiler
from bertwright.training.fitting import largest_fitting
from bertwright.training.freezing import train_only
from bertwright.training.loop import Trainee
from bertwright.training.optimizers import build_optimizers
from bertwright.training.peak import matmul_rate
from bertwright.training.precision import choose_dtype, computing_in
from bertwright.training.sharded import gathered, share_out
from bertwright.training.watch import Watch
from bertwright.training.world import World, alone, check_batch
from bertwright.version import VERSION

# Bytes for each byte of the weights that the trial does not see yet: two of moments, which come with the first step,
# and one of gradients, which are all there from the second part of a step on.
_TO_COME = 3


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a finished run tells: held-out scores and baseline are empty where nothing was held out.

    watched: the figures of the texts that were watched, `before` the first step and `after` the last.
    """

    out: Path
    scores: dict[str, float]
    baseline: dict[str, float]
    seconds: float
    watched: dict[str, dict[str, float]] = field(default_factory=dict)


def pretrain(
    recipe: PretrainRecipe,
    data: Path | str,
    out: Path,
    *,
    init: Path | None = None,
    trained: Collection[str] = (),
    watched: Mapping[str, Sequence[Shard]] | None = None,
    cache: ShardCache | None = None,
    resume: bool = False,
    overwrite: bool = False,
    tensorboard: bool = False,
    world: World | None = None,
    progress: Progress,
) -> Pretrained:
    """Pretrain on a shard directory; `out` becomes a model directory.

    `world` is this process's place among those that train together, each of which calls this. Raises Stopped after
    saving, or UserFault. Shards at an address come through `cache`. `tensorboard` writes event files too.

    trained: the parts of the model that move, as `masked_words`; all of them where none is named. watched: held-out
    text by name, made with the same tokenizer, whose masked words are measured before the first step and with each
    evaluation.
    """
    world = world or alone()
    progress = progress if world.is_first else Silent()
    if init is not None and init.resolve() == out.resolve():
        raise ModelError("is the model to start from, and would be lost", where=out, cure="choose another --out")
    if tensorboard:
        world.of_first(refuse_without_tensorboard)
    shards = open_shards(data, cache, progress.say)
    shards.refuse_small_cache(2 * SHARDS_PER_WINDOW)  # a batch may stand across two windows
    dtype = choose_dtype(recipe.training.precision, world.device)
    # Opened and measured before anything is written: what is wrong with the data leaves no run behind.
    with progress.task("checking shards", len(shards.manifest.of("train")), "shards") as task:
        train_shards = shards.shards("train", task.update)
    pairs = recipe.examples.segments != "none"
    if pairs and not any(entry.tokens > entry.documents for entry in shards.manifest.of("train")):
        what = "none of the documents holds two tokens to make a pair of segments of"
        raise ShardError(what, where=data, cure="prepare a corpus of sentences")
    if recipe.machine.compile:
        refuse_without_compiler(world.device)
        if recipe.machine.recompute:
            raise SettingsError("`machine.compile` and `machine.recompute` exclude each other", cure="choose one")
    check_batch(int(sizes_of(recipe).min()), world)
    model, start = first_model(recipe, shards, init, progress)
    identity = {
        "recipe": recipe.identity,
        "data": shards.manifest.identity,
        "corpus_sha256": shards.manifest.corpus_sha256,
        "vocabulary_sha256": shards.manifest.vocabulary_sha256,
        "init": start,
        "precision": str(dtype).removeprefix("torch."),
    }
    if trained:
        identity["trained"] = sorted(trained)
        train_only(model, trained)
    with open_run(
        out,
        identity,
        machine=recipe.machine,
        world=world,
        resume=resume,
        overwrite=overwrite,
        tensorboard=tensorboard,
        instead=f"or, once its model is there, go on from that with --init {out} and another --out",
        progress=progress,
    ) as run:
        session = _Session(run, recipe, shards, train_shards, model.to(world.device), dtype, start, progress)
        session.watch(watched or {})
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
        self.world, self.dtype, self.train_shards = run.world, dtype, train_shards
        model.encoder.recompute = recipe.machine.recompute
        self.frozen = not all(parameter.requires_grad for parameter in model.parameters())
        if recipe.machine.compile:
            compile_encoder(model)
        share_out(model, self.world, recipe.machine.sharding)
        self.trainee = Trainee(model, build_optimizers(model, recipe.training))
        vocabulary = shards.tokenizer.vocabulary
        fixed = recipe.machine.compile
        self.held_out = list(
            held_out_batches(
                shards.shards("held_out"),
                recipe.examples,
                vocabulary,
                most=recipe.evaluation_examples,
                fixed_shape=fixed,
            )
        )
        counts = shards.unigrams(train_shards)
        never = (vocabulary.pad_id, vocabulary.cls_id, vocabulary.sep_id, vocabulary.mask_id)
        self.baseline = unigram_baseline(counts, self.held_out, never) if self.held_out else {}
        self.bands = FrequencyBands(counts, never)
        self.scores: dict[str, float] = {}
        # The lowest held-out loss that a state was kept of, and the step that the scores are of.
        self.best, self.scored = float("inf"), -1
        # The step of the state just saved as the best, and the best before it: a full disk may have no room for it.
        self.claimed: int | None = None
        self.before = self.best
        self.watched: WatchedTexts | None = None
        self.watched_figures: dict[str, dict[str, float]] = {}

    def watch(self, texts: Mapping[str, Sequence[Shard]]) -> None:
        """Measure other texts too."""
        if texts:
            self.watched = WatchedTexts(
                texts,
                self.recipe.examples,
                self.shards.tokenizer.vocabulary,
                most=self.recipe.evaluation_examples,
                fixed_shape=self.recipe.machine.compile,
            )

    def go(self) -> Pretrained:
        recipe, trainee = self.recipe, self.trainee
        saved = self.run.restore(trainee, recipe.training.steps)
        if saved:
            self.scores = saved["scores"]
            self.best = float("inf") if saved["best"] is None else saved["best"]
            self.watched_figures = saved.get("watched", {})
        place = saved["place"] if saved else None
        vocabulary = self.shards.tokenizer.vocabulary
        coming = functools.partial(self.shards.fetch_ahead, "train")
        self.course = Course(recipe, self.train_shards, vocabulary, self.world, place=place, coming=coming)
        self._introduce()
        self._fit_memory()
        if not saved:
            self._measure_watched(0, "before")
        try:
            self.run.train(
                "pretraining",
                trainee,
                recipe.training,
                portions=self.course.portions(trainee.step),
                objective=objective,
                dtype=self.dtype,
                headline=_headline,
                evaluate=self._evaluate,
                save=self._save,
                watch=Watch(
                    vocabulary=len(vocabulary),
                    unigram_loss=self.baseline.get("mlm_loss"),
                    warmup_steps=round(recipe.training.steps * recipe.training.warmup_fraction),
                ),
                # Where parts stand still, what a step costs is not what it is counted as.
                share_of_peak=None if self.frozen else self._share_of_peak(),
            )
        except Stopped as stopped:
            # After Ctrl-C someone is there to look; who sends SIGTERM wants the machine back.
            if stopped.signal_number == signal.SIGINT:
                self._draw()
            raise
        # The model first: on a disk that is all but full, the picture is not to take its room.
        self._write_model()
        self._draw()
        return Pretrained(self.run.out, self.scores, self.baseline, self.run.seconds, self.watched_figures)

    def _introduce(self) -> None:
        parameters = sum(parameter.numel() for parameter in self.trainee.model.parameters())
        machine, world = self.recipe.machine, self.world
        among = "" if world.size == 1 else f", {world.size} processes ({machine.sharding})"
        self.progress.say(f"{parameters:,} parameters, {str(self.dtype).removeprefix('torch.')}{among}")
        for stretch in self.course.stretches:
            if stretch.last > self.trainee.step:
                self._introduce_stretch(stretch)

    def _introduce_stretch(self, stretch: Stretch) -> None:
        plan, examples = stretch.plan, stretch.examples
        with self.progress.task("counting examples", plan.windows, "windows of shards") as task:
            # The epoch that the run goes on in; a phase that is still to come begins with its first.
            begun = stretch.first <= self.trainee.step
            epoch = self.course.place(self.trainee.step)["epoch"] if begun else 0
            report = plan.report(epoch, task.update)
        sizes = self.course.sizes[stretch.first : stretch.last]
        packed = f" with {report.sequences:,} sequences" if examples.packed else ""
        following = f", {report.is_next:,} of them IsNext" if examples.segments != "none" else ""
        each = f"{sizes.min():,}" if sizes.min() == sizes.max() else f"{sizes.min():,} to {sizes.max():,}"
        self.progress.say(
            f"{report.examples:,} examples an epoch of {examples.max_length} tokens{packed}{following}; "
            f"{len(sizes):,} steps of {each} are {sizes.sum() / report.examples:.1f} epochs"
        )
        lost = report.truncated_tokens + report.single_tokens
        padding = 1 - report.example_tokens / (report.examples * examples.max_length)
        self.progress.say(
            f"{1 - lost / report.corpus_tokens:.2%} of the text is in an example this epoch; "
            f"{padding:.1%} of the {examples.max_length} tokens of an example is padding"
        )

    def _fit_memory(self) -> None:
        """On a GPU, find by trial how many examples go through at once, where nobody has said."""
        world, machine, model = self.world, self.recipe.machine, self.trainee.model
        # Shared out, a trial that fails on one process alone would leave the others waiting.
        if world.device.type != "cuda" or machine.micro_batch_size is not None or machine.sharding != "ddp":
            return
        weights = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
        begins = (self.trainee.step, *(stretch.first for stretch in self.course.stretches))
        longest = max(begins, key=lambda step: self.course.stretch(step).examples.max_length)

        def attempt(count: int) -> None:
            reserved = torch.empty(_TO_COME * weights, dtype=torch.uint8, device=world.device)
            batch = self.course.rows(longest, count)
            with computing_in(self.dtype, world.device):
                loss, _ = objective(model, batch.to(world.device), batch.counts)
            loss.backward()
            model.zero_grad(set_to_none=True)
            del reserved

        most = -(-int(self.course.sizes.max()) // world.size)
        found = world.smallest(largest_fitting(most, attempt))
        self.course.micro_batch_size = found
        if found < most:
            self.progress.say(
                f"{found:,} examples at once fit the GPU's memory: a step goes in {-(-most // found)} parts"
            )

    def _share_of_peak(self) -> Callable[[int, float], float]:
        """Maps a step and its tokens a second to the share of the machine's measured rate of matrix products."""
        config, world = self.trainee.model.config, self.world
        peak = world.sum([matmul_rate(self.dtype, world.device)])[0]
        self.progress.say(
            f"matrix products in {str(self.dtype).removeprefix('torch.')}: {peak / 1e12:.3g} TFLOP/s measured here"
        )

        def share(step: int, tokens_per_second: float) -> float:
            return tokens_per_second * operations_per_token(config, self.course.stretch(step - 1).examples) / peak

        return share

    def _evaluate(self, step: int, tell: Callable[[str], None]) -> None:
        if self.held_out:
            self._measure_held_out(step, tell)
        self._measure_watched(step, "after", tell)

    def _measure_watched(self, step: int, when: str, tell: Callable[[str], None] = lambda _: None) -> None:
        if self.watched is None:
            return
        with computing_in(self.dtype, self.world.device):
            figures = self.watched.figures(self.trainee.model, tell)
        self.watched_figures = self.watched_figures | {when: figures}
        self.run.record({"step": step, **figures})
        names = [name.removesuffix("_mlm_loss") for name in figures if name.endswith("_mlm_loss")]
        told = (f"{n} {figures[f'{n}_mlm_loss']:.3f} ({figures[f'{n}_mlm_accuracy']:.1%})" for n in names)
        self.progress.say(f"step {step:,}, MLM loss (accuracy): {', '.join(told)}")

    def _measure_held_out(self, step: int, tell: Callable[[str], None]) -> None:
        total = sum(len(batch.input_ids) for batch in self.held_out)
        tally = FrequencyTally(self.bands)
        with computing_in(self.dtype, self.world.device):
            self.scores = held_out_scores(
                self.trainee.model,
                self.held_out,
                lambda done: tell(f"measuring: {done:,} of {total:,} held-out examples"),
                tally.add,
            )
        self.scored = step
        figures = {f"held_out_{name}": value for name, value in self.scores.items()}
        self.run.record({"step": step, **figures, "held_out_by_frequency": tally.figures()})
        following = f"; NSP accuracy {self.scores['nsp_accuracy']:.1%}" if "nsp_accuracy" in self.scores else ""
        self.progress.say(
            f"step {step:,}, held out: MLM loss {self.scores['mlm_loss']:.3f}, "
            f"accuracy {self.scores['mlm_accuracy']:.1%} (unigram {self.baseline['mlm_accuracy']:.1%}){following}"
        )

    def _save(self, step: int) -> None:
        if self.run.lost(self.claimed):
            self.best = self.before
        self.claimed = None
        better = self.scored == step and self.scores["mlm_loss"] < self.best
        if better:
            self.claimed, self.before, self.best = step, self.best, self.scores["mlm_loss"]
        best = self.best if self.best < float("inf") else None
        figures = {"scores": self.scores, "best": best, "watched": self.watched_figures}
        self.run.save(self.trainee, better=better, place=self.course.place(step), **figures)

    def _draw(self) -> None:
        if not self.world.is_first:
            return
        path = self.run.folder / "curves.png"
        try:
            drawn = draw_curves(self.run.metrics(), path, self.baseline)
        except DiskFull:
            self.progress.say(f"{path}: the disk is full, so the curves were not drawn")
            return
        if drawn:
            self.progress.say(f"curves: {path}")
        else:
            self.progress.say("curves were not drawn: install matplotlib with pip install 'bertwright[report]'")

    def _write_model(self) -> None:
        model = gathered(self.trainee.model)
        if not self.world.is_first:
            return
        manifest, recipe = self.shards.manifest, self.recipe
        record: dict[str, Any] = {
            "bertwright": VERSION,
            "lineage": [
                {"step": "vocabulary", "sha256": manifest.vocabulary_sha256, "size": manifest.vocabulary_size},
                {"step": "prepare", "corpus_sha256": manifest.corpus_sha256, "tokens": manifest.counts["tokens"]},
                {"step": "pretrain", "from": self.start, "recipe": recipe.identity},
            ],
            "task": "pretrain",
            "max_length": recipe.longest,
            "metrics": self.scores,
            "baseline": self.baseline,
        }
        if self.watched_figures:
            record["watched"] = self.watched_figures
        try:
            write_model(self.run.out, model, self.shards.tokenizer, record=record)
        except DiskFull:
            what = "the disk is full, so the model was not written; free some space and go on with --resume"
            raise DiskFull(f"{self.run.out}: {what}") from None


def _headline(figures: dict[str, float]) -> str:
    following = f"  NSP {figures['nsp_accuracy']:.1%}" if "nsp_accuracy" in figures else ""
    return f"loss {figures['loss']:.3f}  MLM {figures['mlm_accuracy']:.1%}{following}"
