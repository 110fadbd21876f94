"""Line plots as SVG: several runs over one another, told apart by colour, by dashes and by the shape of their marks.

Colours are in the page's style sheet, for light and dark; the attributes beside the classes say the light ones again,
for a plot that is taken out of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from bertwright.recipes.report.scales import Scale
from bertwright.recipes.report.thinning import Curve

# Wong's colours for the colour-blind, his yellow left out (too pale on white); then the same on dark paper.
LIGHT = ("#0072b2", "#d55e00", "#00805f", "#a8438a", "#8a6a00", "#4a5560")
DARK = ("#56b4e9", "#ff9a4d", "#3ccfa4", "#e79ac9", "#e6c35c", "#b9c3cd")
# Six colours, five dashes and seven marks: they come together again with the 211th run.
_DASHES = ("", "7 3", "2 2.5", "9 3 2 3", "14 4")
_MARKS: tuple[Callable[[float, float], str], ...] = (
    lambda x, y: f"M{x - 3:.1f} {y:.1f}a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
    lambda x, y: f"M{x - 2.8:.1f} {y - 2.8:.1f}h5.6v5.6h-5.6z",
    lambda x, y: f"M{x:.1f} {y - 3.6:.1f}l3.4 6h-6.8z",
    lambda x, y: f"M{x:.1f} {y - 4:.1f}l4 4l-4 4l-4 -4z",
    lambda x, y: f"M{x:.1f} {y + 3.6:.1f}l3.4 -6h-6.8z",
    lambda x, y: f"M{x - 4:.1f} {y - 1.2:.1f}h8v2.4h-8z",
    lambda x, y: f"M{x - 1.2:.1f} {y - 4:.1f}h2.4v8h-2.4z",
)

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 16, 40
_LEVEL = 'class="level" fill="none" stroke="#7a828a" stroke-width="1.2" stroke-dasharray="4 3"'
_RULES = {"grid": 'class="grid" stroke="#e6e9ec"', "axis": 'class="axis" stroke="#b4bbc2"', "level": _LEVEL}
_PLAIN = 'font-family="sans-serif" font-size="11" fill="#5f6872"'


@dataclass(frozen=True, slots=True)
class Line:
    """A curve of run number `run`. `marked`: its points are few and measured, and each bears the run's mark."""

    run: int
    name: str
    curve: Curve
    marked: bool = False


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened in run number `run` at a place of the horizontal axis."""

    run: int
    place: float
    what: str


@dataclass(frozen=True, slots=True)
class Level:
    """A value to compare with."""

    value: float
    name: str


@dataclass(frozen=True, slots=True)
class Size:
    """A plot in pixels; `under` is the room below its horizontal axis."""

    width: int = 460
    height: int = 236
    under: int = _BOTTOM

    @property
    def bottom(self) -> int:
        """Where the horizontal axis lies."""
        return self.height - self.under

    def x(self, share: float) -> float:
        """Pixels from the left, of a share of the horizontal axis."""
        return _LEFT + (self.width - _LEFT - _RIGHT) * share

    def y(self, share: float) -> float:
        """Pixels from the top, of a share of the vertical axis."""
        return self.bottom - (self.bottom - _TOP) * share


WIDE, SMALL, _GROUPED = Size(), Size(300, 176), Size(460, 252, 56)


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale, what it measures, and how its numbers are told."""

    scale: Scale
    title: str
    tell: Callable[[float], str]


