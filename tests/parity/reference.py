"""Models with random weights, batches with padding and segments, and how near two tensors are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from bertwright.checkpoints.names import to_theirs
from bertwright.encoder.config import EncoderConfig
from bertwright.examples.masking import IGNORED
from bertwright.heads.model import Bert, Parts

TOLERANCE = 1e-5


def relative(found: Tensor, wanted: Tensor) -> float:
    """The norm of the difference, as a share of the norm of what was wanted."""
    assert found.shape == wanted.shape
    difference = float((found.detach().double() - wanted.detach().double()).norm())
    size = float(wanted.detach().double().norm())
    return difference / size if size else difference


def assert_near(found: Tensor, wanted: Tensor, name: str, tolerance: float = TOLERANCE) -> None:
    error = relative(found, wanted)
    assert error <= tolerance, f"{name}: off by {error:.2e}"


def assert_vectors_near(found: Tensor, wanted: Tensor, name: str) -> None:
    """found, wanted: (vectors, size); each vector by itself, so that no large one hides a small one."""
    assert found.shape == wanted.shape
    errors = (found - wanted).detach().double().norm(dim=-1) / wanted.detach().double().norm(dim=-1)
    assert float(errors.max()) <= TOLERANCE, f"{name}: a vector is off by {float(errors.max()):.2e}"


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}


def assert_gradients_near(ours: Bert, theirs: nn.Module) -> None:
    found, wanted = to_theirs(gradients(ours)), gradients(theirs)
    if not any(name.startswith("bert.") for name in wanted):
        wanted = {f"bert.{name}": gradient for name, gradient in wanted.items()}
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        if name.endswith("key.bias"):
            # What is added to every key shifts all scores of a query alike, and softmax does not see it: this gradient
            # is 0, and what both compute is rounding. It is measured against the query's.
            size = float(wanted[name.replace("key", "query")].norm())
            assert float((found[name] - gradient).norm()) <= TOLERANCE * size, name
        else:
            assert_near(found[name], gradient, f"gradient of {name}")


def random_model(config: EncoderConfig, parts: Parts, *, deviation: float, seed: int) -> Bert:
    """No weight has its neutral value: biases are not 0 and norms not 1, as a mix-up of these would not show."""
    model = Bert(config, parts)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation)
            if name.endswith("norm.weight"):
                parameter.add_(1)
    return model.eval()


def config_of_transformers(transformers: Any, config: EncoderConfig, attention: str, **more: Any) -> Any:
    return transformers.BertConfig(**config.model_dump(), attn_implementation=attention, **more)


def put_weights(theirs: nn.Module, ours: Bert) -> None:
    """Our weights into their model; every one of its parameters is given."""
    tensors = to_theirs({name: parameter.detach().clone() for name, parameter in ours.named_parameters()})
    if not any(name.startswith("bert.") for name, _ in theirs.named_parameters()):
        tensors = {name.removeprefix("bert."): tensor for name, tensor in tensors.items()}
    parameters = dict(theirs.named_parameters())
    assert parameters.keys() == tensors.keys()
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(tensors[name])
    theirs.eval()


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Rows of unlike length: (batch, length) each; positions (batch, 3); words (batch * 3,), some of them IGNORED."""

    input_ids: Tensor
    token_type_ids: Tensor
    attention_mask: Tensor
    positions: Tensor
    words: Tensor
    follows: Tensor

    @property
    def inputs(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.input_ids, self.token_type_ids, self.attention_mask

    @property
    def named(self) -> dict[str, Tensor]:
        """As transformers wants them."""
        return {
            "input_ids": self.input_ids,
            "token_type_ids": self.token_type_ids,
            "attention_mask": self.attention_mask.long(),
        }

    @property
    def word_labels(self) -> Tensor:
        """(batch, length): the hidden words where they stood, IGNORED elsewhere."""
        labels = torch.full_like(self.input_ids, IGNORED)
        counted = self.words.view_as(self.positions) != IGNORED
        for row in range(len(labels)):
            labels[row, self.positions[row][counted[row]]] = self.words.view_as(self.positions)[row][counted[row]]
        return labels


def examples(config: EncoderConfig, *, seed: int) -> Examples:
    """Four rows: as long as the model allows, half of it, 7 and 5; the last has one hidden word fewer."""
    generator = torch.Generator().manual_seed(seed)
    longest = config.max_position_embeddings
    lengths = torch.tensor([longest, longest // 2, 7, 5])
    grid = torch.arange(longest)[None, :]
    ids = torch.randint(1, config.vocab_size, (4, longest), generator=generator)
    mask = grid < lengths[:, None]
    second = (grid >= (lengths // 2)[:, None]) & mask
    words = torch.randint(1, config.vocab_size, (4, 3), generator=generator)
    words[3, 2] = IGNORED
    positions = torch.stack([torch.randperm(int(length) - 1, generator=generator)[:3] + 1 for length in lengths])
    positions[3, 2] = 0
    return Examples(
        input_ids=ids.masked_fill(~mask, config.pad_token_id),
        token_type_ids=second.long() * (config.type_vocab_size - 1),
        attention_mask=mask,
        positions=positions,
        words=words.flatten(),
        follows=torch.tensor([0, 1, 1, 0]),
    )
