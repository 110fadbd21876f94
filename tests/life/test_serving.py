"""Every route of the server, each answer compared with that of Python."""

from __future__ import annotations

import base64
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

import bertwright
from bertwright.checkpoints.model_directory import write_model
from bertwright.cli.main import main
from bertwright.errors import ModelError, SettingsError
from bertwright.heads.model import Parts
from bertwright.inference.kinds import OfMasks
from bertwright.serving.app import Server
from bertwright.serving.log import Log
from bertwright.serving.models import named_paths
from bertwright.serving.run import read_keys
from bertwright.serving.settings import ServeSettings
from tests.life.served import write_models
from tests.unit.checkpoints.small import TOKENIZER, small_model

LOG = io.StringIO()
LONG = "i like dog playing " * 9


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_models(tmp_path_factory.mktemp("served"))


@pytest.fixture(scope="module")
def client(homes: dict[str, Path]) -> Iterator[TestClient]:
    server = Server(
        homes, ServeSettings(max_texts=8, max_tokens=550, max_body_bytes=5000), engine="torch", log=Log(LOG)
    )
    with TestClient(server.app, raise_server_exceptions=False) as client:
        yield client


def post(client: TestClient, route: str, **body: Any) -> Any:
    answer = client.post(route, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_free_memory_is_given_back_while_it_runs(homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    given = threading.Event()
    monkeypatch.setattr("bertwright.serving.app._TIDY_SECONDS", 0.01)
    monkeypatch.setattr("bertwright.serving.app.give_back_free_pages", given.set)
    with TestClient(Server(homes, log=Log(io.StringIO())).app):
        assert given.wait(30)


def test_fill(client: TestClient, homes: dict[str, Path]) -> None:
    texts = ["i like [MASK]", "[MASK] [MASK] dog"]
    found = post(client, "/fill", texts=texts, top=2)
    assert found["model"] == "pretrained"
    model = bertwright.load(homes["pretrained"])
    for text, result in zip(texts, found["results"], strict=True):
        for got, wanted in zip(result["masks"], model.fill(text, 2), strict=True):
            assert (got["start"], got["end"]) == (wanted.start, wanted.end)
            assert [each["word"] for each in got["candidates"]] == [each.word for each in wanted.candidates]
            shares = [each["probability"] for each in got["candidates"]]
            assert shares == pytest.approx([each.probability for each in wanted.candidates], abs=1e-5)


@pytest.mark.parametrize("name", ["classifier", "multi"])
def test_classify_with_long_texts(client: TestClient, homes: dict[str, Path], name: str) -> None:
    texts = ["dog", LONG, ""]
    found = post(client, "/classify", texts=texts, model=name)["results"]
    for row, got in zip(bertwright.load(homes[name]).predict([{"text": text} for text in texts]), found, strict=True):
        wanted = row["prediction"]
        assert got.keys() == wanted.keys()
        assert got["probabilities"] == pytest.approx(wanted["probabilities"], abs=1e-5)
    assert found[1]["cut"] == 0


def test_pair(client: TestClient, homes: dict[str, Path]) -> None:
    found = post(client, "/pair", pairs=[["i like", "dog"]])
    (wanted,) = bertwright.load(homes["pairs"]).classify([("i like", "dog")])
    assert found["model"] == "pairs"
    assert found["results"][0]["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-5)


def test_tag(client: TestClient, homes: dict[str, Path]) -> None:
    texts = ["i like dog", ["playing", "dog"]]
    found = post(client, "/tag", texts=texts)["results"]
    for got, wanted in zip(found, bertwright.load(homes["tagger"]).tag(texts), strict=True):
        assert (got["words"], got["tags"]) == (list(wanted.words), list(wanted.tags))
    for span in found[0]["spans"]:
        assert texts[0][span["start"] : span["end"]] == span["text"]


def test_answer(client: TestClient, homes: dict[str, Path]) -> None:
    questions = [{"question": "dog", "context": LONG}, {"question": "dog", "context": ""}]
    found = post(client, "/answer", questions=questions)["results"]
    wanted = bertwright.load(homes["answerer"]).answer([(each["question"], each["context"]) for each in questions])
    assert [each["text"] for each in found] == [each.text for each in wanted]
    (never,) = post(client, "/answer", questions=questions[:1], null_threshold=1e9)["results"]
    assert LONG[never["start"] : never["end"]] == never["text"] != ""


def test_embed_as_text_embeddings_inference_and_openai_do(client: TestClient, homes: dict[str, Path]) -> None:
    texts = ["i like dog", LONG]
    wanted = bertwright.load(homes["sentences"]).embed(texts)
    name = {"model": "sentences"}
    np.testing.assert_allclose(post(client, "/embed", inputs=texts, truncate=True, **name), wanted, atol=1e-5)
    np.testing.assert_allclose(post(client, "/embed", inputs=texts[0], **name), wanted[:1], atol=1e-5)
    # Without a name the one that was made for vectors answers, though it is the last.
    np.testing.assert_allclose(post(client, "/embed", inputs=texts), wanted, atol=1e-5)
    raw = post(client, "/embed", inputs=texts, normalize=False, **name)
    assert not np.allclose(np.linalg.norm(raw, axis=1), 1)

    theirs = post(client, "/v1/embeddings", input=texts, **name)
    assert (theirs["object"], theirs["model"], theirs["usage"]["prompt_tokens"]) == (
        "list",
        "sentences",
        77,
    )  # six windows of 12, and 5
    np.testing.assert_allclose([each["embedding"] for each in theirs["data"]], wanted, atol=1e-5)
    coded = post(client, "/v1/embeddings", input=texts[0], encoding_format="base64", **name)["data"][0]["embedding"]
    np.testing.assert_allclose(np.frombuffer(base64.b64decode(coded), "<f4"), wanted[0], atol=1e-5)
    refused = client.post("/v1/embeddings", json={"input": "x", "dimensions": 3, **name})
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "`dimensions` is 3, and the model's vectors have 8"
    assert [each["id"] for each in client.get("/v1/models").json()["data"]] == list(homes)


def test_a_vector_is_of_all_windows_however_many(homes: dict[str, Path]) -> None:
    model = bertwright.load(homes["sentences"])
    long = "dog " * 40 * model.max_length
    one, other = model.embed([long + "dog", long + "playing"])
    assert not np.array_equal(one, other)


def test_choose(client: TestClient, homes: dict[str, Path]) -> None:
    choices = ["dog", "i like", "playing"]
    (found,) = post(client, "/choose", text="i like", choices=choices)["results"]
    wanted = bertwright.load(homes["chooser"]).choose("i like", choices)
    assert found["choice"] == wanted.choice == int(np.argmax(wanted.probabilities))
    assert found["probabilities"] == pytest.approx(wanted.probabilities, abs=1e-6)


def test_similarity(client: TestClient, homes: dict[str, Path]) -> None:
    texts = ["i like dog", "dog", "playing"]
    vectors = bertwright.load(homes["sentences"]).embed(texts)
    found = post(client, "/similarity", texts=texts, model="sentences")
    np.testing.assert_allclose(found, vectors @ vectors.T, atol=1e-5)
    inputs = {"source_sentence": texts[0], "sentences": texts[1:]}
    found = post(client, "/similarity", inputs=inputs, model="sentences")
    np.testing.assert_allclose(found, vectors[1:] @ vectors[0], atol=1e-5)


def test_predict_and_rerank(client: TestClient, homes: dict[str, Path]) -> None:
    (wanted,) = bertwright.load(homes["classifier"]).classify(["dog"])
    (first, second) = post(client, "/predict", inputs="dog", model="classifier")
    assert first["label"] == wanted.label
    assert first["score"] == pytest.approx(wanted.probabilities[first["label"]], abs=1e-5)
    assert first["score"] > second["score"]
    raw = post(client, "/predict", inputs="dog", model="classifier", raw_scores=True)
    odds = raw[0]["score"] - raw[1]["score"]
    assert odds == pytest.approx(np.log(first["score"] / second["score"]), abs=1e-4)
    batch = post(client, "/predict", inputs=[["i", "dog"], ["like", "dog"]], model="pairs")
    assert [len(each) for each in batch] == [2, 2]

    texts = ["dog", "like", "playing dog"]
    rows = bertwright.load(homes["rater"]).predict([{"text_a": "i", "text_b": text} for text in texts])
    scores = [row["prediction"]["score"] for row in rows]
    ranks = post(client, "/rerank", query="i", texts=texts, raw_scores=True, return_text=True)
    assert [each["index"] for each in ranks] == np.argsort(scores)[::-1].tolist()
    assert [each["text"] for each in ranks] == [texts[each["index"]] for each in ranks]
    assert ranks[0]["score"] == pytest.approx(max(scores), abs=1e-5)
    usual = post(client, "/rerank", query="i", texts=texts)
    assert usual[0]["score"] == pytest.approx(1 / (1 + np.exp(-max(scores))), abs=1e-5)


def test_tokenize(client: TestClient) -> None:
    (found,) = post(client, "/tokenize", inputs="I like dogs", model="pretrained")
    assert [each["text"] for each in found] == ["[CLS]", "I", "like", "dogs", "[SEP]"]
    assert [(each["start"], each["stop"], each["special"]) for each in found] == [
        (None, None, True),
        (0, 1, False),
        (2, 6, False),
        (7, 11, True),  # a word that the vocabulary has not
        (None, None, True),
    ]
    (bare,) = post(client, "/tokenize", inputs=["[SEP]"], add_special_tokens=False)
    assert "[SEP]" not in [each["text"] for each in bare]


def test_a_long_text_is_cut_in_another_thread_and_a_longer_one_refused(homes: dict[str, Path]) -> None:
    settings = ServeSettings(max_tokens=20_000)
    with TestClient(Server({"m": homes["pretrained"]}, settings, engine="torch", log=Log(io.StringIO())).app) as client:
        (found,) = post(client, "/tokenize", inputs="i like dog " * 3000)
        assert len(found) == 9002
        refused = client.post("/tokenize", json={"inputs": "i like dog " * 8000})
        assert (refused.status_code, refused.json()["error"]) == (413, "24,002 tokens in one request; 20,000 are taken")
        long = "i like dog " * 3000
        # Its windows and no more of them than a text may have: the rest is told.
        assert len(post(client, "/embed", inputs=[long])) == 1


def test_attention(client: TestClient, homes: dict[str, Path]) -> None:
    found = post(client, "/attention", text="i like", second="dog", model="pretrained")
    wanted = bertwright.load(homes["pretrained"]).attention("i like", "dog")
    assert found["pieces"] == list(wanted.pieces) == ["[CLS]", "i", "like", "[SEP]", "dog", "[SEP]"]
    shares = np.frombuffer(base64.b64decode(found["shares"]), np.uint8).reshape(found["shape"])
    assert shares.shape == (2, 2, 6, 6)
    np.testing.assert_allclose(shares / 255, wanted.shares, atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(wanted.shares.sum(axis=-1), 1, atol=1e-6)
    assert client.post("/attention", json={"text": LONG, "model": "pretrained"}).status_code == 422


def test_what_is_there(client: TestClient) -> None:
    models = {each["name"]: each for each in client.get("/models").json()}
    assert models["classifier"]["can"] == [
        "attention",
        "classify",
        "embed",
        "predict",
        "similarity",
        "tokenize",
    ]
    assert models["rater"]["can"] == ["attention", "embed", "pair", "predict", "rerank", "similarity", "tokenize"]
    assert models["tagger"]["labels"] == ["O", "B-X", "I-X"]
    assert models["pretrained"]["engine"].startswith("torch fp32")
    assert client.get("/info").json()["model_id"] == "pretrained"
    assert client.get("/health").json() == {"status": "alive"}
    assert client.get("/ready").json() == {"status": "ready"}


REFUSED = [
    ("/fill", {"texts": ["no mask"]}, 422, 'the text has no [MASK]; as in "The capital of France is [MASK]."'),
    ("/fill", {"texts": ["[MASK]"], "model": "nobody"}, 404, "no model is called 'nobody'; there are pretrained, "),
    ("/fill", {"texts": ["[MASK]"], "model": "tagger"}, 400, "the model 'tagger' has no head for this; it can attent"),
    ("/fill", {"texts": [], "top": 0}, 422, "texts: List should have at least 1 item after validation, not 0; top: "),
    ("/fill", {"texts": ["[MASK]"], "tpo": 3}, 422, "tpo: Extra inputs are not permitted"),
    ("/tag", {"texts": ["dog"] * 9}, 413, "9 texts in one request; 8 are taken"),
    ("/classify", {"texts": [LONG] * 8, "model": "multi"}, 413, " tokens in one request; 550 are taken"),
    ("/classify", {"texts": ["x" * 5000]}, 413, "the body is longer than 5,000 bytes; send fewer or shorter texts"),
    ("/answer", {"questions": [{"question": " ", "context": "x"}]}, 422, "`question` is empty"),
    ("/predict", {"inputs": [["a"], ["a", "b"]]}, 422, "texts and pairs stand in one batch; send each by itself"),
    ("/predict", {"inputs": [["a", "b", "c"]]}, 422, "inputs"),
    ("/similarity", {}, 422, "either `inputs` or `texts` is expected"),
    ("/choose", {"text": "a", "choices": ["b"], "model": "tagger"}, 400, "the model 'tagger' has no head for this; it"),
    ("/choose", {"text": "a", "choices": []}, 422, "choices: List should have at least 1 item after validation, not 0"),
    ("/nowhere", {}, 404, "Not Found"),
    # Nothing long of a request stands in an answer, and no text.
    ("/fill", {"texts": ["[MASK]"], "model": "n" * 900}, 404, f"no model is called '{'n' * 60}'; there are"),
    ("/fill", {"texts": ["[MASK]"], "x" * 900: 1}, 422, f"{'x' * 60}: Extra inputs are not permitted"),
    (
        "/predict",
        {"inputs": [["secret", "text"]], "model": "classifier"},
        422,
        "of texts the model reads 1, and row 1 has 2; give strings, or pairs of strings where the model reads pairs",
    ),
    ("/embed", {"inputs": [[101, 7592]]}, 422, "inputs: these are token ids of another vocabulary; send texts (Lang"),
    ("/embed", {"inputs": [101]}, 422, "inputs: these are token ids of another vocabulary; send texts (LangChain"),
]


@pytest.mark.parametrize(("route", "body", "status", "told"), REFUSED)
def test_refusals(client: TestClient, route: str, body: dict[str, Any], status: int, told: str) -> None:
    answer = client.post(route, json=body)
    assert (answer.status_code, answer.json().keys()) == (status, {"error", "error_type"})
    assert told in answer.json()["error"]
    assert "secret" not in answer.json()["error"]
    assert len(answer.json()["error"]) < 900


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"{", 400),
        (b"", 422),
        (b'{"texts": ["\xff"]}', 400),
        (b'{"texts": ["\\ud800 dog"]}', 422),
        (b'{"\\ud800": 1}', 422),
        (b"[" * 4000, 400),
    ],
)
def test_bytes_that_are_no_request(client: TestClient, content: bytes, status: int) -> None:
    answer = client.post("/classify", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


@pytest.mark.parametrize(
    ("route", "body", "told"),
    [
        # A tokenizer makes nothing of these words, and so 2 tokens of them all.
        ("/tag", {"texts": [[""] * 600]}, "600 words in one request; 550 are taken"),
        ("/tag", {"texts": ["\u200b " * 600]}, "600 words in one request; 550 are taken"),
        ("/fill", {"texts": ["[MASK] [MASK]"] * 3, "top": 100}, "600 words to be told in one request; 550 are taken"),
        ("/tokenize", {"inputs": "!" * 600}, "602 tokens in one request; 550 are taken"),
    ],
)
def test_what_would_take_long_to_tell_is_refused(
    client: TestClient, route: str, body: dict[str, Any], told: str
) -> None:
    answer = client.post(route, json=body)
    assert (answer.status_code, answer.json()["error"]) == (413, told)


def test_a_graph_of_the_next_sentence_fills_nothing(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    write_model(tmp_path / "weights", small_model(Parts(next_sentence=True)), TOKENIZER)
    assert main(["convert", str(tmp_path / "weights"), str(tmp_path / "graph"), "--to", "onnx"]) == 0
    server = Server({"graph": tmp_path / "graph"}, log=Log(io.StringIO()))
    with TestClient(server.app) as client:
        assert client.get("/models").json()[0]["can"] == ["embed", "similarity", "tokenize"]
        assert client.post("/fill", json={"texts": ["[MASK]"]}).status_code == 400


def test_half_of_a_refused_request_is_not_read(homes: dict[str, Path]) -> None:
    """Each text of `fill` waits by itself: where the last finds no room, the first give up theirs."""
    settings = ServeSettings(max_waiting_tokens=512, streams=1)
    server = Server({"m": homes["pretrained"]}, settings, engine="torch", log=Log(io.StringIO()))
    queue, shut = server.models.find("m", "fill").queue, threading.Event()
    whole = OfMasks.say
    with TestClient(server.app) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(OfMasks, "say", lambda self, windows: (shut.wait(30), whole(self, windows))[1])
        answer = client.post("/fill", json={"texts": ["i like [MASK] dog"] * 200})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
        assert queue.waiting == 0
        shut.set()


def test_a_list_of_faults_costs_no_more_than_one(client: TestClient) -> None:
    answer = client.post("/classify", json={"texts": [1] * 1000})
    assert (answer.status_code, answer.json()["error"]) == (422, "texts.0: Input should be a valid string")
    unknown = client.post("/classify", json={"texts": ["a"]} | {f"k{number}": 1 for number in range(300)})
    assert (unknown.status_code, unknown.json()["error"]) == (422, "k0: Extra inputs are not permitted")
    long = client.post("/rerank", json={"query": "x" * 4000, "texts": ["a"] * 8})
    assert long.json()["error"] == "32,008 characters to be read in one request; 17,600 are taken"


def test_ten_megabytes_of_text_are_refused_by_their_length(homes: dict[str, Path]) -> None:
    server = Server({"m": homes["pretrained"]}, engine="torch", log=Log(io.StringIO()))
    with TestClient(server.app) as client:
        answer = client.post("/tokenize", json={"inputs": "dog " * 2_500_000})
        assert (answer.status_code, answer.json()["error"][:32]) == (413, "the body is longer than 4,194,30")
    wide = ServeSettings(max_body_bytes=20 << 20)
    server = Server({"m": homes["pretrained"]}, wide, engine="torch", log=Log(io.StringIO()))
    with TestClient(server.app) as client:
        answer = client.post("/tokenize", json={"inputs": "dog " * 2_500_000})
        told = "10,000,000 characters to be read in one request; 2,097,152 are taken"
        assert (answer.status_code, answer.json()["error"]) == (413, told)


def test_who_waits_too_long_is_told_so(homes: dict[str, Path]) -> None:
    server = Server(
        {"m": homes["pretrained"]}, ServeSettings(timeout_seconds=0.2), engine="torch", log=Log(io.StringIO())
    )
    shut = threading.Event()
    with TestClient(server.app) as client, pytest.MonkeyPatch.context() as patch:
        patch.setattr(OfMasks, "say", lambda *_: shut.wait(30))
        answer = client.post("/fill", json={"texts": ["i like [MASK]"]})
        assert (answer.status_code, answer.json()["error"]) == (504, "no answer in 0.2 seconds")
        shut.set()


def test_who_knows_an_address_alone_is_answered_by_the_kind_of_the_model(homes: dict[str, Path]) -> None:
    texts = ["i like dog", "dog"]
    for name, route, body in (
        ("sentences", "/embed", {"inputs": texts, "normalize": True}),
        ("classifier", "/predict", {"inputs": [[text] for text in texts]}),
        ("rater", "/rerank", {"query": "dog", "texts": texts, "return_text": True}),
    ):
        server = Server({name: homes[name]}, engine="torch", log=Log(io.StringIO()))
        with TestClient(server.app) as client:
            assert post(client, "/", **body) == post(client, route, **body)
            wrong = client.post("/", json={"inputs": [1.5]} if name != "rater" else {"query": 1, "texts": ["a"]})
            assert wrong.status_code == 422, name


def test_it_says_when_it_is_being_stopped(homes: dict[str, Path]) -> None:
    server = Server({"m": homes["pretrained"]}, engine="torch", log=Log(io.StringIO()))
    with TestClient(server.app) as client:
        assert client.get("/ready").status_code == 200
        server.stopping = True
        assert (client.get("/ready").status_code, client.get("/ready").json()) == (503, {"status": "stopping"})


def test_the_page_may_load_nothing_but_its_own_files(client: TestClient) -> None:
    for place in ("/", "/page/page.js", "/page/page.css"):
        policy = client.get(place).headers["content-security-policy"]
        rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert {rules[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
        assert rules["frame-ancestors"] == rules["form-action"] == rules["base-uri"] == "'none'"
    page = client.get("/").text
    assert "<style" not in page
    assert page.count("<script") == page.count('<script type="module" src="/page/')


def test_the_description_says_that_a_key_is_needed(client: TestClient, homes: dict[str, Path]) -> None:
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]
    server = Server({"m": homes["pretrained"]}, keys=["first"], engine="torch", log=Log(io.StringIO()))
    with TestClient(server.app) as keyed:
        told = keyed.get("/openapi.json").json()
        assert told["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
        methods = [(path, about) for path, of in told["paths"].items() for about in of.values()]
        assert {path for path, about in methods if "security" not in about} == {"/health", "/ready"}
        assert keyed.post("/", json={"inputs": "dog"}).status_code == 401


def test_odd_texts_are_texts(client: TestClient) -> None:
    texts = ["", " ", "[SEP] [CLS] [MASK]", "\u200b\u202edog\u202c", "\0", "a\r\nb", "\U0001f469\u200d\U0001f680"]
    assert len(post(client, "/classify", texts=texts)["results"]) == len(texts)
    assert len(post(client, "/tag", texts=texts)["results"]) == len(texts)
    assert len(post(client, "/embed", inputs=texts)) == len(texts)


def test_the_log_and_the_measures_hold_no_texts(client: TestClient) -> None:
    post(client, "/classify", texts=["secret dog"])
    client.post("/fill", json={"texts": ["secret"]})
    client.get("/nobody/secret")
    client.get("/openapi.json")
    lines = [json.loads(line) for line in LOG.getvalue().splitlines()]
    assert "secret" not in LOG.getvalue()
    last = [line for line in lines if line.get("route") == "/classify" and line["status"] == 200][-1]
    assert (last["model"], last["texts"], last["tokens"]) == ("classifier", 1, 4)
    measured = client.get("/metrics").text
    assert 'bertwright_requests_total{route="other",status="404"}' in measured
    assert 'bertwright_tokens_total{model="classifier"}' in measured
    assert 'bertwright_waiting_tokens{model="classifier"} 0.0' in measured
    assert "secret" not in measured


def test_keys(homes: dict[str, Path]) -> None:
    server = Server({"m": homes["pretrained"]}, keys=["first", "second"], engine="torch", log=Log(io.StringIO()))
    with TestClient(server.app) as client:
        for given, status in ((None, 401), ("Bearer wrong", 401), ("Basic first", 401), ("Bearer second", 200)):
            headers = {} if given is None else {"authorization": given}
            answer = client.post("/tokenize", json={"inputs": "dog"}, headers=headers)
            assert answer.status_code == status
        assert client.post("/tokenize", json={}).headers["www-authenticate"] == "Bearer"
        assert (client.get("/health").status_code, client.get("/").status_code) == (200, 200)
        assert client.get("/metrics").status_code == 401


def test_a_file_of_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_bytes(b"\xef\xbb\xbffirst\r\n\n  # of the second client\n second \n")
    assert read_keys(file, "third") == ["third", "first", "second"]


def test_keys_that_are_meant_and_missing_are_told() -> None:
    assert read_keys(None, None) == []
    assert read_keys(None, "a, b,") == ["a", "b"]
    for empty in ("", " , "):
        with pytest.raises(
            SettingsError, match="BERTWRIGHT_API_KEYS is set and holds no key; give it one, or unset it"
        ):
            read_keys(None, empty)


def test_a_directory_may_have_a_sign_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lr=3e-5").mkdir()
    assert named_paths(["lr=3e-5", "other=dir"]) == {"lr=3e-5": Path("lr=3e-5"), "other": Path("dir")}


def test_other_sites_may_ask_only_where_they_are_named(client: TestClient, homes: dict[str, Path]) -> None:
    origin = {"origin": "https://example.org"}
    assert "access-control-allow-origin" not in client.get("/health", headers=origin).headers
    settings = ServeSettings(cors_origins=("https://example.org",))
    with TestClient(
        Server({"m": homes["pretrained"]}, settings, keys=["k"], engine="torch", log=Log(io.StringIO())).app
    ) as open_:
        assert open_.get("/health", headers=origin).headers["access-control-allow-origin"] == "https://example.org"
        asked = origin | {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        assert open_.options("/embed", headers=asked).status_code == 200
        refused = open_.post("/embed", headers=origin, json={"inputs": "dog"})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "https://example.org"
        assert "access-control-allow-origin" not in open_.get("/health", headers={"origin": "https://a.b"}).headers


def test_a_defect_tells_nothing_of_itself(homes: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("/home/secret")

    log = io.StringIO()
    server = Server({"m": homes["pretrained"]}, engine="torch", log=Log(log))
    monkeypatch.setattr("bertwright.serving.compatible._tokens", broken)
    with TestClient(server.app, raise_server_exceptions=False) as client:
        answer = client.post("/tokenize", json={"inputs": "dog"})
    assert (answer.status_code, answer.json()["error"]) == (500, "the server failed; its log has more")
    assert "secret" not in log.getvalue()
    (defect,) = [json.loads(line) for line in log.getvalue().splitlines() if "defect" in line]
    assert defect["kind"] == "ZeroDivisionError"
    assert defect["places"][-1].startswith("test_serving.py:")


def test_a_model_is_replaced_while_it_answers(homes: dict[str, Path], tmp_path: Path) -> None:
    import shutil

    place = tmp_path / "m"
    shutil.copytree(homes["pretrained"], place)
    server = Server({"m": place}, engine="torch", log=Log(io.StringIO()))
    with TestClient(server.app) as client:
        before = client.post("/embed", json={"inputs": "dog"}).json()
        shutil.rmtree(place)
        shutil.copytree(homes["sentences"], place)
        old = server.models.find("m", "embed")
        server.models.reload("m")
        after = client.post("/embed", json={"inputs": "dog"}).json()
        assert before != after
        assert server.models.find("m", "embed") is not old
        shutil.rmtree(place)
        with pytest.raises(bertwright.errors.ModelError):
            server.models.reload("m")
        assert client.post("/embed", json={"inputs": "dog"}).json() == after


def test_python_asks_a_model_for_what_it_was_made_for(homes: dict[str, Path]) -> None:
    multi, rater, classifier = (bertwright.load(homes[name]) for name in ("multi", "rater", "classifier"))
    assert multi.multilabel(["dog"])[0].probabilities.keys() == {"a", "b", "c"}
    assert isinstance(rater.regress([("dog", "i like")])[0].score, float)
    with pytest.raises(ModelError, match=r"has no classifier; ask it with `multilabel`$"):
        multi.classify(["dog"])
    with pytest.raises(ModelError, match=r"gives no score; ask it with `classify`$"):
        classifier.regress(["dog"])


def test_results_are_as_python_gives_them(client: TestClient, homes: dict[str, Path]) -> None:
    (wanted,) = bertwright.load(homes["classifier"]).classify(["dog"])
    (got,) = post(client, "/classify", texts=["dog"])["results"]
    assert got.keys() == asdict(wanted).keys()