def plot(
    horizontal: Axis,
    vertical: Axis,
    lines: Sequence[Line],
    levels: Sequence[Level] = (),
    moments: Sequence[Moment] = (),
    size: Size = WIDE,
) -> str:
    """Curves over a common axis; all that is text is escaped here. A small plot has no room for names of levels."""

    def x(place: float) -> float:
        return size.x(horizontal.scale.share(place))

    def y(value: float) -> float:
        return size.y(vertical.scale.share(value))

    drawn = [*_heights(vertical, size), *_places(horizontal, size)]
    drawn += [
        _rule(_LEFT, size.width - _RIGHT, y(level.value), y(level.value), "level", level.name) for level in levels
    ]
    # What was measured lies over what training tells, whichever run it is of; names lie over all.
    for line in sorted(lines, key=lambda line: line.marked):
        drawn.append(_line(line, x, y, vertical.tell, horizontal))
    for level in (level for level in levels if size is WIDE):
        height = y(level.value) + _side(y(level.value), lines, x, y, size)
        drawn.append(_text(size.width - _RIGHT - 2, height, level.name, "end", "over"))
    drawn += _moments(moments, x, size.bottom)
    return svg(size, "".join(drawn), f"{vertical.title} over {horizontal.title}")


def grouped_plot(
    labels: Sequence[tuple[str, str]],
    title: str,
    vertical: Axis,
    lines: Sequence[tuple[int, str, Sequence[float | None]]],
    level: tuple[str, Sequence[float]],
) -> str:
    """Values of groups side by side.

    labels: two lines a group. lines: run, name, and a value a group, None where it has none. level: to compare with.
    """
    size = _GROUPED

    def x(group: float) -> float:
        return size.x((group + 0.5) / len(labels))

    def y(value: float) -> float:
        return size.y(vertical.scale.share(value))

    drawn = _heights(vertical, size)
    for number, (label, under) in enumerate(labels):
        drawn.append(_text(x(number), size.bottom + 15, label, "middle"))
        drawn.append(_text(x(number), size.bottom + 29, under, "middle"))
    drawn.append(_text(size.x(0.5), size.height - 5, title, "middle"))
    name, values = level
    points = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in enumerate(values))
    drawn.append(f'<g><title>{escape(name)}</title><polyline {_LEVEL} points="{points}"/></g>')
    for run, run_name, measured in lines:
        groups = np.array([number for number, value in enumerate(measured) if value is not None], dtype=np.float64)
        known = np.array([value for value in measured if value is not None], dtype=np.float64)
        line = Line(run, run_name, Curve(groups, known, known, known, len(known)), marked=True)
        drawn.append(_line(line, x, y, vertical.tell, None))
    return svg(size, "".join(drawn), f"{vertical.title} of {title}")


def key(run: int) -> str:
    """A run's line and mark, to stand beside its name."""
    line = f'<line x1="1" x2="43" y1="7" y2="7" {_stroke(run)} stroke-width="2"/>'
    size = 'width="44" height="14" viewBox="0 0 44 14"'
    return f'<svg class="key" {size} aria-hidden="true">{line}{_mark(run, 22, 7)}</svg>'


def svg(size: Size, content: str, title: str) -> str:
    """A picture with a name for those who cannot see it."""
    box = f"0 0 {size.width} {size.height}"
    return f'<svg viewBox="{box}" role="img" aria-label="{escape(title)}" {_PLAIN}>{content}</svg>'


def _heights(axis: Axis, size: Size) -> list[str]:
    drawn = []
    for tick in axis.scale.ticks:
        height = size.y(axis.scale.share(tick))
        drawn.append(_rule(_LEFT, size.width - _RIGHT, height, height, "grid"))
        drawn.append(_text(_LEFT - 7, height + 3.8, axis.tell(tick), "end"))
    return [*drawn, _rule(_LEFT, size.width - _RIGHT, size.bottom, size.bottom, "axis")]


def _places(axis: Axis, size: Size) -> list[str]:
    drawn = []
    for tick in axis.scale.ticks:
        place = size.x(axis.scale.share(tick))
        drawn.append(_rule(place, place, size.bottom, size.bottom + 4, "axis"))
        drawn.append(_text(place, size.bottom + 16, axis.tell(tick), "middle"))
    return [*drawn, _text(size.x(0.5), size.height - 6, axis.title, "middle")]


