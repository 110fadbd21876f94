"""A model directory, run by torch as it stands."""

from __future__ import annotations

import torch

from bertwright.batches.sequences import InputBatch
from bertwright.checkpoints.model_directory import LoadedModel
from bertwright.inference.engines.engine import Arrays
from bertwright.inference.int8 import to_int8
from bertwright.inference.outputs import inputs_of, outputs_of
from bertwright.training.precision import computing_in


class PlainEngine:
    """In fp32 the reference that every other engine is compared with."""

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        form: str = "bertwright",
        dtype: torch.dtype = torch.float32,
        int8: bool = False,
        compiled: bool = False,
    ) -> None:
        """dtype, int8, compiled: as `TorchRunner` has them."""
        self.form = form
        self._dtype = dtype
        if int8:
            to_int8(loaded.model.encoder)
        if compiled:
            loaded.model.encoder.compile(dynamic=True)
        self.task = loaded.task
        self.vocabulary = loaded.tokenizer.vocabulary
        self.ids = loaded.tokenizer.ids
        self.longest = loaded.longest
        self.segments = loaded.model.config.type_vocab_size
        self._outputs = outputs_of(loaded)

    def run(self, batch: InputBatch) -> Arrays:
        """On the CPU; the last hidden states too, where the model's outputs are those of a head alone."""
        with torch.inference_mode(), computing_in(self._dtype, torch.device("cpu")):
            found = self._outputs(**inputs_of(batch))
            arrays = dict(zip(self._outputs.names, found, strict=True))
            if "last_hidden_state" not in arrays:
                encoder = self._outputs.model.encoder
                arrays["last_hidden_state"] = encoder(
                    batch.input_ids, batch.token_type_ids, batch.attention_mask
                ).hidden
        return {name: tensor.float().numpy() for name, tensor in arrays.items()}
