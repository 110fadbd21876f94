"""How a model is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bertwright.settings import Settings

PrecisionName = Literal["auto", "fp32", "bf16"]
OptimizerName = Literal["adamw", "adam-2018", "lamb", "muon"]
ScheduleName = Literal["linear", "cosine", "warmup-stable-decay"]
ShardingName = Literal["ddp", "fsdp", "hybrid"]


class TrainingSettings(Settings):
    """Optimizer, schedule and bookkeeping of a training run, pretraining or fine-tuning alike."""

    # Optimizer steps.
    steps: int = Field(ge=1)
    # Examples in a step.
    batch_size: int = Field(default=32, ge=1)
    # Examples in the first steps, from where batches grow by as many at a time to `batch_size`; None: all are alike.
    ramp_from: int | None = Field(default=None, ge=1)
    # Share of the steps over which batches grow, with `ramp_from`.
    ramp_fraction: float = Field(default=0.1, gt=0, le=1)
    # "adam-2018": Adam as the original code has it, without bias correction. "lamb": for batches of thousands.
    # "muon": the matrices inside the layers by Muon, and all else by AdamW.
    optimizer: OptimizerName = "adamw"
    # Highest learning rate, reached at the end of the warm-up.
    learning_rate: float = Field(default=1e-4, gt=0)
    # Share of the steps in which the rate climbs from 0 on a straight line.
    warmup_fraction: float = Field(default=0.01, ge=0, le=1)
    # After the warm-up: "linear" falls to 0 on a straight line, "cosine" on half a wave; "warmup-stable-decay" keeps
    # the highest rate and falls on a straight line over the last `decay_fraction` of the steps.
    schedule: ScheduleName = "linear"
    # Share of the steps, the last ones, in which "warmup-stable-decay" falls.
    decay_fraction: float = Field(default=0.2, gt=0, le=1)
    # Highest learning rate of the matrices that Muon moves; `learning_rate` is that of all else.
    muon_learning_rate: float = Field(default=0.01, gt=0)
    # Pooler and heads take the whole rate; each layer this share of the rate of what lies above it, and the embeddings
    # the least. For adamw alone. 1: one rate for all.
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    # What each step takes off the weights, as a share of the learning rate; biases and normalisations keep theirs.
    weight_decay: float = Field(default=0.01, ge=0)
    # How much of the mean of past gradients a step keeps.
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    # How much of the mean of their squares it keeps; not below `adam_beta1`.
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    # What is added to the root of that mean before it divides.
    adam_epsilon: float = Field(default=1e-6, gt=0)
    # The gradient of all parameters together is scaled down to this norm where it is longer.
    clip_norm: float = Field(default=1.0, gt=0)
    # A step whose gradient is not finite is skipped; after so many in a row the run stops.
    max_skipped_steps: int = Field(default=5, ge=1)
    # Every random choice of the run follows from this number.
    seed: int = Field(default=0, ge=0, lt=2**63)
    # "auto": bf16 where the processor computes in it, else fp32. Weights and optimizer are fp32 in any case.
    precision: PrecisionName = "auto"
    # Steps between reports.
    log_every: int = Field(default=10, ge=1)
    # Steps between measurements on held-out text.
    evaluate_every: int = Field(default=500, ge=1)
    # Steps between checkpoints.
    save_every: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _betas_in_order(self) -> Self:
        if self.adam_beta1 > self.adam_beta2:
            raise ValueError(f"`adam_beta1` {self.adam_beta1} is above `adam_beta2` {self.adam_beta2}")
        return self

    @model_validator(mode="after")
    def _layer_decay_has_adamw(self) -> Self:
        if self.layer_decay != 1 and self.optimizer != "adamw":
            raise ValueError(f"`layer_decay` is for `optimizer` adamw, and that is {self.optimizer}")
        return self

    @model_validator(mode="after")
    def _ramp_divides(self) -> Self:
        if self.ramp_from is not None and self.batch_size % self.ramp_from:
            raise ValueError(f"`batch_size` {self.batch_size} is no multiple of `ramp_from` {self.ramp_from}")
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> Self:
        if self.schedule == "warmup-stable-decay" and self.warmup_fraction + self.decay_fraction > 1 + 1e-9:
            raise ValueError("`warmup_fraction` and `decay_fraction` add up to more than 1")
        return self


class MachineSettings(Settings):
    """How the machine at hand does the work. The weights follow from it only by rounding, so it may change on the way.

    On a GPU, and compiled, they follow from it by the draws of dropout too.
    """

    # Examples that go through the model at once; the gradients of a step's parts are summed. None: on a CPU all of a
    # process's, on a GPU as many as fit, found by trial.
    micro_batch_size: int | None = Field(default=None, ge=1)
    # Keep only the input of each layer and compute the rest again for the gradients: less memory, a third more work.
    recompute: bool = False
    # Compile the encoder with torch.compile; needs a C++ compiler on a CPU.
    compile: bool = False
    # Several processes (torchrun): "ddp", each holds the whole model; "fsdp", each holds a share of weights and
    # moments; "hybrid", shares within a node and copies between nodes.
    sharding: ShardingName = "ddp"
    # Checkpoints that are kept: the newest so many, and the best on held-out text.
    keep_checkpoints: int = Field(default=2, ge=1)
    # When the disk is full while a checkpoint is written: "stop", or "go on" with the last good one and try again.
    when_disk_full: Literal["stop", "go on"] = "stop"
