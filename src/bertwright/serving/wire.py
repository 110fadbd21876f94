"""What goes over the wire: the bodies of requests and of answers, each with an example."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

_Model = Annotated[str | None, Field(description="Name of a model; not given, the first that can do it.")]
# The first fault of a list is told: thousands of them would cost more than the list.
Texts = Annotated[list[str], Field(min_length=1, fail_fast=True)]
Pair = Annotated[list[str], Field(min_length=2, max_length=2, fail_fast=True)]


def _no_ids(given: Any) -> Any:
    """Refuse token ids, which some clients send: they are numbers of another tokenizer's vocabulary."""
    first = given[0] if isinstance(given, list) and given else None
    first = first[0] if isinstance(first, list) and first else first
    if isinstance(first, int):
        what = "these are token ids of another vocabulary; send texts (LangChain: check_embedding_ctx_length=False)"
        raise PydanticCustomError("token_ids", what)
    return given


TextOrTexts = Annotated[str | Texts, BeforeValidator(_no_ids)]


class _Body(BaseModel):
    """Ours: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _first_unknown(cls, values: Any) -> Any:
        """Of what is not known the first alone: to tell of hundreds of thousands takes seconds."""
        if not isinstance(values, dict):
            return values
        unknown = next((name for name in values if name not in cls.model_fields), None)
        known = {name: value for name, value in values.items() if name in cls.model_fields}
        return known if unknown is None else known | {unknown: None}


class _Foreign(BaseModel):
    """Of other servers, whose clients may send what is not looked at here."""

    model_config = ConfigDict(extra="ignore")


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"example": values})


def _foreign(**values: Any) -> ConfigDict:
    return ConfigDict(extra="ignore", json_schema_extra={"example": values})


class FillRequest(_Body):
    """Texts with one `[MASK]` or more each."""

    model_config = _example(texts=["The capital of France is [MASK]."], top=5)

    texts: Texts
    top: int = Field(default=5, ge=1, le=100)
    model: _Model = None


class TextsRequest(_Body):
    """Texts, each to be answered by itself."""

    model_config = _example(texts=["A fine film.", "Two hours that I want back."])

    texts: Texts
    model: _Model = None


class PairsRequest(_Body):
    """Pairs of texts."""

    model_config = _example(pairs=[["It rained all night.", "The streets are wet."]])

    pairs: Annotated[list[Pair], Field(min_length=1, fail_fast=True)]
    model: _Model = None


class TagRequest(_Body):
    """Texts, or lists of words."""

    model_config = _example(texts=["Ada Lovelace was born in London.", ["U.N.", "official", "Ekeus"]])

    texts: Annotated[list[str | Annotated[list[str], Field(fail_fast=True)]], Field(min_length=1, fail_fast=True)]
    model: _Model = None


class Question(_Body):
    """A question, and the text that its answer is looked for in."""

    question: Annotated[str, Field(min_length=1)]
    context: str


class AnswerRequest(_Body):
    """Questions on texts. null_threshold: the odds above which there is no answer, else those of the training."""

    model_config = _example(questions=[{"question": "Who was born?", "context": "Ada was born in London."}])

    questions: Annotated[list[Question], Field(min_length=1, fail_fast=True)]
    null_threshold: Annotated[float | None, Field(allow_inf_nan=False)] = None
    model: _Model = None


class ChooseRequest(_Body):
    """A text, and what may go on with it."""

    model_config = _example(text="It rained.", choices=["The streets are wet.", "He sings."])

    text: str
    choices: Texts
    model: _Model = None


class AttentionRequest(_Body):
    """A text or a pair, of a few dozen tokens."""

    model_config = _example(text="The bank of the river.", second=None)

    text: str
    second: str | None = None
    model: _Model = None


class Source(_Foreign):
    """A text, and those to compare it with."""

    source_sentence: str
    sentences: Texts


class SimilarityRequest(_Foreign):
    """One text with others, as text-embeddings-inference has it, or `texts`, each with each."""

    model_config = _foreign(texts=["A dog barks.", "A hound makes a noise.", "The rent is due."])

    inputs: Source | None = None
    texts: Texts | None = None
    model: _Model = None


class EmbedRequest(_Foreign):
    """Texts to vectors, as text-embeddings-inference has it; long texts are read in windows, none is truncated."""

    model_config = _foreign(inputs=["A dog barks."], normalize=True)

    inputs: TextOrTexts
    normalize: bool = True
    model: _Model = None


class TokenizeRequest(_Foreign):
    """Texts to pieces, as text-embeddings-inference has it."""

    model_config = _foreign(inputs=["A dog barks."], add_special_tokens=True)

    inputs: str | Texts
    add_special_tokens: bool = True
    model: _Model = None


# "a text", ["a text", "its pair"], or a batch of either: [["a text"], ["another"]], [["a text", "its pair"]].
Sequence = Annotated[list[str], Field(min_length=1, max_length=2, fail_fast=True)]


class PredictRequest(_Foreign):
    """A text, a pair of texts, or a batch of texts or of pairs, as text-embeddings-inference has it."""

    model_config = _foreign(inputs=[["A fine film."], ["Two hours that I want back."]])

    inputs: str | Sequence | Annotated[list[Sequence], Field(min_length=1, fail_fast=True)]
    raw_scores: bool = False
    model: _Model = None


class RerankRequest(_Foreign):
    """Texts to be put in the order of how well they answer a query, as text-embeddings-inference has it."""

    model_config = _foreign(query="What is a dog?", texts=["An animal that barks.", "A month of spring."])

    query: str
    texts: Texts
    raw_scores: bool = False
    return_text: bool = False
    model: _Model = None


class AnyRequest(BaseModel):
    """What `/embed`, `/predict` or `/rerank` read, whichever the model is for."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"inputs": ["A dog barks."]}})

    model: _Model = None


