from __future__ import annotations

import itertools
import math
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
import torch
from torch import Tensor

from bertwright.batches.pretraining import PretrainingBatch
from bertwright.checkpoints.snapshot import restore, snapshot
from bertwright.checkpoints.training_state import read_state, write_state
from bertwright.errors import DivergenceError
from bertwright.examples.masking import IGNORED
from bertwright.heads.model import Bert
from bertwright.tasks.pretrain import objective
from bertwright.training.freezing import Frozen, freeze
from bertwright.training.loop import Hooks, Portion, Trainee, train, undivided
from bertwright.training.optimizers import build_optimizers
from bertwright.training.schedules import rate_share
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish
from bertwright.training.world import alone
from tests.unit.training.tiny import CONFIG, Diary, batches, settings, trainee


def run(
    trained: Trainee,
    chosen: TrainingSettings,
    *,
    hooks: Hooks | None = None,
    source: Iterable[PretrainingBatch] | None = None,
    wish: StopWish | None = None,
    dtype: torch.dtype = torch.float32,
) -> bool:
    return train(
        trained,
        chosen,
        portions=undivided(batches(trained.step) if source is None else source),
        objective=objective,
        dtype=dtype,
        hooks=hooks or Diary().hooks,
        wish=wish or StopWish(),
        world=alone(torch.device("cpu")),
    )


def weights(trained: Trainee) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in trained.model.named_parameters()}


