"""Takes the pictures of the page in docs/serving, in a headless Chromium.

    python docs/serving/draw.py guesses=DIR sentiment=DIR names=DIR answers=DIR sentences=DIR

The five are a pretrained model, a classifier, a tagger, a model that answers and a sentence encoder; a view without a
model is left out. Each view shows the example that the page comes with.
"""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from bertwright.serving.app import Server
from bertwright.serving.models import named_paths

HERE = Path(__file__).parent
# View: its theme, and the model that is chosen for it.
VIEWS = {
    "fill": ("light", "guesses"),
    "classify": ("light", "sentiment"),
    "tag": ("light", "names"),
    "answer": ("dark", "answers"),
    "similarity": ("dark", "sentences"),
    "attention": ("light", "sentences"),
    "tokenize": ("light", "sentences"),
}
# Of MiniLM, the encoder that the book's pictures are of: a head in which articles attend to their nouns.
HEAD = "layer 3, head 9"
DESK, PHONE = {"width": 900, "height": 560}, {"width": 390, "height": 844}


@contextmanager
def listening(server: Server) -> Iterator[str]:
    """The address of a server that runs beside the block."""
    with socket.create_server(("127.0.0.1", 0)) as place:
        running = uvicorn.Server(uvicorn.Config(server.app, log_config=None, access_log=False))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [place]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            running.should_exit = True
            thread.join()


def main(named: list[str]) -> None:
    """Take all pictures that these models allow."""
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    models = named_paths(named)
    wanted = {view: about for view, about in VIEWS.items() if about[1] in models}
    with listening(Server(models)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        for name, view, theme, size in (
            *((view, view, theme, DESK) for view, (theme, _) in wanted.items()),
            *([("phone", "answer", "light", PHONE)] if "answer" in wanted else []),
        ):
            about: dict[str, Any] = {"viewport": size, "color_scheme": theme}
            page = browser.new_context(**about).new_page()
            page.goto(f"{address}/#{view}")
            page.wait_for_selector('#status[data-state="answered"]')
            page.select_option("#model", wanted[view][1])
            # Once more, so that the time that is shown is not that of the first answer.
            for _ in range(2):
                with page.expect_response(f"**/{view}"):
                    page.locator("#form [name]").first.focus()
                    page.keyboard.press("Control+Enter")
                page.wait_for_selector('#status[data-state="answered"]')
            if view == "attention":
                page.click(f'[aria-label="{HEAD}"]')
            page.evaluate("document.activeElement.blur()")
            page.screenshot(path=str(HERE / f"{name}.png"), full_page=True)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
