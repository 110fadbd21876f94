"""Learning rate as a function of the step."""

from __future__ import annotations


def linear_warmup_linear_decay(step: int, *, steps: int, warmup_steps: int) -> float:
    """Factor of the highest rate at `step` (0 is the first): up to 1 over the warm-up, then down to 0 at `steps`.

    As `create_optimizer` of the original code, which lets the decay start at step 0 beneath the warm-up; here it starts
    where the warm-up ends, so that the highest rate is really reached.
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return max(0.0, (steps - step) / max(1, steps - warmup_steps))
