"""How a model is fine-tuned."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from bertwright.batches.windows import Lengths
from bertwright.errors import SettingsError
from bertwright.heads.embed import Pooling
from bertwright.settings import Settings
from bertwright.tasks.answer import BEST, LONGEST_ANSWER, MetricName
from bertwright.text.documents import OnError
from bertwright.training.settings import PrecisionName, TrainingSettings

_CLASSES = ("classify", "pair")
_WHOLE_TEXTS = (*_CLASSES, "multilabel", "regress", "embed")
# The tasks that look at a setting, where not all do: one that nothing looks at would be believed to work.
_ONLY = {
    "max_windows": _WHOLE_TEXTS,
    "class_weights": (*_CLASSES, "multilabel", "tag"),
    "label_smoothing": (*_CLASSES, "tag"),
    "abstain_below": _CLASSES,
    "abstain_accuracy": _CLASSES,
    "calibrate": _CLASSES,
    "threshold": ("multilabel",),
    "pooling": ("embed",),
    "normalize": ("embed",),
    "similar_score": ("embed",),
    "similarity_scale": ("embed",),
    "tag_features": ("tag",),
    "lstm_size": ("tag",),
    "max_answer_tokens": ("answer",),
    "best_size": ("answer",),
    "metric": ("answer",),
    "on_error": ("answer",),
    "text_columns": (*_WHOLE_TEXTS, "tag"),
    "label_column": (*_WHOLE_TEXTS, "tag"),
}


class FinetuneSettings(Settings):
    """The defaults are the paper's middle choices (appendix A.3)."""

    # Times that every training row is seen.
    epochs: int = Field(default=3, ge=1)
    # Rows in a step.
    batch_size: int = Field(default=32, ge=1)
    # Highest learning rate: reached after the warm-up, falling to 0 on a straight line.
    learning_rate: float = Field(default=5e-5, gt=0)
    # Share of the steps in which the rate climbs from 0 on a straight line.
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    # What each step takes off the weights, as a share of the learning rate; biases and normalisations keep theirs.
    weight_decay: float = Field(default=0.01, ge=0)
    # Each layer learns at this share of the rate of the layer above it; 1: all at the same. 0.65 to 0.95 are usual.
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    # What does not learn: "embeddings", "encoder" (the head alone learns), or the embeddings and so many layers.
    freeze: Literal["nothing", "embeddings", "encoder"] | int = "nothing"
    # Dropout in training; None leaves the model's own.
    dropout: float | None = Field(default=None, ge=0, lt=1)
    # Every random choice of the fine-tuning follows from this number.
    seed: int = Field(default=0, ge=0, lt=2**63)
    # "auto": bf16 where the processor computes in it, else fp32. Weights and optimizer are fp32 in any case.
    precision: PrecisionName = "auto"

    # Tokens in an input, [CLS] and [SEP] included; longer texts are cut into windows. None: as many as the model was
    # trained on, for `answer` at most 384 as in the original code.
    max_length: int | None = Field(default=None, ge=8, le=512)
    # Tokens that neighbouring windows share (the original's doc_stride is how far they move on). None: 128, of
    # short inputs a third for `answer` and a quarter for the others.
    overlap: int | None = Field(default=None, ge=0)
    # Windows of a text that gets one label, score or vector; what is over is counted and told.
    max_windows: int = Field(default=16, ge=1)

    # "balanced": every label counts as much as every other, however rare it is.
    class_weights: Literal["none", "balanced"] = "none"
    # Share of the truth that is given to all labels alike (Szegedy et al. 2016).
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    # The least probability with which a label is given; below it the answer is none. For `classify` and `pair`.
    abstain_below: float = Field(default=0.0, ge=0, lt=1)
    # In place of `abstain_below`: the share of right ones among the labels given, for which dev finds the threshold.
    abstain_accuracy: float | None = Field(default=None, gt=0, le=1)
    # Choose on dev the temperature by which probabilities say how often the model is right. For `classify` and `pair`.
    calibrate: bool = True
    # The probability from which on a label is given; for `multilabel`.
    threshold: float = Field(default=0.5, gt=0, lt=1)

    # How a text's vector is made of its tokens'; for `embed`. None: as the model was made for, else the mean.
    pooling: Pooling | None = None
    # Vectors have length 1; for `embed`. None: as the model was made for, else they keep their length.
    normalize: bool | None = None
    # The score of two texts that mean the same, in the rows; for `embed`.
    similar_score: float = Field(default=1.0, gt=0)
    # What cosines are multiplied by where partners compete; for `embed`.
    similarity_scale: float = Field(default=20.0, gt=0)

    # For `tag`. "last-four": the encoder stays as it is, and an LSTM of `lstm_size` dimensions each way learns from its
    # last four layers (paper, section 5.3); it wants a learning rate of about 1e-3.
    tag_features: Literal["fine-tuned", "last-four"] = "fine-tuned"
    # Dimensions of that LSTM, each way; for `tag`.
    lstm_size: int = Field(default=768, ge=1)
    # Tokens that an answer may have; for `answer`.
    max_answer_tokens: int = Field(default=LONGEST_ANSWER, ge=1, le=512)
    # Spans that are told of each question; for `answer`.
    best_size: int = Field(default=BEST, ge=1, le=1000)
    # The official scores, of SQuAD or of CMRC; "auto": by the script of the contexts. For `answer`.
    metric: MetricName = "auto"
    # Questions that cannot be read stop it, or are left out and counted; for `answer`.
    on_error: OnError = "stop"

    # Times in an epoch that the dev rows are scored.
    evaluations_per_epoch: int = Field(default=1, ge=1)
    # The dev score by which the best weights are chosen; None: the task's own.
    keep_best_by: str | None = None
    # Stop after so many scorings in a row that brought nothing better; None: never.
    patience: int | None = Field(default=None, ge=1)
    # Padded tokens that go through the model at once; what is over waits for the same step. None: 16,384, and 2,048
    # where a processor computes in fp32.
    micro_batch_tokens: int | None = Field(default=None, ge=512)

    # Columns of the rows that hold their texts; None: the usual ones of the task.
    text_columns: list[str] | None = None
    # Column that holds the label, the labels or the score; None: the usual one of the task.
    label_column: str | None = None

    @model_validator(mode="after")
    def _features_are_frozen(self) -> Self:
        if self.tag_features == "last-four" and self.freeze not in ("nothing", "encoder"):
            raise ValueError(f'`freeze` is {self.freeze!r}, but `tag_features = "last-four"` freezes the whole encoder')
        return self

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if self.abstain_below > 0 and self.abstain_accuracy is not None:
            raise ValueError("`abstain_below` is a threshold and `abstain_accuracy` chooses one; set one of the two")
        return self

    def refuse_foreign(self, task: str) -> None:
        """Raise SettingsError, with every fault, where something is set that `task` does not look at."""
        usual = type(self)()
        faults = [
            f"`{name}` is {getattr(self, name)!r}, but it is for {' and '.join(tasks)}, and not for {task}"
            for name, tasks in _ONLY.items()
            if task not in tasks and getattr(self, name) != getattr(usual, name)
        ]
        if faults:
            raise SettingsError("\n".join(faults))

    def seen_by(self, task: str) -> dict[str, Any]:
        """The settings that `task` looks at, as JSON has them."""
        return {name: value for name, value in self.model_dump().items() if task in _ONLY.get(name, (task,))}

    def lengths(self, positions: int, task: str, trained: int = 512) -> Lengths:
        """How texts are cut for a task and a model of so many positions, trained on inputs of so many tokens.

        Raises SettingsError.
        """
        if self.max_length is not None and self.max_length > positions:
            what = f"`max_length` is {self.max_length}, but the model has {positions} positions"
            raise SettingsError(what, cure=f"set it to {positions} or less")
        usual, part = (384, 3) if task == "answer" else (512, 4)
        # What lies beyond was never trained, and a few rows would not make up for it.
        longest = min(usual, positions, trained) if self.max_length is None else self.max_length
        overlap = min(128, longest // part) if self.overlap is None else self.overlap
        # A half, so that a window's middle is always its own.
        if overlap > longest // 2:
            what = f"`overlap` {overlap} is more than half of a window of {longest} tokens"
            raise SettingsError(what, cure=f"set it to {longest // 2} or less")
        return Lengths(max_length=longest, overlap=overlap, most=self.max_windows)

    def training(self, steps: int) -> TrainingSettings:
        """The same as settings of the training loop, for so many steps."""
        every = max(1, -(-steps // (self.epochs * self.evaluations_per_epoch)))
        return TrainingSettings(
            steps=steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            warmup_fraction=self.warmup_fraction,
            weight_decay=self.weight_decay,
            layer_decay=self.layer_decay,
            seed=self.seed,
            precision=self.precision,
            # Often enough that the curve of a short training is one.
            log_every=max(1, min(10, every, steps // 20)),
            evaluate_every=every,
            save_every=every,
        )
