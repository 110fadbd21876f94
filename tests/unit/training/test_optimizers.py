from __future__ import annotations

import pytest
import torch

from bertwright.errors import SettingsError
from bertwright.heads.model import PRETRAINING, WORDS_ALONE, Bert, Parts
from bertwright.training.freezing import Frozen, freeze, train_only
from bertwright.training.muon import Muon, orthogonalised
from bertwright.training.optimizers import adamw, build_optimizers, rate_factors
from bertwright.training.settings import TrainingSettings
from tests.unit.training.tiny import CONFIG, settings

MODEL_PARTS = Parts(masked_words=True, next_sentence=True, labels=3)


def test_matrices_decay_and_biases_and_norms_do_not() -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    name_of = {id(parameter): name for name, parameter in model.named_parameters()}
    decaying, others = adamw(model.parameters(), settings(weight_decay=0.25)).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.25, 0.0)
    with_decay = {name_of[id(parameter)] for parameter in decaying["params"]}
    without = {name_of[id(parameter)] for parameter in others["params"]}
    assert with_decay | without == set(name_of.values())
    assert not with_decay & without
    # As in the original code: everything but what is called LayerNorm, layer_norm or bias.
    assert without == {name for name in name_of.values() if "norm" in name or name.endswith("bias")}
    assert {
        "encoder.embeddings.word.weight",
        "encoder.embeddings.position.weight",
        "encoder.layers.1.attention.query_key_value.weight",
        "classifier.dense.weight",
    } <= with_decay


def test_it_is_adamw_with_the_settings_given() -> None:
    chosen = settings(learning_rate=0.5, adam_beta1=0.7, adam_beta2=0.8, adam_epsilon=0.01)
    optimizer = adamw(Bert(CONFIG, MODEL_PARTS).parameters(), chosen)
    assert type(optimizer) is torch.optim.AdamW
    for group in optimizer.param_groups:
        assert (group["lr"], group["betas"], group["eps"]) == (0.5, (0.7, 0.8), 0.01)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_a_step_is_that_of_the_paper(decay: float) -> None:
    """Loshchilov and Hutter 2019, algorithm 2, written out for two steps."""
    model = torch.nn.Linear(3, 2).double()
    chosen = settings(learning_rate=0.01, weight_decay=decay)
    optimizer = adamw(model.parameters(), chosen)
    weight, bias = model.weight.detach().clone(), model.bias.detach().clone()
    moments = {name: (torch.zeros_like(value), torch.zeros_like(value)) for name, value in (("w", weight), ("b", bias))}
    for number in (1, 2):
        model.weight.grad, model.bias.grad = torch.full_like(weight, number), torch.full_like(bias, -number)
        optimizer.step()
        for name, value, gradient, rate in (("w", weight, model.weight.grad, decay), ("b", bias, model.bias.grad, 0.0)):
            first = 0.9 * moments[name][0] + 0.1 * gradient
            second = 0.999 * moments[name][1] + 0.001 * gradient**2
            moments[name] = (first, second)
            value.mul_(1 - 0.01 * rate)
            value.sub_(0.01 * (first / (1 - 0.9**number)) / ((second / (1 - 0.999**number)).sqrt() + 1e-6))
    torch.testing.assert_close(model.weight.detach(), weight)
    torch.testing.assert_close(model.bias.detach(), bias)


def test_muon_takes_the_matrices_of_the_layers_and_adamw_the_rest() -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    name_of = {parameter: name for name, parameter in model.named_parameters()}
    muon, rest = build_optimizers(model, settings(optimizer="muon"))
    assert isinstance(muon, Muon)
    taken = [name_of[parameter] for group in muon.param_groups for parameter in group["params"]]
    left = [name_of[parameter] for group in rest.param_groups for parameter in group["params"]]
    assert sorted(taken + left) == sorted(name_of.values())
    assert sorted(taken) == sorted(
        name for name, parameter in model.named_parameters() if ".layers." in name and parameter.dim() == 2
    )
    stacked = {
        name_of[parameter] for group in muon.param_groups if group["blocks"] == 3 for parameter in group["params"]
    }
    assert stacked == {name for name in taken if name.endswith("query_key_value.weight")}


