"""The floating-point operations of a pretraining step, counted: what its speed is measured in."""

from __future__ import annotations

from bertwright.encoder.config import EncoderConfig
from bertwright.examples.settings import ExampleSettings


def operations_per_token(config: EncoderConfig, examples: ExampleSettings) -> float:
    """Floating-point operations of a training step for each position of a full example.

    Two for each weight of a matrix product and each pair of positions in attention, thrice that with the way back.
    After the keys and values of the last layer only hidden words and [CLS] go on.
    """
    hidden, feed_forward = config.hidden_size, config.intermediate_size
    wanted = (examples.max_predictions + 1) / examples.max_length
    keys_values = 2 * hidden * hidden
    rest = 2 * hidden * hidden + 2 * hidden * feed_forward + 2 * hidden * examples.max_length
    layers = config.num_hidden_layers * keys_values + (config.num_hidden_layers - 1 + wanted) * rest
    predicted = examples.max_predictions / examples.max_length
    head = predicted * (hidden * hidden + hidden * config.vocab_size)
    return 6 * (layers + head)
