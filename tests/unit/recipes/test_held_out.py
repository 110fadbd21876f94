from __future__ import annotations

import pytest

from bertwright.encoder.config import EncoderConfig
from bertwright.examples.settings import ExampleSettings
from bertwright.heads.model import PRETRAINING, WORDS_ALONE, Bert
from bertwright.recipes.held_out import WatchedTexts, held_out_batches
from tests.support import letters, numbered, shard_of

VOCABULARY = letters()
EXAMPLES = ExampleSettings(max_length=16, packed=False)
SHARD = shard_of([[[5 + (token * 7 + start) % 26 for token in range(9)] for start in (0, 3)] for _ in range(6)])


def model(parts: object = PRETRAINING) -> Bert:
    config = EncoderConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    bert = Bert(config, parts)  # type: ignore[arg-type]  # one of ours
    bert.initialise(0)
    return bert


def test_as_many_examples_as_are_wanted_and_none_of_nothing() -> None:
    assert [len(batch.input_ids) for batch in held_out_batches([SHARD], EXAMPLES, VOCABULARY, most=3)] == [3]
    assert not list(held_out_batches([], EXAMPLES, VOCABULARY, most=3))


@pytest.mark.parametrize("segments", ["next_sentence", "none"])
def test_a_watched_text_is_measured_alike_whatever_the_run_learns_from(segments: str) -> None:
    texts = {"general": [SHARD], "field": [shard_of(numbered([[4, 4], [5, 5]]))]}
    examples = EXAMPLES.model_copy(update={"segments": segments})
    said: list[str] = []
    found = WatchedTexts(texts, examples, VOCABULARY, most=64).figures(model(), said.append)
    names = ["general_mlm_loss", "general_mlm_accuracy", "field_mlm_loss", "field_mlm_accuracy"]
    assert list(found) == names
    assert [line.split("of the ")[1] for line in said] == ["general text", "field text"]
    plain = WatchedTexts(texts, EXAMPLES.model_copy(update={"segments": "none"}), VOCABULARY, most=64)
    assert plain.figures(model(), said.append) == found
    # Without a head for pairs too.
    assert plain.figures(model(WORDS_ALONE), said.append).keys() == found.keys()
