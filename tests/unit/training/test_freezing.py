from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from bertwright.errors import SettingsError
from bertwright.heads.model import Bert, Parts
from bertwright.tasks.pretrain import objective
from bertwright.training.freezing import Frozen, freeze, set_training
from bertwright.training.loop import Trainee, train, undivided
from bertwright.training.optimizers import build_optimizers
from bertwright.training.settings import TrainingSettings
from bertwright.training.signals import StopWish
from bertwright.training.world import alone
from tests.unit.training.tiny import CONFIG, Diary, batches, settings

PARTS = Parts(masked_words=True, next_sentence=True)


def model(what: Frozen | int = "nothing") -> Bert:
    made = Bert(CONFIG, PARTS)
    made.initialise(0)
    freeze(made, what)
    return made


def frozen_names(made: Bert) -> set[str]:
    return {name for name, parameter in made.named_parameters() if not parameter.requires_grad}


def starting(made: Bert, *starts: str) -> set[str]:
    return {name for name, _ in made.named_parameters() if name.startswith(starts)}


@pytest.mark.parametrize(
    ("what", "starts"),
    [
        ("embeddings", ("encoder.embeddings.",)),
        (0, ("encoder.embeddings.",)),
        (1, ("encoder.embeddings.", "encoder.layers.0.")),
        (2, ("encoder.",)),
        ("encoder", ("encoder.",)),
    ],
)
def test_what_lies_beneath_is_frozen_and_heads_and_pooler_learn(what: Frozen | int, starts: tuple[str, ...]) -> None:
    made = Bert(CONFIG, PARTS)
    count = freeze(made, what)
    assert frozen_names(made) == starting(made, *starts)
    sizes = {name: parameter.numel() for name, parameter in made.named_parameters()}
    assert count == sum(sizes[name] for name in frozen_names(made)) > 0


def test_nothing_is_nothing() -> None:
    made = Bert(CONFIG, PARTS)
    assert freeze(made, "nothing") == 0
    assert frozen_names(made) == set()


@pytest.mark.parametrize("count", [3, -1])
def test_more_layers_than_there_are(count: int) -> None:
    made = Bert(CONFIG, PARTS)
    with pytest.raises(SettingsError) as caught:
        freeze(made, count)
    assert str(caught.value) == (
        f'`freeze` is {count}, but the model has 2 layers; choose 0 to 2, "embeddings" or "encoder"'
    )
    assert frozen_names(made) == set()


@pytest.mark.parametrize(
    ("what", "still"),
    [
        ("nothing", set()),
        ("embeddings", {"embeddings"}),
        (1, {"embeddings", "layers.0"}),
        ("encoder", {"", "embeddings", "layers.0", "layers.1"}),
    ],
)
def test_what_is_frozen_drops_nothing_in_training(what: Frozen | int, still: set[str]) -> None:
    made = model(what)
    made.eval()
    set_training(made)
    parts = dict(made.encoder.named_modules())
    for name in ("", "embeddings", "layers.0", "layers.1"):
        assert parts[name].training == (name not in still), name
        if name:
            assert {inner.training for inner in parts[name].modules()} == {name not in still}, name
    assert made.training
    assert made.pooler is not None
    assert made.pooler.training


def test_a_frozen_encoder_says_in_training_what_it_says_in_use() -> None:
    batch = next(batches())
    made = model("encoder")
    made.eval()
    in_use = made.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask).hidden
    set_training(made)
    assert torch.equal(made.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask).hidden, in_use)
    learning = model(1)
    set_training(learning)
    first, second = (
        learning.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask, all_layers=True).layers
        for _ in range(2)
    )
    # The embeddings, the first layer; the second has dropout.
    assert [torch.equal(*pair) for pair in zip(first, second, strict=True)] == [True, True, False]


