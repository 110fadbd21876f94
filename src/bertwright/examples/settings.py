"""What an example looks like: the numbers of the paper (section 3.1 and appendix A.1) and of its code."""

from __future__ import annotations

from math import ceil
from typing import Literal, Self

from pydantic import Field, model_validator

from bertwright.settings import Settings

MaskedUnit = Literal["token", "whole_word", "span"]


class ExampleSettings(Settings):
    """How text becomes pretraining examples."""

    # Tokens in a row, [CLS] and [SEP] included.
    max_length: int = Field(default=128, ge=8, le=512)
    # "next_sentence": pairs of segments and NSP, as in the paper. "sentence_order": B always follows A in the text, and
    # stands before it in every second example (ALBERT, section 3.1); the label, and the head, are those of NSP. Parts
    # are whole sentences as far as two fit.
    # "none": running text of one document, without a next sentence to tell (RoBERTa, section 4.2).
    segments: Literal["next_sentence", "sentence_order", "none"] = "next_sentence"
    # A pair that is too long: "carry" ends it at the limit, and the next example goes on from there; "trim" takes
    # tokens away from its longer side, as the original code does, which loses 3.5% of an epoch's text at 512 tokens
    # and 12.8% at 128.
    too_long: Literal["carry", "trim"] = "carry"
    # Short sequences share a row, of which the attention of each sees its own part alone; else each is padded.
    packed: bool = True
    # Share of examples that aim at a random shorter length, so that fine-tuning on short texts is no surprise.
    short_fraction: float = Field(default=0.1, ge=0, le=1)
    # Share of the tokens that are predicted.
    masked_fraction: float = Field(default=0.15, gt=0, lt=1)
    # What is hidden together: "token": each by itself, as in the paper; "whole_word": all pieces of a word; "span":
    # runs of n words with a chance that falls as 1/n, up to `longest_span` (ALBERT, section 4.1).
    masked_unit: MaskedUnit = "token"
    # Words in the longest span, where spans are hidden.
    longest_span: int = Field(default=3, ge=1, le=20)
    # After so many epochs the same examples with the same words hidden come again, as the original code's do after 10
    # (dupe_factor); None hides others in every epoch.
    distinct_epochs: int | None = Field(default=None, ge=1)
    # Share of the tokens to be predicted that become [MASK].
    mask_token_fraction: float = Field(default=0.8, ge=0, le=1)
    # Share of the tokens to be predicted that become a random word; what is left stays as it is.
    random_token_fraction: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="after")
    def _fractions_fit(self) -> Self:
        if self.mask_token_fraction + self.random_token_fraction > 1 + 1e-9:
            raise ValueError("`mask_token_fraction` and `random_token_fraction` add up to more than 1")
        return self

    @model_validator(mode="after")
    def _order_needs_all_of_the_text(self) -> Self:
        if self.segments != "next_sentence" and self.too_long == "trim":
            raise ValueError(
                f'`segments = "{self.segments}"` goes with `too_long = "carry"`: trimming is for next-sentence pairs'
            )
        return self

    @property
    def frame_tokens(self) -> int:
        """Tokens around the text: [CLS] A [SEP] B [SEP], or [CLS] A [SEP]."""
        return 2 if self.segments == "none" else 3

    @property
    def max_tokens(self) -> int:
        """Tokens of text in an example: what the frame leaves."""
        return self.max_length - self.frame_tokens

    @property
    def max_sequences(self) -> int:
        """Sequences that may share a row."""
        return self.max_length // 4 if self.packed else 1

    @property
    def max_predictions(self) -> int:
        """Predicted positions in a sequence of full length."""
        return max(1, round(self.max_length * self.masked_fraction))

    @property
    def max_row_predictions(self) -> int:
        """Predicted positions that a row can have: each of its sequences rounds up, and has one at least."""
        if not self.packed:
            return self.max_predictions
        return ceil(self.max_length * self.masked_fraction) + self.max_sequences