@pytest.mark.parametrize("shape", [(4, 8, 8), (2, 32, 8), (2, 8, 32)])
def test_an_orthogonalised_matrix_keeps_its_directions_and_evens_their_lengths(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    found = orthogonalised(matrices)
    lengths = torch.linalg.svdvals(found)
    assert lengths.min() > 0.6
    assert lengths.max() < 1.25
    # The nearest orthogonal matrix is U V of the singular value decomposition: the same directions, all of length 1.
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    inner = (found * (left @ right)).sum(dim=(-2, -1)) / (found.norm(dim=(-2, -1)) * (left @ right).norm(dim=(-2, -1)))
    assert inner.min() > 0.97


def test_a_step_of_muon_written_out() -> None:
    """Two steps: Nesterov momentum, each of the stacked blocks on its own, and decay."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(24, 2, generator=generator))
    wanted, mean = weight.detach().clone(), torch.zeros(24, 2)
    optimizer = Muon([{"params": [weight], "blocks": 3}], lr=0.1, weight_decay=0.2, momentum=0.9)
    for _ in range(2):
        weight.grad = torch.randn(24, 2, generator=generator)
        gradient = weight.grad.clone()
        optimizer.step()
        mean = 0.9 * mean + 0.1 * gradient
        mixed = 0.1 * gradient + 0.9 * mean
        for block in range(3):
            rows = slice(8 * block, 8 * block + 8)
            direction = orthogonalised(mixed[None, rows])[0]
            wanted[rows] = wanted[rows] * (1 - 0.1 * 0.2) - 0.1 * 2 * direction  # the root of 8 / 2
        torch.testing.assert_close(weight.detach(), wanted, rtol=0, atol=2e-3)
        torch.testing.assert_close(weight.grad, gradient)


@pytest.mark.parametrize("name", ["adamw", "adam-2018", "lamb", "muon"])
@pytest.mark.parametrize("parts", [PRETRAINING, WORDS_ALONE, MODEL_PARTS])
def test_every_parameter_belongs_to_one_group(name: str, parts: Parts) -> None:
    model = Bert(CONFIG, parts)
    groups = [group for each in build_optimizers(model, settings(optimizer=name)) for group in each.param_groups]
    owned = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters())
    # What has one dimension decays nowhere, the rest everywhere.
    for group in groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.01 if parameter.dim() > 1 else 0.0)


@pytest.mark.parametrize("name", ["adamw", "adam-2018", "lamb", "muon"])
@pytest.mark.parametrize("what", ["embeddings", 1, 2, "encoder"])
def test_what_is_frozen_belongs_to_none(name: str, what: Frozen | int) -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    freeze(model, what)
    optimizers = build_optimizers(model, settings(optimizer=name))
    owned = [id(parameter) for each in optimizers for group in each.param_groups for parameter in group["params"]]
    assert sorted(owned) == sorted(id(parameter) for parameter in model.parameters() if parameter.requires_grad)
    # Without layers that learn there is nothing for Muon.
    assert len(optimizers) == (2 if name == "muon" and what in {"embeddings", 1} else 1)


def test_the_rate_falls_from_floor_to_floor() -> None:
    """0.5 on each of two layers, one below the other, and on the embeddings beneath: ULMFiT has 1 / 2.6."""
    model = Bert(CONFIG, MODEL_PARTS)
    (optimizer,) = build_optimizers(model, settings(learning_rate=0.08, layer_decay=0.5, weight_decay=0.25))
    found = {
        parameter: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    wanted = {
        "encoder.embeddings.": 0.01,
        "encoder.layers.0.": 0.02,
        "encoder.layers.1.": 0.04,
        "pooler.": 0.08,
        "masked_words.": 0.08,
        "next_sentence.": 0.08,
        "classifier.": 0.08,
    }
    assert len(found) == len(list(model.parameters()))
    for name, parameter in model.named_parameters():
        (rate,) = [rate for start, rate in wanted.items() if name.startswith(start)]
        assert found[parameter] == (pytest.approx(rate), 0.25 if parameter.dim() > 1 else 0.0), name


def test_without_layer_decay_there_are_two_groups_as_ever() -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    assert set(rate_factors(model, 1.0).values()) == {1.0}
    (optimizer,) = build_optimizers(model, settings())
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]


def test_layer_decay_leaves_out_what_is_frozen() -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    freeze(model, 1)
    (optimizer,) = build_optimizers(model, settings(learning_rate=0.08, layer_decay=0.5))
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.04, 0.04, 0.08, 0.08])


@pytest.mark.parametrize("name", ["adam-2018", "lamb", "muon"])
def test_layer_decay_is_adamws_alone(name: str) -> None:
    with pytest.raises(SettingsError) as caught:
        TrainingSettings.from_values({"steps": 1, "layer_decay": 0.9, "optimizer": name})
    assert str(caught.value) == f"settings: `layer_decay` is for `optimizer` adamw, and that is {name}"
    assert TrainingSettings.from_values({"steps": 1, "layer_decay": 1.0, "optimizer": name}).layer_decay == 1


@pytest.mark.parametrize("value", [0.0, 1.1])
def test_layer_decay_is_a_share(value: float) -> None:
    with pytest.raises(SettingsError, match="`layer_decay` is"):
        TrainingSettings.from_values({"steps": 1, "layer_decay": value})


def test_lamb_adapts_matrices_and_knows_query_key_and_value_apart() -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    (lamb,) = build_optimizers(model, settings(optimizer="lamb"))
    kind = {
        parameter: (group["blocks"], group["adapted"]) for group in lamb.param_groups for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        wanted = (3, True) if name.endswith("query_key_value.weight") else (1, parameter.dim() > 1)
        assert kind[parameter] == wanted, name


@pytest.mark.parametrize("name", ["adamw", "adam-2018", "lamb", "muon"])
def test_what_stands_still_is_in_no_optimizer(name: str) -> None:
    model = Bert(CONFIG, MODEL_PARTS)
    train_only(model, ["masked_words"])
    moving = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert model.masked_words is not None
    assert moving == {id(parameter) for parameter in model.masked_words.parameters()}
    optimizers = build_optimizers(model, settings(optimizer=name))
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    assert {id(parameter) for group in groups for parameter in group["params"]} == moving
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.masked_words.parameters():
        parameter.grad = torch.ones_like(parameter)
    for optimizer in optimizers:
        optimizer.step()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert {name.partition(".")[0] for name in moved} == {"masked_words"}
