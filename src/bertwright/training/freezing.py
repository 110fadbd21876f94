"""Parts of the encoder that training leaves as they are.

What is frozen is a fixed function of its input: it gets no gradient and no dropout, and says in training what it says
when the model is used. Nothing of it is kept for the backward pass, as all that lies beneath it is frozen too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bertwright.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import nn

    from bertwright.heads.model import Bert

Frozen = Literal["nothing", "embeddings", "encoder"]


def freeze(model: Bert, what: Frozen | int) -> int:
    """Freeze the "embeddings", or those and the first so many layers, or the "encoder"; heads and pooler always learn.

    To be done before weights are shared out and optimizers are built. Returns the number of parameters that it froze.
    Raises SettingsError where the model has fewer layers.
    """
    layers, embeddings = model.encoder.layers, model.encoder.embeddings
    if isinstance(what, int):
        refuse_missing_layers(what, len(layers))
        frozen: tuple[nn.Module, ...] = (embeddings, *layers[:what])
    else:
        frozen = {"nothing": (), "embeddings": (embeddings,), "encoder": (model.encoder,)}[what]
    for part in frozen:
        part.requires_grad_(False)
    return sum(parameter.numel() for part in frozen for parameter in part.parameters())


def refuse_missing_layers(what: int, layers: int) -> None:
    """Raise SettingsError where a model of so many layers cannot have `what` of them frozen."""
    if not 0 <= what <= layers:
        cure = f'choose 0 to {layers}, "embeddings" or "encoder"'
        raise SettingsError(f"`freeze` is {what}, but the model has {layers} layers", cure=cure)


def train_only(model: Bert, parts: Collection[str]) -> None:
    """Let only the parts of these names learn, such as `masked_words`; all others are frozen."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.partition(".")[0] in parts)


def set_training(model: Bert) -> None:
    """Training mode for what learns, evaluation mode for embeddings and layers that are frozen."""
    model.train()
    encoder = model.encoder
    for part in (encoder, encoder.embeddings, *encoder.layers):
        if not any(parameter.requires_grad for parameter in part.parameters()):
            part.eval()
