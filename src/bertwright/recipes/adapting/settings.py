"""How a model is adapted: what the field's and the task's text are gone through with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bertwright.encoder.config import EncoderConfig
from bertwright.examples.settings import ExampleSettings, MaskedUnit
from bertwright.recipes.adapting.texts import Rows
from bertwright.recipes.recipe import ModelSettings, PretrainRecipe
from bertwright.settings import Settings
from bertwright.text.chinese import Segmenter
from bertwright.text.documents import OnError
from bertwright.training.settings import MachineSettings, OptimizerName, PrecisionName, TrainingSettings

Segments = Literal["next_sentence", "none"]


class AdaptExamples(Settings):
    """What an example looks like; each as of `examples` in a recipe of pretraining."""

    # Tokens in a row, [CLS] and [SEP] included.
    max_length: int = Field(default=128, ge=8, le=512)
    # What is hidden together. Whole words here, for the pieces of a field's long words give each other away where they
    # are hidden one by one.
    masked_unit: MaskedUnit = "whole_word"
    # Words in the longest span, where spans are hidden.
    longest_span: int = Field(default=3, ge=1, le=20)
    # Share of the tokens that are predicted.
    masked_fraction: float = Field(default=0.15, gt=0, lt=1)
    # Share of examples that aim at a random shorter length.
    short_fraction: float = Field(default=0.1, ge=0, le=1)

    def settings(self, segments: Segments) -> ExampleSettings:
        """The same as settings of pretraining."""
        return ExampleSettings(segments=segments, **self.model_dump())


class StageSettings(Settings):
    """One text that is gone through."""

    # Times that the text is seen, unless that takes more than `most_steps`.
    epochs: int = Field(default=1, ge=1)
    # Steps that are not passed, however often the text is to be seen; None: as many as that takes.
    most_steps: int | None = Field(default=None, ge=1)
    # Examples in a step.
    batch_size: int = Field(default=32, ge=1)
    # Highest learning rate. Gururangan et al. 2020 (ADAPTIVE_PRETRAINING.md of their code) take 5e-4 with 2,048
    # examples in a step for a field and 1e-4 with 256 for a task. By the square root of the number of examples that is
    # 6e-5 and 4e-5 with 32.
    learning_rate: float = Field(default=5e-5, gt=0)
    # Share of the steps in which the rate climbs from 0; of Gururangan et al. 2020.
    warmup_fraction: float = Field(default=0.06, ge=0, le=1)
    # Share of the documents kept aside to measure on.
    held_out: float = Field(default=0.02, ge=0, le=0.5)
    # Times that held-out text is measured on the way.
    evaluations: int = Field(default=10, ge=1)


class TaskStageSettings(StageSettings):
    """The task's own text, of which there is little."""

    # Times that the text is seen, unless that takes more than `most_steps`; of Gururangan et al. 2020.
    epochs: int = Field(default=100, ge=1)
    # Steps that are not passed: 5,000 of 32 examples are 100 epochs of half a million words.
    most_steps: int | None = Field(default=5000, ge=1)
    # Share of the rows kept aside to measure on.
    held_out: float = Field(default=0.05, ge=0, le=0.5)
    # Columns that hold the text; None is `text`, or `text_a` and `text_b`, whichever the rows have.
    text_columns: list[str] | None = Field(default=None, min_length=1, max_length=2)
    # What the rows are: "texts", "tagged" (words with tags) or "questions"; "auto": what the files say.
    rows: Rows = "auto"
    # What to do with a row that is none; None: as `on_error` says of all text.
    on_error: OnError | None = None


class AdaptSettings(Settings):
    """Everything that an adaptation follows from, but the model and the text."""

    examples: AdaptExamples = AdaptExamples()
    # The field's text, and after it the task's.
    field: StageSettings = StageSettings()
    task: TaskStageSettings = TaskStageSettings()
    # "auto": next sentence too, where the model has a head for it and documents have two sentences or more.
    next_sentence: Literal["auto", "never"] = "auto"
    # Share of the first text's steps in which the masked-word head is trained alone; None: 0.1 of them where the head
    # is new, else none.
    head_first_fraction: float | None = Field(default=None, ge=0, lt=1)
    # Learning rate of the head while it is trained alone: high, for it knows nothing that could be forgotten.
    head_learning_rate: float = Field(default=1e-3, gt=0)
    # Dropout in training; None leaves the model's own.
    dropout: float | None = Field(default=None, ge=0, lt=1)
    # As in a recipe of pretraining.
    optimizer: OptimizerName = "adamw"
    # What each step takes off the weights, as a share of the learning rate.
    weight_decay: float = Field(default=0.01, ge=0)
    # Every random choice of the adaptation follows from this number.
    seed: int = Field(default=0, ge=0, lt=2**63)
    # "auto": bf16 where the processor computes in it, else fp32.
    precision: PrecisionName = "auto"
    # Examples of each held-out text that are measured.
    evaluation_examples: int = Field(default=512, ge=1)
    # Steps between reports.
    log_every: int = Field(default=10, ge=1)
    # Steps between checkpoints at most; one comes with each measurement too.
    save_every: int = Field(default=1000, ge=1)
    # Column of a table that holds the text, in the field's and in the general corpus.
    text_column: str = "text"
    # Column that holds the text of the general corpus; None: `text_column` too.
    general_text_column: str | None = None
    # Language code, for finding sentences.
    language: str = "en"
    # What tells which ideographs make a word, for masking whole words.
    segmenter: Segmenter = "none"
    # What to do with a line or row that is no document.
    on_error: OnError = "stop"
    # What the machine at hand decides; an adaptation may go on with others.
    machine: MachineSettings = MachineSettings()

    def recipe(
        self, stage: StageSettings, segments: Segments, config: EncoderConfig, *, steps: int, seed: int
    ) -> PretrainRecipe:
        """The recipe of pretraining that goes through one text with a model of this shape."""
        every = -(-steps // stage.evaluations)
        dropout = {"hidden_dropout_prob": self.dropout, "attention_probs_dropout_prob": self.dropout}
        shape = config.model_dump() | ({} if self.dropout is None else dropout)
        taken = ModelSettings.model_fields.keys() & shape.keys()
        return PretrainRecipe(
            model=ModelSettings(preset="bert-base", **{name: shape[name] for name in sorted(taken)}),
            examples=self.examples.settings(segments),
            training=TrainingSettings(
                steps=steps,
                batch_size=stage.batch_size,
                optimizer=self.optimizer,
                learning_rate=stage.learning_rate,
                warmup_fraction=stage.warmup_fraction,
                weight_decay=self.weight_decay,
                seed=seed,
                precision=self.precision,
                log_every=min(self.log_every, every),
                evaluate_every=every,
                save_every=min(self.save_every, every),
            ),
            machine=self.machine,
            evaluation_examples=self.evaluation_examples,
        )