def kept_for_the_backward_pass(made: Bert) -> int:
    """Bytes that torch keeps of a forward pass, beside the weights themselves."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in made.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    batch = next(batches())
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        hidden = made.encoder(batch.input_ids, batch.token_type_ids, batch.attention_mask).hidden
    # Held until all is counted, so that no address is used twice.
    assert hidden.requires_grad == any(parameter.requires_grad for parameter in made.encoder.parameters())
    return sum(kept.values())


@pytest.mark.parametrize("training", [False, True])
def test_nothing_of_what_is_frozen_is_kept(training: bool) -> None:
    kept: dict[Frozen | int, int] = {}
    whats: tuple[Frozen | int, ...] = ("nothing", "embeddings", 1, "encoder")
    for what in whats:
        made = model(what)
        made.eval()
        if training:
            set_training(made)
        kept[what] = kept_for_the_backward_pass(made)
    assert kept["encoder"] == 0
    assert 0 < kept[1] < kept["embeddings"] < kept["nothing"]
    # Of two layers that are alike, half; the masks of attention are kept once.
    assert kept[1] == pytest.approx(kept["embeddings"] / 2, rel=0.1)


def leaves(loss: Tensor) -> Iterator[Tensor]:
    """The parameters that the backward pass of `loss` reaches."""
    nodes, seen = [loss.grad_fn], set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            yield node.variable
        nodes += [following for following, _ in node.next_functions]


@pytest.mark.parametrize("what", ["nothing", "embeddings", 1, "encoder"])
def test_the_backward_pass_ends_where_the_frozen_part_begins(what: Frozen | int) -> None:
    made = model(what)
    set_training(made)
    loss, _ = objective(made, next(batches()), {"mlm": 1, "nsp": 1})
    names = {id(parameter): name for name, parameter in made.named_parameters()}
    reached = {names[id(leaf)] for leaf in leaves(loss)}
    assert reached == {name for name, parameter in made.named_parameters() if parameter.requires_grad}


def trained(made: Bert, chosen: TrainingSettings, *, recompute: bool = False) -> tuple[Trainee, Diary]:
    made.encoder.recompute = recompute
    trainee, diary = Trainee(made, build_optimizers(made, chosen)), Diary()
    train(
        trainee,
        chosen,
        portions=undivided(batches()),
        objective=objective,
        dtype=torch.float32,
        hooks=diary.hooks,
        wish=StopWish(),
        world=alone(torch.device("cpu")),
    )
    return trainee, diary


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("name", ["adamw", "adam-2018", "lamb", "muon"])
@pytest.mark.parametrize("what", ["embeddings", 1, "encoder"])
def test_what_is_frozen_stays_to_the_last_bit_and_all_else_moves(
    what: Frozen | int, name: str, recompute: bool
) -> None:
    made, before = model(what), dict(model().named_parameters())
    trainee, diary = trained(made, settings(optimizer=name, weight_decay=0.1), recompute=recompute)
    for key, parameter in made.named_parameters():
        assert torch.equal(parameter, before[key]) == (not parameter.requires_grad), key
    assert diary.reports[-1].figures["gradient_norm"] > 0
    moved = {id(parameter) for optimizer in trainee.optimizers for parameter in optimizer.state}
    assert moved == {id(parameter) for parameter in made.parameters() if parameter.requires_grad}


def test_what_learns_above_a_frozen_encoder_is_clipped_by_its_own_length() -> None:
    made = model("encoder")
    _, diary = trained(made, settings(steps=1, clip_norm=1e9))
    batch = next(batches())
    same = model()
    same.eval()  # nothing above the encoder drops anything
    loss, _ = objective(same, batch, {"mlm": 8, "nsp": 4})
    loss.backward()
    squares = [
        float(parameter.grad.square().sum())
        for key, parameter in same.named_parameters()
        if not key.startswith("encoder.") and parameter.grad is not None
    ]
    assert diary.reports[0].figures["gradient_norm"] == pytest.approx(sum(squares) ** 0.5, rel=1e-4)
