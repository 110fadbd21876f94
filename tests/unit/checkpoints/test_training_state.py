from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bertwright.checkpoints.training_state import latest_state, read_state, write_state
from bertwright.errors import ModelError
from bertwright.heads.model import PRETRAINING, Parts
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
    path = write_state(tmp_path, before, {"cursor": {"epoch": 1, "index": 7}})
    after = trainee(seed=1, settings=settings)
    assert read_state(path, after) == {"step": 3, "cursor": {"epoch": 1, "index": 7}}
    assert after.step == 3
    assert_identical(after, before)
    muon = {"momentum"} if settings is MUON else set()
    assert {"exp_avg", "exp_avg_sq", "step"} | muon == {
        name.rpartition("/")[2] for name in content(after) if "/" in name
    }


def test_what_goes_on_is_what_would_have_gone_on(tmp_path: Path) -> None:
    through = step(trainee(), 5)
    path = write_state(tmp_path, step(trainee(), 3), {})
    resumed = trainee(seed=1)
    read_state(path, resumed)
    assert_identical(step(resumed, 2), through)


def test_a_state_of_step_0_has_no_moments_yet(tmp_path: Path) -> None:
    path = write_state(tmp_path, trainee(), {})
    resumed = trainee(seed=1)
    read_state(path, resumed)
    assert resumed.step == 0
    assert_identical(step(resumed), step(trainee()))


def test_only_the_newest_is_kept(tmp_path: Path) -> None:
    assert latest_state(tmp_path) is None
    assert latest_state(tmp_path / "nowhere") is None
    run = trainee()
    for number in (1, 2, 3):
        assert write_state(tmp_path, step(run), {}) == tmp_path / f"step-0000000{number}"
        assert latest_state(tmp_path) == tmp_path / f"step-0000000{number}"
        assert [found.name for found in tmp_path.iterdir()] == [f"step-0000000{number}"]
    path = tmp_path / "step-00000003"
    assert sorted(found.name for found in path.iterdir()) == [
        "model.safetensors",
        "optimizer.safetensors",
        "state.json",
    ]


def test_the_newest_is_the_one_of_the_highest_step(tmp_path: Path) -> None:
    for name in ("step-00000900", "step-00001000", "step-00000020"):
        (tmp_path / name).mkdir()
    latest = latest_state(tmp_path)
    assert latest is not None
    assert latest.name == "step-00001000"


def test_what_a_kill_left_behind_is_ignored(tmp_path: Path) -> None:
    path = write_state(tmp_path, step(trainee()), {})
    (half := tmp_path / ".step-00000002.bertwright-partial").mkdir()
    (half / "model.safetensors").write_bytes(b"half of")
    (tmp_path / "step-00000001.old").mkdir()
    (tmp_path / "step-00000009").write_text("a file, no state", encoding="utf-8")
    assert latest_state(tmp_path) == path
    # The next state of that step takes the place of the half one.
    whole = write_state(tmp_path, step(trainee(), 2), {})
    assert not half.exists()
    read_state(whole, trainee())


def test_a_kill_while_writing_keeps_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = step(trainee())
    before = write_state(tmp_path, run, {})

    def kill(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bertwright.checkpoints.training_state.to_json", kill)
    with pytest.raises(KeyboardInterrupt):
        write_state(tmp_path, step(run), {})
    assert latest_state(tmp_path) == before
    assert list(tmp_path.iterdir()) == [before]


def test_another_model_is_refused_untouched(tmp_path: Path) -> None:
    path = write_state(tmp_path, step(trainee()), {})
    other = trainee(Parts(labels=2), seed=1)
    untouched = content(trainee(Parts(labels=2), seed=1))
    with pytest.raises(ModelError) as caught:
        read_state(path, other)
    assert str(caught.value) == f"{path}: the weights do not fit this recipe's model; resume with the run's own recipe"
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in content(other).items())

    wider = CONFIG.model_copy(update={"intermediate_size": 17})
    model = small_model(PRETRAINING, config=wider)
    with pytest.raises(ModelError, match="do not fit this recipe's model"):
        read_state(path, Trainee(model, build_optimizers(model, SETTINGS)))


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors"])
def test_a_damaged_state_is_named(tmp_path: Path, name: str) -> None:
    path = write_state(tmp_path, step(trainee()), {})
    (path / name).write_bytes((path / name).read_bytes()[:-1])
    with pytest.raises(ModelError) as caught:
        read_state(path, trainee())
    assert str(caught.value).startswith(f"{path / name}: is no whole safetensors file: ")
    (path / name).unlink()
    with pytest.raises(ModelError) as caught:
        read_state(path, trainee())
    assert str(caught.value) == f"{path / name}: no such file"


def test_state_json_says_the_step(tmp_path: Path) -> None:
    path = write_state(tmp_path, step(trainee(), 2), {"seconds": 1.5})
    assert json.loads((path / "state.json").read_text(encoding="utf-8")) == {"step": 2, "seconds": 1.5}
