"""The page in a real browser: every view, by mouse, by keyboard and on a phone; nothing is asked outside."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from bertwright.checkpoints.model_directory import write_model
from bertwright.encoder.config import EncoderConfig
from bertwright.serving.app import Server
from bertwright.serving.log import Log
from bertwright.tokens.tokenizer import Tokenizer
from bertwright.tokens.vocabulary import SPECIALS, Vocabulary
from tests.life.served import HEADS
from tests.unit.checkpoints.small import small_model

_CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(
    _CHROMIUM is None and "CI" not in os.environ, reason="there is no Chromium (Debian: apt-get install chromium)"
)
VIEWS = ["fill", "classify", "pair", "tag", "answer", "choose", "similarity", "attention", "tokenize"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
VOCABULARY = Vocabulary([*SPECIALS, *LETTERS, *(f"##{letter}" for letter in LETTERS), ".", ",", "?", "'"])
CONFIG = EncoderConfig(
    num_hidden_layers=2,
    hidden_size=16,
    num_attention_heads=4,
    intermediate_size=32,
    vocab_size=len(VOCABULARY),
    max_position_embeddings=256,
)
KEY = "a key for the page"


def listening(server: Server) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as place:
        running = uvicorn.Server(uvicorn.Config(server.app, log_config=None, access_log=False))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [place]})
        thread.start()
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
        running.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for number, (name, (parts, labels, record)) in enumerate(HEADS.items()):
        found[name] = tmp_path_factory.mktemp(name)
        model = small_model(parts, config=CONFIG, seed=number)
        write_model(found[name], model, Tokenizer(VOCABULARY), labels=labels, record=record)
    return found


@pytest.fixture(scope="module")
def address(homes: dict[str, Path]) -> Iterator[str]:
    yield from listening(Server(homes, engine="torch", log=Log(io.StringIO())))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Page:
    """A tab of the browser; every request and every complaint of it is kept."""

    def __init__(self, browser: Any, address: str, **about: Any) -> None:
        self.context = browser.new_context(**about)
        self.tab = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.tab.goto(address)

    def open(self, view: str) -> None:
        self.tab.click(f"#tab-{view}")
        self.answered()

    def answered(self) -> None:
        self.state("answered")
        self.tab.wait_for_selector("#answer *")

    def state(self, wanted: str) -> None:
        self.tab.wait_for_selector(f'#status[data-state="{wanted}"]')

    def type(self, name: str, text: str) -> None:
        """Put a text in, and wait for its answer."""
        self.tab.fill(f"[name={name}]", text)
        self.answered()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    page = Page(browser, address)
    yield page
    page.context.close()
    assert page.complaints == []


def test_every_view_answers_and_nothing_is_asked_outside(page: Page, address: str) -> None:
    page.answered()
    assert [tab.get_attribute("id") for tab in page.tab.query_selector_all("[role=tab]")] == [f"tab-{v}" for v in VIEWS]
    for view in VIEWS:
        page.open(view)
        assert page.tab.get_attribute(f"#tab-{view}", "aria-selected") == "true"
    assert all(url.startswith(address) for url in page.requests)


def test_a_click_on_a_bar_puts_the_word_in(page: Page) -> None:
    page.open("fill")
    page.type("text", "\U0001f600 a [MASK] c [MASK]")
    word = page.tab.inner_text(".card:nth-child(1) .bar span")
    page.tab.click(".card:nth-child(1) .bar")
    page.tab.wait_for_selector("#answer .card:only-child")
    joined = f"a{word[2:]}" if word.startswith("##") else f"a {word}"
    assert page.tab.input_value("[name=text]") == f"\U0001f600 {joined} c [MASK]"
    page.tab.fill("[name=text]", "nothing")
    page.state("idle")
    assert page.tab.inner_text("#status") == "Put a [MASK] where a word is missing."
    page.tab.click("[data-insert]")
    page.answered()
    assert page.tab.input_value("[name=text]") == "nothing[MASK]"


def test_spans_are_marked_where_they_stand(page: Page) -> None:
    """Characters that a browser counts twice stand before them."""
    page.open("tag")
    text = "\U0001f600\U0001f600 ab cd <b>ef</b>"
    page.type("text", text)
    page.tab.wait_for_selector("#answer .text")
    marks = page.tab.evaluate("[...document.querySelectorAll('mark')].map(mark => mark.firstChild.data)")
    assert marks
    assert all(mark in text for mark in marks)
    shown = page.tab.evaluate(
        "[...document.querySelector('#answer .text').childNodes].map(n => n.data ?? n.firstChild.data).join('')"
    )
    assert shown == text, "and no markup of the text becomes markup of the page"


def test_the_answer_is_marked_and_another_can_be_chosen(page: Page) -> None:
    page.open("answer")
    page.type("context", "ab cd ef gh")
    best = page.tab.query_selector_all("#answer .bar")
    best[-1].click()
    assert page.tab.inner_text("#answer mark") == best[-1].query_selector("span").inner_text()


def test_attention_by_keyboard(page: Page) -> None:
    page.open("attention")
    page.type("text", "ab c")
    assert page.tab.locator(".heads button").count() == 8
    page.tab.locator('.heads [aria-pressed="true"]').focus()
    page.tab.keyboard.press("ArrowRight")
    page.tab.keyboard.press("ArrowDown")
    assert page.tab.get_attribute('.heads [aria-pressed="true"]', "title") == "layer 2, head 2"
    assert page.tab.evaluate("document.activeElement.title") == "layer 2, head 2"
    assert page.tab.locator(".looks ol:first-child li").all_inner_texts() == ["[CLS]", "a", "##b", "c", "[SEP]"]
    every = page.tab.locator(".looks line").count()
    page.tab.locator(".looks li").first.focus()
    assert 0 < page.tab.locator(".looks line").count() < every


def test_tabs_by_keyboard(page: Page) -> None:
    page.answered()
    page.tab.focus("#tab-fill")
    for key, view in (
        ("ArrowRight", "classify"),
        ("End", "tokenize"),
        ("ArrowRight", "fill"),
        ("ArrowLeft", "tokenize"),
    ):
        page.tab.keyboard.press(key)
        assert page.tab.evaluate("document.activeElement.id") == f"tab-{view}"
    page.answered()
    assert page.tab.url.endswith("#tokenize")


def test_similarity_is_a_map(page: Page) -> None:
    page.open("similarity")
    page.type("texts", "a b\na b\nz")
    cells = page.tab.locator(".heat td:not(:empty)").all_inner_texts()
    assert (len(cells), cells[0], cells[1]) == (9, "1.00", "1.00")


def test_the_number_of_a_row_is_seen_however_long_its_text(page: Page) -> None:
    page.open("similarity")
    page.type("texts", "a\n" + "b " * 60)
    assert page.tab.evaluate("""() => [...document.querySelectorAll('.heat tbody th')].every(cell => {
        const number = cell.querySelector('.number').getBoundingClientRect(), box = cell.getBoundingClientRect();
        return number.width > 0 && number.left >= box.left && number.right <= box.right;
    })""")


def test_words_are_put_in_by_keyboard_one_after_the_other(page: Page) -> None:
    page.open("fill")
    page.type("text", "a [MASK] c [MASK]")
    page.tab.focus(".card:nth-child(1) .bar")
    page.tab.keyboard.press("Enter")
    page.tab.wait_for_selector("#answer .card:only-child")
    page.answered()
    assert page.tab.evaluate("document.activeElement.matches('#answer .bar')")
    page.tab.keyboard.press("Enter")
    page.state("idle")
    assert "[MASK]" not in page.tab.input_value("[name=text]")


def test_control_and_enter_ask_at_once(page: Page) -> None:
    page.open("classify")
    page.tab.focus("[name=text]")
    with page.tab.expect_response("**/classify"):
        page.tab.keyboard.press("Control+Enter")
    page.answered()


def test_the_model_that_was_chosen_stays_chosen(page: Page) -> None:
    page.open("classify")
    page.tab.select_option("#model", "multi")
    page.answered()
    page.open("fill")
    page.open("classify")
    assert page.tab.input_value("#model") == "multi"
    assert page.tab.inner_text("#about").startswith("multi:")


def test_what_is_typed_stays(page: Page) -> None:
    page.open("classify")
    page.type("text", "kept")
    page.open("pair")
    page.open("classify")
    assert page.tab.input_value("[name=text]") == "kept"


def test_light_and_dark(browser: Any, address: str) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = Page(browser, address, color_scheme="dark")
    page.answered()
    dark = page.tab.evaluate(ground)
    page.tab.click("#theme")
    light = page.tab.evaluate(ground)
    assert (dark, light) == ("rgb(20, 22, 28)", "rgb(247, 248, 251)")
    page.tab.reload()
    page.answered()
    assert page.tab.evaluate(ground) == light, "it is remembered"
    page.context.close()


@pytest.mark.parametrize("view", VIEWS)
def test_on_a_phone_nothing_is_wider_than_the_screen(browser: Any, address: str, view: str) -> None:
    page = Page(browser, f"{address}/#{view}", viewport={"width": 360, "height": 740}, has_touch=True)
    page.answered()
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 360
    page.context.close()


def test_a_fault_is_told(browser: Any, address: str) -> None:
    page = Page(browser, address)
    page.open("attention")
    page.tab.fill("[name=text]", "a " * 200)
    page.state("bad")
    assert page.tab.inner_text("#status") == "202 tokens; the attention of 128 is shown at most"
    page.context.close()


def test_the_page_asks_for_the_key(browser: Any, homes: dict[str, Path]) -> None:
    for address in listening(Server({"m": homes["pretrained"]}, keys=[KEY], engine="torch", log=Log(io.StringIO()))):
        page = Page(browser, address)
        page.tab.wait_for_selector("#key:not([hidden])")
        page.tab.fill("[name=key]", KEY)
        page.tab.keyboard.press("Enter")
        page.answered()
        assert page.tab.is_hidden("#key")
        assert KEY not in json.dumps(page.requests)
        page.context.close()
