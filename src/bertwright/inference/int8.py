"""An encoder's products in 8 bits, from its weights as they lie: no graph, no rows to measure, and any head.

The matrix of a product becomes whole numbers with a scale for each of its columns. What it is multiplied with does too,
with a range for each token, found anew, so that the answer to a text does not depend on the texts beside it.
Embeddings, norms, softmax and heads stay in fp32.
"""

from __future__ import annotations

import platform

import torch
from torch import Tensor, nn

from bertwright.encoder.attention import SelfAttention
from bertwright.encoder.encoder import Encoder
from bertwright.encoder.layer import EncoderLayer
from bertwright.errors import SettingsError

# Inputs have 8 bits, weights 7: a processor without instructions for such products (AVX-512 VNNI) adds them in pairs
# in 16 bits, which hold 2 * 255 * 63 and not 2 * 255 * 127. All processors take 7, and so say the same.
_MOST_INPUT = 255
_MOST_WEIGHT = 63
# Fewer than in fp32, whose products are half as fast: what lies between two products stays nearer to the core. MiniLM
# read 384 texts at 92 a second with 512, 86 with 256 and 83 with 1,024 (two cores with AVX2).
INT8_BATCH_TOKENS = 512
# What is all zeros has this scale.
_TINY = torch.finfo(torch.float32).tiny
# Of the least number, the smallest scale: half of it is still seen beside that number, and 255.5 stays below 256.
_FINEST = 2.0**-22


class Int8Linear(nn.Module):
    """What an nn.Linear computes, nearly; on a CPU, without gradients."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight = linear.weight.detach().float()
        self._scales = (weight.abs().amax(1) / _MOST_WEIGHT).clamp_(min=_TINY)
        whole = (weight / self._scales[:, None]).round_().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(whole, None)
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)
        # What a 1 at every place of the input would give.
        self._sums = (whole.float() * self._scales[:, None]).sum(1)
        self._bias = linear.bias.detach().float()

    def forward(self, inputs: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        # In fp32 under autocast too: bf16 rounds 255.5 up, past the 8 bits.
        rows = inputs.reshape(-1, inputs.shape[-1]).float()
        least = rows.amin(1, keepdim=True)
        finest = least.abs().mul_(_FINEST).clamp_(min=_TINY)
        scale = (rows.amax(1, keepdim=True) - least).div_(_MOST_INPUT).clamp_(min=finest)
        # inputs = least + scale * whole, and their product with the weights is that of each part. Half a step is added
        # before numbers are cut to whole ones, and that by way of 16 bits: torch has no fast kernel from fp32 to uint8.
        whole = rows.sub(least - scale / 2).mul_(scale.reciprocal()).to(torch.int16).to(torch.uint8)
        found: Tensor = torch.ops.onednn.qlinear_pointwise(
            whole, 1.0, 0, self._packed, self._scales, self._zeros, None, 1.0, 0, torch.float32, "none", [], ""
        )
        found.mul_(scale).addcmul_(least, self._sums).add_(self._bias)
        return found.view(*inputs.shape[:-1], -1)

    def part(self, inputs: Tensor, start: int, stop: int) -> Tensor:
        """As JoinedLinear.part; the other columns are computed too."""
        return self(inputs)[..., start:stop]


def multiplies_int8() -> bool:
    """Whether this machine's torch has products of 8 bits."""
    return torch.backends.mkldnn.is_available() and platform.machine() in ("x86_64", "AMD64")


def to_int8(encoder: Encoder) -> None:
    """Replace the encoder's matrices by their whole numbers, in a quarter of their memory.

    Raises SettingsError where this torch has no such products.
    """
    if not multiplies_int8():
        raise SettingsError("this machine's torch multiplies no 8 bits", cure="take --engine torch")
    for layer in encoder.layers:
        assert isinstance(layer, EncoderLayer)
        assert isinstance(layer.attention, SelfAttention)
        for place, name in (
            (layer.attention, "query_key_value"),
            (layer.attention, "output"),
            (layer, "expand"),
            (layer, "contract"),
        ):
            setattr(place, name, Int8Linear(getattr(place, name)))
