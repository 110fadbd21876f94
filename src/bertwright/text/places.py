"""Places in files (file:line) in eight bytes each, so that millions can be remembered."""

from __future__ import annotations

_ROW = "row "
_LINE_BITS = 40


class Places:
    """Turns places into numbers and back; those of one file are to come one after the other."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self._rows: set[int] = set()

    def number(self, where: str) -> int:
        """The number of a place such as `corpus.txt:17` or `corpus.parquet:row 17`."""
        file, _, line = where.rpartition(":")
        if not self.files or self.files[-1] != file:
            self.files.append(file)
        last = len(self.files) - 1
        if line.startswith(_ROW):
            self._rows.add(last)
            line = line.removeprefix(_ROW)
        return (last << _LINE_BITS) | int(line)

    def tell(self, number: int) -> str:
        """The place of a number."""
        file, line = number >> _LINE_BITS, number & ((1 << _LINE_BITS) - 1)
        return f"{self.files[file]}:{_ROW if file in self._rows else ''}{line}"
