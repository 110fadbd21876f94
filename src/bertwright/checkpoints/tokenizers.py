"""The tokenizer of a model that was read, as the model needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bertwright.errors import ModelError
from bertwright.tokens.layout import VOCAB_FILE
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

# Some old directories have a few pieces more than vectors, and would fail on them; many more are another vocabulary.
_UNHEARD = 0.01


def fitted(tokenizer: Tokenizer, vectors: int, path: Path) -> tuple[Tokenizer, tuple[str, ...]]:
    """The tokenizer without the pieces that a model with so many vectors has none for, and what to say of them.

    Raises ModelError where the vocabulary is another model's.
    """
    unheard = len(tokenizer.vocabulary) - vectors
    if unheard <= 0:
        return tokenizer, ()
    if unheard > vectors * _UNHEARD:
        raise ModelError(
            f"the vocabulary has {len(tokenizer.vocabulary)} pieces, but the model only {vectors}",
            where=path / VOCAB_FILE,
            cure="put the vocabulary there that the model was trained with",
        )
    told = f"the last {unheard} pieces of the vocabulary, which have no vectors"
    return tokenizer.over(Vocabulary(tokenizer.vocabulary.pieces[:vectors])), (told,)


def in_lower_case(tokenizer: Tokenizer) -> Tokenizer:
    """The same for texts that are put in lower case before, as sentence-transformers can: their accents stay."""
    if tokenizer.lowercase:
        return tokenizer
    switches = tokenizer.settings() | {"lowercase": True, "strip_accents": False}
    return Tokenizer(tokenizer.vocabulary, **switches, added=tokenizer.added, apart=tokenizer.apart)
