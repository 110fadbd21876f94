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

WIDTH, HEIGHT = 460, 236
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 16, 40
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
) -> str:
    """Curves over a common axis; all that is text is escaped here."""

    def x(place: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * horizontal.scale.share(place)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * vertical.scale.share(value)

    drawn = [*_grid(horizontal, vertical, x, y)]
    drawn += [_level(level, y(level.value)) for level in levels]
    # What was measured lies over what training tells, whichever run it is of.
    for line in sorted(lines, key=lambda line: line.marked):
        drawn.append(_line(line, x, y, vertical.tell, horizontal))
    drawn += _moments(moments, x)
    return svg(WIDTH, HEIGHT, "".join(drawn), f"{vertical.title} over {horizontal.title}")


def bands_plot(
    labels: Sequence[tuple[str, str]], vertical: Axis, lines: Sequence[tuple[int, str, Sequence[float | None]]],
    level: tuple[str, Sequence[float]],
) -> str:  # fmt: skip
    """Values of groups side by side.

    labels: two lines each. lines: run, name, and a value a group, None where it has none. level: to compare.
    """
    room = (WIDTH - _LEFT - _RIGHT) / len(labels)

    def x(place: float) -> float:
        return _LEFT + room * (place + 0.5)

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * vertical.scale.share(value)

    nothing = Axis(Scale(0, 1, ()), "", str)
    drawn = [*_grid(nothing, vertical, x, y)]
    for number, (label, under) in enumerate(labels):
        drawn.append(_text(x(number), HEIGHT - _BOTTOM + 15, label, "middle"))
        drawn.append(_text(x(number), HEIGHT - _BOTTOM + 29, under, "middle"))
    name, values = level
    points = " ".join(f"{x(number):.1f},{y(value):.1f}" for number, value in enumerate(values))
    drawn.append(
        f'<g><title>{escape(name)}</title><polyline class="level" fill="none" stroke="#7a828a" stroke-width="1.2" '
        f'stroke-dasharray="4 3" points="{points}"/></g>'
    )
    for run, run_name, measured in lines:
        places = np.array([number for number, value in enumerate(measured) if value is not None], dtype=np.float64)
        known = np.array([value for value in measured if value is not None], dtype=np.float64)
        line = Line(run, run_name, Curve(places, known, known, known, len(known)), marked=True)
        drawn.append(_line(line, x, y, vertical.tell, None))
    return svg(WIDTH, HEIGHT, "".join(drawn), f"{vertical.title} by word frequency")


def key(run: int) -> str:
    """A run's line and mark, to stand beside its name."""
    line = f'<line x1="1" x2="43" y1="7" y2="7" {_stroke(run)} stroke-width="2"/>'
    size = 'width="44" height="14" viewBox="0 0 44 14"'
    return f'<svg class="key" {size} aria-hidden="true">{line}{_mark(run, 22, 7)}</svg>'


def svg(width: int, height: int, content: str, title: str) -> str:
    """A picture with a name for those who cannot see it."""
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}" {_PLAIN}>{content}</svg>'


def _grid(horizontal: Axis, vertical: Axis, x: Callable[[float], float], y: Callable[[float], float]) -> list[str]:
    drawn = []
    bottom = HEIGHT - _BOTTOM
    for tick in vertical.scale.ticks:
        drawn.append(_rule(_LEFT, WIDTH - _RIGHT, y(tick), y(tick), "grid"))
        drawn.append(_text(_LEFT - 7, y(tick) + 3.8, vertical.tell(tick), "end"))
    for tick in horizontal.scale.ticks:
        drawn.append(_rule(x(tick), x(tick), bottom, bottom + 4, "axis"))
        drawn.append(_text(x(tick), bottom + 16, horizontal.tell(tick), "middle"))
    drawn.append(_rule(_LEFT, WIDTH - _RIGHT, bottom, bottom, "axis"))
    if horizontal.title:
        drawn.append(_text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, horizontal.title, "middle"))
    return drawn


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


def _level(level: Level, y: float) -> str:
    return (
        f'<g><title>{escape(level.name)}</title><line class="level" stroke="#7a828a" stroke-width="1.2" '
        f'stroke-dasharray="4 3" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f"{_text(WIDTH - _RIGHT - 2, y - 4, level.name, 'end')}</g>"
    )


def _moments(moments: Sequence[Moment], x: Callable[[float], float]) -> list[str]:
    """Triangles above the curves; of those that would cover each other, one."""
    drawn: dict[tuple[int, int], str] = {}
    for moment in moments:
        place = x(moment.place)
        drawn.setdefault(
            (moment.run, round(place / 4)),
            f"<g><title>{escape(moment.what)}</title><path {_fill(moment.run)} "
            f'd="M{place - 4:.1f} 3h8l-4 7z"/><line {_stroke(moment.run, dashed=False)} stroke-opacity=".3" '
            f'x1="{place:.1f}" x2="{place:.1f}" y1="10" y2="{HEIGHT - _BOTTOM}"/></g>',
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


def _rule(x1: float, x2: float, y1: float, y2: float, kind: str) -> str:
    colour = "#e6e9ec" if kind == "grid" else "#b4bbc2"
    return f'<line class="{kind}" stroke="{colour}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, content: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(content)}</text>'
