"""One sitting of a fine-tuning: train, score after each epoch, keep the best weights, write the model directory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bertwright.checkpoints.model_directory import LoadedModel, with_parts, write_model
from bertwright.checkpoints.weights import read_tensors, write_tensors
from bertwright.heads.model import Bert
from bertwright.progress import Progress
from bertwright.recipes.finetuning.assembly import Lesson
from bertwright.recipes.finetuning.curve import best_scoring
from bertwright.recipes.finetuning.dev_report import show_on_dev
from bertwright.recipes.finetuning.identity import FROM_SCRATCH
from bertwright.recipes.finetuning.overlap import overlap_of
from bertwright.recipes.finetuning.row_counts import RowCounts, data_record
from bertwright.recipes.finetuning.settings import FinetuneSettings
from bertwright.recipes.finetuning.words_in_use import WordsInUse
from bertwright.recipes.run import Run
from bertwright.tasks.decoding import decoded, outputs_of
from bertwright.tasks.lessons import LessonPlan, parts_of
from bertwright.tasks.task import Item, Said, Task
from bertwright.training.loop import Portion, Trainee
from bertwright.training.optimizers import build_optimizers
from bertwright.training.precision import choose_dtype, computing_in
from bertwright.version import VERSION

_BEST = "best.safetensors"


@dataclass(frozen=True, slots=True)
class Finetuned:
    """A finished fine-tuning: the scores of the best weights on dev, and of what needs no model."""

    out: Path
    scores: dict[str, float]
    baseline: dict[str, float]
    labels: tuple[str, ...]
    best_by: str
    # What training took, in all sittings.
    seconds: float = 0.0


class Sitting:
    """A model, its task and its rows; `go` trains from where the run stands to the end."""

    def __init__(
        self,
        lesson: Lesson,
        items: dict[str, list[Item]],
        counts: tuple[RowCounts, RowCounts],
        loaded: LoadedModel,
        model: Bert,
        settings: FinetuneSettings,
        progress: Progress,
        device: torch.device,
    ) -> None:
        self.loaded, self.settings, self.progress = loaded, settings, progress
        self.lesson, self.task, self.counts = lesson, lesson.task, counts
        pad_id = loaded.tokenizer.vocabulary.pad_id
        self.words = WordsInUse([*items["train"], *items["dev"]], model.config.vocab_size, pad_id)
        self.items = {name: self.words.renumbered(each) for name, each in items.items()}
        self.word_vectors = self.words.narrow(model)
        model.to(device)
        self.overlap = overlap_of(lesson.train, lesson.dev)
        self.lessons = self.task.lessons(self.items["train"])
        self.plan = LessonPlan(
            [max(map(len, lesson.windows)) for lesson in self.lessons],
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            seed=settings.seed,
        )
        self.training = settings.training(self.plan.steps)
        self.trainee = Trainee(model, build_optimizers(model, self.training))
        self.device = device
        self.dtype = choose_dtype(settings.precision, device)
        # In fp32 what a processor's caches do not hold costs a third of the speed: MiniLM, 384 tokens a row, two cores
        # without bf16: 1,298 tokens a second in parts of 2,048 and 2.3 GB, 837 in parts of 16,384 and 6.7 GB or more.
        few = device.type == "cpu" and self.dtype == torch.float32
        self.part_tokens = settings.micro_batch_tokens or (2048 if few else 16384)
        self.best_by = settings.keep_best_by or self.task.metrics[0]
        self.best: dict[str, float] = {}
        # Scorings since the best one.
        self.since = 0

    def go(self, run: Run, identity: dict[str, Any]) -> Finetuned:
        self.run = run
        saved = self.run.restore(self.trainee, self.training.steps)
        if saved:
            self.best, self.since = saved["best"], saved["since"]
        self._introduce()
        if not self._had_enough():
            self.run.train(
                "fine-tuning",
                self.trainee,
                self.training,
                portions=self._portions(),
                objective=self.task.loss,
                dtype=self.dtype,
                headline=lambda figures: "  ".join(
                    f"{name.replace('_', ' ')} {value:.3f}"
                    for name, value in figures.items()
                    if name != "gradient_norm"
                ),
                evaluate=self._evaluate,
                save=lambda _: self.run.save(self.trainee, best=self.best, since=self.since),
            )
        return self._finish(identity)

    def _portions(self) -> Iterator[Portion[Any]]:
        for numbers in self.plan.batches(self.trainee.step):
            lessons = [self.lessons[number] for number in numbers]
            parts = list(parts_of(lessons, self.part_tokens)) if self.task.in_parts else [lessons]
            batches = [self.task.batch(part, self.words.pad_id) for part in parts]
            first_rows, row = [], 0
            for batch in batches:
                first_rows.append(row)
                row += len(batch.owners)
            yield Portion(batches, first_rows)

    def _introduce(self) -> None:
        labels = f", {len(self.task.labels)} labels" if self.task.labels else ""
        self.progress.say(
            f"{len(self.lesson.train):,} training rows, {len(self.lesson.dev):,} dev rows{labels}; "
            f"{self.training.steps:,} steps of {self.training.batch_size}"
        )
        for remark in self.task.remarks(self.items["train"]):
            self.progress.say(remark)
        for name, counts in zip(("training", "dev"), self.counts, strict=True):
            for sentence in counts.told(name, self.task.lengths.max_length):
                self.progress.say(sentence)
        for sentence in self.overlap.told():
            self.progress.say(sentence)

    def _listen(self, on_progress: Callable[[int], None]) -> list[list[Said]]:
        return outputs_of(self.trainee.model, self.task, self.items["dev"], self.words.pad_id, on_progress)

    def _evaluate(self, step: int, tell: Callable[[str], None]) -> bool:
        with computing_in(self.dtype, self.device):
            said = self._listen(lambda done: tell(f"scoring: {done:,} of {len(self.lesson.dev):,} dev rows"))
        rows, items = self.lesson.dev, self.items["dev"]
        # With what `tuned` will choose: weights are compared as they would be used.
        plain = decoded(self.task, rows, items, said)
        task = self.task.tuned(rows, plain)
        scores = task.scores(rows, plain if task is self.task else decoded(task, rows, items, said))
        self.run.record({"step": step} | {f"dev_{name}": value for name, value in scores.items()})
        better = not self.best or scores[self.best_by] > self.best[self.best_by]
        # Of equal scores the later: there are few of them on small or hard dev rows, and its loss is the lower one.
        if better or scores[self.best_by] == self.best[self.best_by]:
            # The weights first: a kill in between leaves better weights beside a worse score, and the step is redone.
            write_tensors(self.run.folder / _BEST, dict(self.trainee.model.named_parameters()))
            self.best = scores
        self.since = 0 if better else self.since + 1
        told = "  ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.progress.say(f"step {step:,}, dev: {told}{'  (best so far)' if better else ''}")
        if self._had_enough() and step < self.training.steps:
            times = "scoring" if self.since == 1 else f"{self.since} scorings in a row"
            self.progress.say(f"stopping early: {times} brought nothing better")
            return True
        return False

    def _had_enough(self) -> bool:
        return self.settings.patience is not None and self.since >= self.settings.patience

    def _finish(self, identity: dict[str, Any]) -> Finetuned:
        tensors = read_tensors(self.run.folder / _BEST)
        with torch.no_grad():
            for name, parameter in self.trainee.model.named_parameters():
                parameter.copy_(tensors[name])
        trained = self.task.after_training(self.trainee.model)
        # Scored once more as the model will be used, in fp32: `evaluate` says the same of the directory.
        with self.progress.task("scoring the best weights in fp32", len(self.lesson.dev), "rows") as bar:
            said = self._listen(bar.update)
        rows, items = self.lesson.dev, self.items["dev"]
        plain = decoded(trained, rows, items, said)
        task = trained.tuned(rows, plain)
        predictions = decoded(task, rows, items, said)
        scores = task.scores(rows, predictions)
        metrics = self.run.metrics()
        shown = show_on_dev(
            self.run.out, rows, (trained, plain), (task, predictions), metrics, self.best_by, self.progress.say
        )
        unmodelled = trained.baseline(self.lesson.train, rows)
        if scores[self.best_by] <= unmodelled.get(self.best_by, -math.inf):
            cure = "more rows, more epochs or a greater learning rate may help"
            self.progress.say(f"{self.best_by} is no better than without a model: nothing of use was learnt; {cure}")
        best = best_scoring(metrics, self.best_by)
        record = {
            **self._origin(identity),
            "task": task.name,
            "max_length": task.lengths.max_length,
            "overlap": task.lengths.overlap,
            "max_windows": task.lengths.most,
            **task.record(),
            "metrics": scores,
            "baseline": unmodelled,
            "data": data_record(*self.counts, task.labels, (self.lesson.train, rows)),
            # `overlap` is that of windows.
            "shared_rows": self.overlap.record(),
            **self._without_shared(task, predictions),
            "training": {
                "steps": self.trainee.step,
                "best_step": None if best is None else best["step"],
                "best_by": self.best_by,
            },
            **shown,
        }
        self.words.widen(self.trainee.model, self.word_vectors)
        # Dropout belongs to the training, not to the model: the directory says what the source said.
        model, _ = with_parts(self.trainee.model, self.trainee.model.parts, seed=0, config=self.loaded.model.config)
        write_model(self.run.out, model, self.loaded.tokenizer, labels=task.labels, record=record)
        return Finetuned(self.run.out, scores, unmodelled, self.task.labels, self.best_by, self.run.told_seconds())

    def _origin(self, identity: dict[str, Any]) -> dict[str, Any]:
        """What the model was made with and of, step by step."""
        earlier = self.loaded.record.get("lineage", [])
        if identity["model"] == FROM_SCRATCH:
            # Of all that came before, the vocabulary alone is in it.
            earlier = [step for step in earlier if step["step"] == "vocabulary"]
        return {"bertwright": VERSION, "lineage": [*earlier, {"step": "finetune", **identity}]}

    def _without_shared(self, task: Task[Any, Any], predictions: Sequence[Any]) -> dict[str, Any]:
        """The scores of the dev rows that the model has not seen in training, where it has seen others."""
        rows = self.overlap.kept(self.lesson.dev)
        if not self.overlap.rows or not rows:
            return {}
        scores = task.scores(rows, self.overlap.kept(predictions))
        told = ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        self.progress.say(f"on the {len(rows):,} dev rows that are not in train: {told}")
        return {"metrics_without_shared_rows": scores}
