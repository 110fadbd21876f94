"""How a model is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from bertwright.settings import Settings

PrecisionName = Literal["auto", "fp32", "bf16"]


class TrainingSettings(Settings):
    """Optimizer, schedule and bookkeeping of a training run, pretraining or fine-tuning alike."""

    # Optimizer steps.
    steps: int = Field(ge=1)
    # Examples in a step.
    batch_size: int = Field(default=32, ge=1)
    # "muon" moves the matrices inside the layers by Muon, and all else by AdamW.
    optimizer: Literal["adamw", "muon"] = "adamw"
    # Highest learning rate, reached at the end of the warm-up.
    learning_rate: float = Field(default=1e-4, gt=0)
    # Share of the steps in which the rate climbs from 0; after them it falls to 0 on a straight line.
    warmup_fraction: float = Field(default=0.01, ge=0, le=1)
    # The same for what Muon moves.
    muon_learning_rate: float = Field(default=0.01, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    adam_beta1: float = Field(default=0.9, ge=0, lt=1)
    adam_beta2: float = Field(default=0.999, ge=0, lt=1)
    adam_epsilon: float = Field(default=1e-6, gt=0)
    # The gradient of all parameters together is scaled down to this norm where it is longer.
    clip_norm: float = Field(default=1.0, gt=0)
    # Every random choice of the run follows from this number.
    seed: int = Field(default=0, ge=0, lt=2**63)
    # "auto": bf16 where the processor computes in it, else fp32. Weights and optimizer are fp32 in any case.
    precision: PrecisionName = "auto"
    # Compile the model with torch.compile; needs a C++ compiler on a CPU.
    compile: bool = False
    # Steps between reports, evaluations on held-out data and checkpoints.
    log_every: int = Field(default=10, ge=1)
    evaluate_every: int = Field(default=500, ge=1)
    save_every: int = Field(default=1000, ge=1)

    @model_validator(mode="after")
    def _betas_in_order(self) -> Self:
        if self.adam_beta1 > self.adam_beta2:
            raise ValueError(f"`adam_beta1` {self.adam_beta1} is above `adam_beta2` {self.adam_beta2}")
        return self