class OpenAiRequest(_Foreign):
    """Texts to vectors, as OpenAI's clients ask."""

    model_config = _foreign(input=["A dog barks."], model="my-model", encoding_format="float")

    input: TextOrTexts
    model: _Model = None
    encoding_format: Annotated[str | None, Field(pattern="^(float|base64)$")] = None
    dimensions: int | None = None


class Results(BaseModel):
    """One result for each text, in their order, and the model that gave them."""

    model: str
    results: list[Any]


class Labelled(BaseModel):
    """A label and its probability, or what the head says."""

    label: str
    score: float


class Ranked(BaseModel):
    """The place of a text in the request, and how well it answers the query."""

    index: int
    score: float
    text: str | None = None


class Piece(BaseModel):
    """A piece, its characters in the text, and whether it is one of the special ones."""

    id: int
    text: str
    special: bool
    start: int | None
    stop: int | None


class Seen(BaseModel):
    """`shares`: base64 of bytes, 255 for all of a token's look, layers x heads x tokens x tokens as `shape` says."""

    model: str
    pieces: list[str]
    second: int
    shape: list[int]
    shares: str


class Known(BaseModel):
    """A model, and what it can do."""

    name: str
    can: list[str]
    task: str
    labels: list[str]
    max_length: int
    engine: str


class OpenAiVector(BaseModel):
    """The vector of the text at `index`: numbers, or base64 of little-endian fp32."""

    object: str
    index: int
    embedding: list[float] | str


class OpenAiUsage(BaseModel):
    """Tokens that were read."""

    prompt_tokens: int
    total_tokens: int


class OpenAiVectors(BaseModel):
    """The vectors of all texts, in their order."""

    object: str
    data: list[OpenAiVector]
    model: str
    usage: OpenAiUsage


class OpenAiModel(BaseModel):
    """The name of a model."""

    id: str
    object: str
    owned_by: str


class OpenAiModels(BaseModel):
    """All models."""

    object: str
    data: list[OpenAiModel]


class OpenAiDetail(BaseModel):
    """What is wrong, and its status."""

    message: str
    type: str
    param: str | None
    code: int


class OpenAiFault(BaseModel):
    """A fault as OpenAI's clients know it."""

    error: OpenAiDetail


class Fault(BaseModel):
    """What is wrong, for a person; and of what kind, for a program."""

    error: str
    error_type: str