def assert_identical(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in found.items():
        assert torch.equal(tensor, wanted[name]), name


def test_each_is_told_at_its_steps_and_at_the_end() -> None:
    chosen, diary = settings(steps=10, log_every=2, evaluate_every=4, save_every=3), Diary()
    trained = trainee(chosen)
    assert run(trained, chosen, hooks=diary.hooks)
    assert trained.step == 10
    assert diary.of("report") == [2, 3, 4, 6, 8, 9, 10]  # a save is always reported first
    assert diary.of("evaluate") == [4, 8, 10]
    assert diary.of("save") == [3, 6, 9, 10]
    assert diary.events[-3:] == [("report", 10), ("evaluate", 10), ("save", 10)]


def test_a_run_of_which_nothing_is_left_does_nothing() -> None:
    chosen, diary = settings(steps=2), Diary()
    trained = trainee(chosen)
    trained.step = 2
    assert run(trained, chosen, hooks=diary.hooks)
    assert diary.events == []


def test_a_report_holds_means_since_the_one_before() -> None:
    single, double = settings(log_every=1), settings(log_every=2)
    each, pairs = Diary(), Diary()
    run(trainee(single), single, hooks=each.hooks)
    run(trainee(double), double, hooks=pairs.hooks)
    for number, report in enumerate(pairs.reports):
        first, second = each.reports[2 * number : 2 * number + 2]
        assert report.step == second.step
        assert report.learning_rate == second.learning_rate
        assert report.tokens_per_second > 0
        assert set(report.figures) == {
            "mlm_loss", "nsp_loss", "mlm_accuracy", "nsp_accuracy", "loss", "gradient_norm",
        }  # fmt: skip
        for name, value in report.figures.items():
            assert value == pytest.approx((first.figures[name] + second.figures[name]) / 2, rel=1e-5, abs=1e-7), name
        assert report.figures["loss"] == pytest.approx(report.figures["mlm_loss"] + report.figures["nsp_loss"])


def test_it_learns() -> None:
    chosen, diary = settings(steps=60, log_every=10, warmup_fraction=0.1), Diary()
    one = next(batches())
    run(trainee(chosen), chosen, hooks=diary.hooks, source=iter([one] * 60))
    losses = [report.figures["loss"] for report in diary.reports]
    assert losses[0] > 3
    assert losses[-1] < 0.5


def test_the_rate_climbs_and_falls_and_is_the_optimizers() -> None:
    chosen, diary = settings(steps=10, learning_rate=0.5, warmup_fraction=0.2, log_every=1), Diary()
    trained = trainee(chosen)
    run(trained, chosen, hooks=diary.hooks)
    rates = [report.learning_rate for report in diary.reports]
    assert rates == [0.5 * rate_share(step, chosen) for step in range(10)]
    assert rates == pytest.approx([0.25, 0.5, *(0.5 * share / 8 for share in range(8, 0, -1))])
    assert {group["lr"] for optimizer in trained.optimizers for group in optimizer.param_groups} == {rates[-1]}


def test_each_optimizer_follows_the_schedule_at_its_own_rate() -> None:
    chosen = settings(steps=4, learning_rate=0.5, muon_learning_rate=0.25, warmup_fraction=0.0, optimizer="muon")
    trained = trainee(chosen)
    run(trained, chosen, hooks=Diary().hooks)  # the last of four steps takes a quarter of the highest rate
    muon, rest = ({group["lr"] for group in optimizer.param_groups} for optimizer in trained.optimizers)
    assert (muon, rest) == ({0.0625}, {0.125})


def test_gradients_are_cut_to_their_norm() -> None:
    """One plain step of gradient descent moves the weights by the gradient, so by no more than its norm."""

    def moved(clip_norm: float) -> tuple[float, float]:
        chosen, diary = settings(steps=1, learning_rate=1.0, warmup_fraction=0.0, clip_norm=clip_norm), Diary()
        trained = trainee(chosen)
        trained.optimizers = (torch.optim.SGD(trained.model.parameters(), lr=1.0),)
        before = weights(trained)
        run(trained, chosen, hooks=diary.hooks)
        after = weights(trained)
        distance = math.sqrt(sum(float((after[name] - before[name]).square().sum()) for name in before))
        return distance, diary.reports[0].figures["gradient_norm"]

    distance, norm = moved(1e9)
    assert distance == pytest.approx(norm, rel=1e-4)
    assert norm > 0.1
    distance, same_norm = moved(0.05)
    assert distance == pytest.approx(0.05, rel=1e-3)
    assert same_norm == norm  # what is reported is the norm before the cut


def test_no_gradient_is_left_for_the_next_step() -> None:
    chosen = settings(steps=1)
    trained = trainee(chosen)
    run(trained, chosen)
    assert all(parameter.grad is None for parameter in trained.model.parameters())


def test_the_same_seed_gives_the_same_weights_to_the_last_bit() -> None:
    chosen = settings()
    assert CONFIG.hidden_dropout_prob == CONFIG.attention_probs_dropout_prob == 0.1
    first, second, other = trainee(chosen), trainee(chosen), trainee(chosen)
    run(first, chosen)
    torch.manual_seed(12345)
    torch.randn(17)  # what others draw from torch's generator is of no account
    run(second, chosen)
    assert_identical(weights(second), weights(first))
    # The seed is that of dropout too: the same weights at the start, the same batches, another course.
    run(other, settings(seed=4))
    assert not torch.equal(other.model.encoder.embeddings.word.weight, first.model.encoder.embeddings.word.weight)


def test_measuring_between_steps_does_not_switch_dropout_off() -> None:
    chosen = settings(evaluate_every=1)
    measured, plain = trainee(chosen), trainee(chosen)

    def evaluate(step: int) -> None:
        del step
        measured.model.eval()

    hooks = Hooks(report=lambda _: None, evaluate=evaluate, save=lambda _: None)
    run(measured, chosen, hooks=hooks)
    run(plain, chosen)
    assert_identical(weights(measured), weights(plain))


@pytest.mark.parametrize("at", [1, 4])
@pytest.mark.parametrize(("layer_decay", "frozen"), [(1.0, "nothing"), (0.5, "nothing"), (0.5, 1), (1.0, "encoder")])
def test_a_stopped_run_goes_on_to_the_same_weights_to_the_last_bit(
    tmp_path: Path, at: int, layer_decay: float, frozen: Frozen | int
) -> None:
    chosen = settings(layer_decay=layer_decay)

    def begun(seed: int = 0) -> Trainee:
        model = trainee(chosen, seed=seed).model
        freeze(model, frozen)
        return Trainee(model, build_optimizers(model, chosen))

    through = begun()
    run(through, chosen)

    stopped, wish = begun(), StopWish()

    def stop(report: object) -> None:
        del report
        if stopped.step == at:
            wish.signal_number = signal.SIGTERM

    hooks = Hooks(report=stop, evaluate=lambda _: None, save=lambda _: None)
    every = chosen.model_copy(update={"log_every": 1})
    assert not run(stopped, every, hooks=hooks, wish=wish)
    state = snapshot(stopped, {})
    path = write_state(tmp_path, state)

    resumed = begun(seed=99)
    restore(resumed, read_state(path), path)
    assert 0 < resumed.step < 6
    assert run(resumed, chosen)
    assert_identical(weights(resumed), weights(through))
    rates = [[group["lr"] for group in who.optimizers[0].param_groups] for who in (resumed, through)]
    assert rates[0] == rates[1]


@pytest.mark.parametrize("when", ["batch", "report", "evaluate", "save"])
def test_a_wish_to_stop_is_heard_wherever_it_comes_and_every_step_is_saved(when: str) -> None:
    chosen, wish, diary = settings(steps=20, log_every=1, evaluate_every=3, save_every=6), StopWish(), Diary()
    trained = trainee(chosen)

    def now(name: str, step: int) -> None:
        diary.events.append((name, step))
        if name == when and step >= 3:
            wish.signal_number = signal.SIGINT

    def source() -> Iterable[PretrainingBatch]:
        for number, batch in enumerate(batches()):
            now("batch", number)
            yield batch

    hooks = Hooks(
        report=lambda report: now("report", report.step),
        evaluate=lambda step: now("evaluate", step),
        save=lambda step: now("save", step),
    )
    assert not run(trained, chosen, hooks=hooks, source=source(), wish=wish)
    assert trained.step == {"batch": 4, "report": 4, "evaluate": 4, "save": 7}[when]
    assert diary.of("save")[-1] == trained.step


def test_a_wish_before_the_first_step() -> None:
    chosen, wish, diary = settings(), StopWish(), Diary()
    wish.signal_number = signal.SIGINT
    trained = trainee(chosen)
    assert not run(trained, chosen, hooks=diary.hooks, wish=wish)
    assert (trained.step, diary.events) == (0, [])


def in_parts(sizes: Sequence[int]) -> Iterator[Portion[PretrainingBatch]]:
    """Steps of `batches`, each cut into parts of so many rows."""
    bounds = list(itertools.accumulate(sizes, initial=0))
    for batch in batches():
        words, pairs = batch.masked_labels.view(4, -1), batch.next_sentence_labels.view(4, -1)
        # Rows have different numbers of hidden words, as packed and short ones do.
        words[1:, 1] = IGNORED
        parts = [
            PretrainingBatch(
                batch.input_ids[rows],
                batch.token_type_ids[rows],
                batch.attention_mask[rows],
                batch.first_positions[rows],
                batch.masked_positions[rows],
                words[rows].flatten(),
                pairs[rows].flatten(),
            )
            for rows in (slice(*pair) for pair in itertools.pairwise(bounds))
        ]
        yield Portion(parts, bounds[:-1])


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("sizes", [(1, 3), (2, 2), (1, 1, 1, 1)])
def test_a_step_in_parts_is_the_step_of_the_whole_batch(sizes: tuple[int, ...], recompute: bool) -> None:
    """Words hidden, pairs and dropout are those of the whole: the first row alone has two words, the others one."""
    chosen, diaries, trained = settings(log_every=1), (Diary(), Diary()), (trainee(settings()), trainee(settings()))
    trained[1].model.encoder.recompute = recompute
    for who, portions, diary in zip(trained, (in_parts((4,)), in_parts(sizes)), diaries, strict=True):
        train(
            who,
            chosen,
            portions=portions,
            objective=objective,
            dtype=torch.float32,
            hooks=diary.hooks,
            wish=StopWish(),
            world=alone(torch.device("cpu")),
        )
    for whole, parts in zip(*(diary.reports for diary in diaries), strict=True):
        assert parts.figures == pytest.approx(whole.figures, rel=1e-5)
    for name, tensor in weights(trained[1]).items():
        torch.testing.assert_close(tensor, weights(trained[0])[name], rtol=1e-4, atol=1e-5)


@dataclass(frozen=True)
class Weighed:
    """A batch whose labels weigh so much in all."""

    counts: dict[str, float]
    tokens: int = 1

    def to(self, device: torch.device) -> Self:
        del device
        return self


@pytest.mark.parametrize(("weights_of_parts", "total"), [((0.125, 0.25), 0.375), ((0.0, 0.0), 1.0), ((3.0, 2.0), 5.0)])
def test_labels_may_weigh_less_than_one_in_all(weights_of_parts: tuple[float, ...], total: float) -> None:
    """A mean over nothing is 0; one over little is not over 1."""
    chosen, told = settings(steps=1), []

    def told_the_total(model: Bert, batch: Weighed, totals: Mapping[str, float]) -> tuple[Tensor, dict[str, Tensor]]:
        del batch
        told.append(dict(totals))
        return model.encoder.embeddings.word.weight.sum(), {}

    train(
        trainee(chosen),
        chosen,
        portions=iter([Portion([Weighed({"weight": weight}) for weight in weights_of_parts], (0, 1))]),
        objective=told_the_total,
        dtype=torch.float32,
        hooks=Diary().hooks,
        wish=StopWish(),
        world=alone(torch.device("cpu")),
    )
    assert told == [{"weight": total}] * 2


class Poison:
    """The objective, which gives no number at the steps named."""

    def __init__(self, trained: Trainee, steps: Collection[int]) -> None:
        self.trained, self.steps = trained, steps

    def __call__(
        self, model: Bert, batch: PretrainingBatch, totals: Mapping[str, float]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        loss, figures = objective(model, batch, totals)
        return (loss * float("nan") if self.trained.step in self.steps else loss), figures


def poisoned(trained: Trainee, chosen: TrainingSettings, steps: Collection[int], diary: Diary) -> None:
    train(
        trained,
        chosen,
        portions=(Portion((batch,), (0,), f"examples of batch {number}") for number, batch in enumerate(batches())),
        objective=Poison(trained, steps),
        dtype=torch.float32,
        hooks=diary.hooks,
        wish=StopWish(),
        world=alone(torch.device("cpu")),
    )


def test_a_step_without_a_number_moves_nothing_and_is_counted() -> None:
    chosen, diary = settings(steps=6, log_every=2, warmup_fraction=0.0), Diary()
    trained = trainee(chosen)
    poisoned(trained, chosen, {1, 2, 3}, diary)
    assert (trained.step, trained.skipped, trained.skipped_in_a_row) == (6, 3, 0)
    assert [report.skipped for report in diary.reports] == [1, 2, 0]
    assert diary.reports[1].figures == {}
    assert all(math.isfinite(value) for report in diary.reports for value in report.figures.values())
    # The optimizer took three steps, those that were left.
    (optimizer,) = trained.optimizers
    assert {float(state["step"]) for state in optimizer.state.values()} == {3.0}


def test_after_so_many_in_a_row_it_ends_and_names_them() -> None:
    chosen, diary = settings(steps=20, max_skipped_steps=3, warmup_fraction=0.0, save_every=5), Diary()
    trained = trainee(chosen)
    with pytest.raises(DivergenceError) as caught:
        poisoned(trained, chosen, {2, 6, 7, 8}, diary)
    assert str(caught.value) == (
        "the gradient was not finite in 3 steps in a row, the last of them step 9 "
        "(learning rate 0.006, examples of batch 8); they were skipped. "
        "Begin anew with a lower learning_rate or a longer warm-up, or look at those examples"
    )
    assert caught.value.exit_code == 1
    assert diary.of("save") == [5]


def test_in_bf16_weights_and_moments_stay_in_fp32() -> None:
    chosen, diary = settings(), Diary()
    trained = trainee(chosen)
    run(trained, chosen, dtype=torch.bfloat16, hooks=diary.hooks)
    kept = [*trained.model.parameters()]
    kept += [
        moment for optimizer in trained.optimizers for state in optimizer.state.values() for moment in state.values()
    ]
    assert {tensor.dtype for tensor in kept} == {torch.float32}
    plain, other = Diary(), trainee(chosen)
    run(other, chosen, hooks=plain.hooks)
    assert diary.reports[-1].figures["loss"] == pytest.approx(plain.reports[-1].figures["loss"], rel=0.02)