def _side(
    height: float, lines: Sequence[Line], x: Callable[[float], float], y: Callable[[float], float], size: Size
) -> float:
    """Where the name of a level stands, above its line or below: where fewer points of curves are."""
    if height + 16 > size.bottom:
        return -4
    above = below = 0
    for line in lines:
        for place, value in zip(line.curve.places.tolist(), line.curve.means.tolist(), strict=True):
            if x(place) > size.x(0.75):
                above += height - 16 < y(value) <= height
                below += height <= y(value) < height + 16
    return -4 if above <= below else 12


def _line(
    line: Line,
    x: Callable[[float], float],
    y: Callable[[float], float],
    tell: Callable[[float], str],
    axis: Axis | None,
) -> str:
    curve = line.curve
    if not len(curve.places):
        return ""
    places = [f"{x(place):.1f}" for place in curve.places.tolist()]
    heights = [y(value) for value in curve.means.tolist()]
    drawn = [f"<title>{escape(line.name)}: {escape(tell(float(curve.means[-1])))} at the end</title>"]
    if curve.thinned:
        upper = [f"{place},{y(value):.1f}" for place, value in zip(places, curve.highest.tolist(), strict=True)]
        lower = [f"{place},{y(value):.1f}" for place, value in zip(places, curve.lowest.tolist(), strict=True)]
        drawn.append(f'<polygon {_fill(line.run)} fill-opacity=".15" points="{" ".join([*upper, *reversed(lower)])}"/>')
    if len(places) > 1:
        points = " ".join(f"{place},{height:.1f}" for place, height in zip(places, heights, strict=True))
        width, opacity = ("2", "1") if line.marked else ("1.2", ".75")
        drawn.append(
            f'<polyline fill="none" {_stroke(line.run)} stroke-width="{width}" stroke-opacity="{opacity}" '
            f'stroke-linejoin="round" points="{points}"/>'
        )
    if line.marked or len(places) == 1:
        every = max(1, len(places) // 40)
        for number in {*range(0, len(places), every), len(places) - 1}:
            place, value = float(curve.places[number]), float(curve.means[number])
            at = "" if axis is None else f" at {axis.title} {axis.tell(place)}"
            told = escape(f"{line.name}{at}: {tell(value)}")
            drawn.append(f"<g><title>{told}</title>{_mark(line.run, float(places[number]), heights[number])}</g>")
    return f"<g>{''.join(drawn)}</g>"


def _moments(moments: Sequence[Moment], x: Callable[[float], float], bottom: int) -> list[str]:
    """Triangles above the curves; of those that would cover each other, one."""
    drawn: dict[tuple[int, int], str] = {}
    for moment in moments:
        place = x(moment.place)
        triangle = f'<path {_fill(moment.run)} d="M{place - 4:.1f} 3h8l-4 7z"/>'
        rule = f'x1="{place:.1f}" x2="{place:.1f}" y1="10" y2="{bottom}" stroke-width=".8" stroke-opacity=".25"'
        drawn.setdefault(
            (moment.run, round(place / 4)),
            f"<g><title>{escape(moment.what)}</title>{triangle}<line {_stroke(moment.run, dashed=False)} {rule}/></g>",
        )
    return list(drawn.values())


def _mark(run: int, x: float, y: float) -> str:
    return f'<path {_fill(run)} d="{_MARKS[run % len(_MARKS)](x, y)}"/>'


def _stroke(run: int, *, dashed: bool = True) -> str:
    colour = run % len(LIGHT)
    dashes = _DASHES[run % len(_DASHES)] if dashed else ""
    return f'class="s{colour}" stroke="{LIGHT[colour]}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")


def _fill(run: int) -> str:
    colour = run % len(LIGHT)
    return f'class="f{colour}" fill="{LIGHT[colour]}"'


def _rule(x1: float, x2: float, y1: float, y2: float, kind: str, name: str = "") -> str:
    told = f"<title>{escape(name)}</title>" if name else ""
    place = f'x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"'
    return f"<line {_RULES[kind]} {place}>{told}</line>" if told else f"<line {_RULES[kind]} {place}/>"


def _text(x: float, y: float, content: str, anchor: str, kind: str = "") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text{named} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
