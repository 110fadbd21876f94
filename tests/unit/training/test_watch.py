from __future__ import annotations

import math
from collections.abc import Iterable

from bertwright.training.watch import Watch

VOCABULARY = 1000  # log(1000) = 6.91


def told(losses: Iterable[float], *, unigram_loss: float | None = 5.5, warmup_steps: int = 0) -> dict[int, str]:
    """What is said after which step, with a report every ten steps."""
    watch = Watch(vocabulary=VOCABULARY, unigram_loss=unigram_loss, warmup_steps=warmup_steps)
    steps = [(10 * number, loss) for number, loss in enumerate(losses, start=1)]
    return {step: said for step, loss in steps if (said := watch.look(step, loss)) is not None}


def test_a_loss_that_falls_is_nothing_to_speak_of() -> None:
    """Past log(vocabulary) and past the unigram loss, with noise, down to 1."""
    curve = [1 + 6.5 * math.exp(-number / 30) + 0.2 * (-1) ** number for number in range(300)]
    assert told(curve) == {}


def test_a_loss_that_does_not_leave_the_beginning() -> None:
    assert told([6.9, 6.8] * 20) == {
        100: "the masked-word loss stands at 6.85, near log(vocabulary) = 6.91: nothing is learned yet. If it stays "
        "there, the learning_rate is far too low, or gradients do not flow"
    }


def test_the_beginning_may_last_as_long_as_the_warm_up() -> None:
    assert list(told([6.9] * 40, warmup_steps=300)) == [400]  # ten reports after it
    assert told([6.9] * 30 + [6.9 - 0.1 * number for number in range(40)], warmup_steps=300, unigram_loss=None) == {}


def test_a_loss_that_stays_at_what_word_counts_alone_give() -> None:
    falling = [7.0 - 0.1 * number for number in range(15)]  # 7.0 ... 5.6
    said = told([*falling, *[5.4] * 30])
    assert said == {
        220: "the masked-word loss stands at 5.49, near the 5.50 of knowing only how often each word occurs: the "
        "well-known plateau before a BERT begins to use context. Small models leave it after some thousand steps; a "
        "higher learning_rate after a longer warm-up, or Muon, leaves it sooner"
    }
    # Where nothing was held out the level is not known.
    assert told([*falling, *[5.4] * 30], unigram_loss=None) == {}


def test_a_loss_that_runs_away() -> None:
    falling = [4.0 - 0.1 * number for number in range(11)]  # 4.0 ... 3.0
    said = told([*falling, *[3.0 + 0.5 * number for number in range(12)]])
    assert list(said) == [190]
    assert said[190] == (
        "the masked-word loss has risen from 3.33 to 4.41: the run is diverging. "
        "Begin anew with a lower learning_rate, or a longer warm-up"
    )


def test_a_single_bad_report_is_noise() -> None:
    assert told([3.0] * 15 + [9.0] + [3.0] * 15) == {}


def test_each_thing_is_said_once() -> None:
    said = told([*[6.9] * 20, *[5.5] * 30, *[9.0] * 10, *[6.9] * 20, *[5.5] * 20, *[9.0] * 20])
    assert [sentence.split(":")[0].split(",")[0] for sentence in said.values()] == [
        "the masked-word loss stands at 6.90",
        "the masked-word loss stands at 5.50",
        "the masked-word loss has risen from 5.50 to 6.55",
    ]
