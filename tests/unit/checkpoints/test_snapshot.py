from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from bertwright.checkpoints.snapshot import restore, snapshot
from bertwright.checkpoints.training_state import TrainingState, read_state, write_state
from bertwright.errors import ModelError
from bertwright.heads.model import PRETRAINING, Parts
from bertwright.training.freezing import freeze, train_only
from bertwright.training.loop import Trainee
from bertwright.training.optimizers import build_optimizers
from bertwright.training.settings import TrainingSettings
from tests.unit.checkpoints.small import CONFIG, small_model

SETTINGS = TrainingSettings(steps=10, learning_rate=0.1)
MUON = SETTINGS.model_copy(update={"optimizer": "muon"})


def trainee(parts: Parts = PRETRAINING, *, seed: int = 0, settings: TrainingSettings = SETTINGS) -> Trainee:
    model = small_model(parts, seed=seed)
    return Trainee(model, build_optimizers(model, settings))


def step(trainee: Trainee, times: int = 1) -> Trainee:
    """Steps with gradients that depend on the number of the step and on the weights, so that each leaves a trace."""
    for _ in range(times):
        generator = torch.Generator().manual_seed(trainee.step)
        for parameter in trainee.model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator) + parameter.detach() / 3
        for optimizer in trainee.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        trainee.step += 1
    return trainee


def content(trainee: Trainee) -> dict[str, Tensor]:
    """Weights and moments by name."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in trainee.model.named_parameters():
        tensors[name] = parameter.detach().clone()
        for optimizer in trainee.optimizers:
            for moment, value in optimizer.state.get(parameter, {}).items():
                tensors[f"{name}/{moment}"] = value.clone()
    return tensors


def assert_identical(found: Trainee, wanted: Trainee) -> None:
    first, second = content(found), content(wanted)
    assert first.keys() == second.keys()
    for name, tensor in first.items():
        assert tensor.dtype == second[name].dtype
        assert torch.equal(tensor, second[name]), name


@pytest.mark.parametrize("settings", [SETTINGS, MUON], ids=["adamw", "muon"])
def test_weights_and_moments_come_back_bit_for_bit(tmp_path: Path, settings: TrainingSettings) -> None:
    before = step(trainee(settings=settings), 3)
    path = write_state(tmp_path, snapshot(before, {"cursor": {"epoch": 1, "index": 7}}))
    after = trainee(seed=1, settings=settings)
    state = read_state(path)
    assert state.values == {"cursor": {"epoch": 1, "index": 7}}
    restore(after, state, path)
    assert after.step == 3
    assert_identical(after, before)
    muon = {"momentum"} if settings is MUON else set()
    assert {"exp_avg", "exp_avg_sq", "step"} | muon == {
        name.rpartition("/")[2] for name in content(after) if "/" in name
    }


def test_what_goes_on_is_what_would_have_gone_on(tmp_path: Path) -> None:
    through = step(trainee(), 5)
    path = write_state(tmp_path, snapshot(step(trainee(), 3), {}))
    resumed = trainee(seed=1)
    restore(resumed, read_state(path), path)
    assert_identical(step(resumed, 2), through)


def test_a_state_of_step_0_has_no_moments_yet(tmp_path: Path) -> None:
    path = write_state(tmp_path, snapshot(trainee(), {}))
    resumed = trainee(seed=1)
    restore(resumed, read_state(path), path)
    assert resumed.step == 0
    assert_identical(step(resumed), step(trainee()))


def test_training_on_does_not_change_a_snapshot() -> None:
    run, values = step(trainee()), {"scores": {"mlm_loss": 1.5}}
    state = snapshot(run, values)
    step(run)
    values["scores"]["mlm_loss"] = 0.5
    assert state.values == {"scores": {"mlm_loss": 1.5}}
    assert state.step == 1
    same = trainee(seed=1)
    restore(same, state, Path("nowhere"))
    assert_identical(same, step(trainee()))


def test_training_on_does_not_change_the_state_it_came_from() -> None:
    state = snapshot(step(trainee()), {})
    resumed = trainee(seed=1)
    restore(resumed, state, Path("nowhere"))
    step(resumed)
    again = trainee(seed=2)
    restore(again, state, Path("nowhere"))
    assert_identical(again, step(trainee()))


def test_another_model_is_refused_untouched(tmp_path: Path) -> None:
    state = snapshot(step(trainee()), {})
    other = trainee(Parts(labels=2), seed=1)
    untouched = content(trainee(Parts(labels=2), seed=1))
    with pytest.raises(ModelError) as caught:
        restore(other, state, tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}: the weights do not fit this recipe's model; resume with the run's own recipe"
    )
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in content(other).items())

    wider = CONFIG.model_copy(update={"intermediate_size": 17})
    model = small_model(PRETRAINING, config=wider)
    with pytest.raises(ModelError, match="do not fit this recipe's model"):
        restore(Trainee(model, build_optimizers(model, SETTINGS)), state, tmp_path)

    frozen = small_model(PRETRAINING)
    freeze(frozen, "embeddings")
    with pytest.raises(ModelError, match="do not fit this recipe's model"):
        restore(Trainee(frozen, build_optimizers(frozen, SETTINGS)), state, tmp_path)

    strange = TrainingState(1, state.weights, {"nobody/exp_avg": torch.zeros(1)}, {})
    with pytest.raises(ModelError, match="do not fit this recipe's model"):
        restore(trainee(), strange, tmp_path)


def test_what_stands_still_needs_no_moments(tmp_path: Path) -> None:
    def frozen(seed: int = 0) -> Trainee:
        model = small_model(PRETRAINING, seed=seed)
        train_only(model, ["masked_words"])
        return Trainee(model, build_optimizers(model, SETTINGS))

    before = step(frozen())
    path = write_state(tmp_path, snapshot(before, {}))
    after = frozen(seed=1)
    restore(after, read_state(path), path)
    assert_identical(after, before)
    # A run in which they move is another one.
    with pytest.raises(ModelError, match=r"the optimizer's moments of `encoder.* are missing"):
        restore(trainee(seed=1), read_state(path), path)
