"""An HTML page taken apart, for the tests of the doctor's and of the report."""

from __future__ import annotations

from html.parser import HTMLParser


class Tags(HTMLParser):
    """Which tags stand in a page, its text, and whether all are closed in order."""

    EMPTY = frozenset({"meta", "br", "rect", "line", "path", "polyline", "polygon", "input"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  # as HTMLParser calls it
        self.seen.append(tag)
        # In SVG a line may hold its title; in HTML these never hold anything.
        if tag not in self.EMPTY or (tag == "line" and "svg" in self.open):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:  # noqa: ARG002  # as HTMLParser calls it
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
