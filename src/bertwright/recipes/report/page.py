"""Runs as one HTML page that needs nothing else: no script, no font, no file beside it.

Every plot stands there once for each horizontal axis, and the choice of the axis is radio buttons and CSS: the page
forbids scripts, for names and settings in it come from files that someone else may have written.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from bertwright.recipes.report.panels import (
    FREQUENCY,
    FREQUENCY_OVER,
    AxisName,
    Panel,
    axes_of,
    curve_panels,
    frequency_panels,
)
from bertwright.recipes.report.plot import DARK, LIGHT, key
from bertwright.recipes.report.runs import LONGEST_NAME, RunRecord
from bertwright.recipes.report.tables import Table, differences, events, final_figures
from bertwright.recipes.report.thinning import MOST_POINTS
from bertwright.text.characters import printable
from bertwright.version import VERSION

# By this a report knows its own kind, which it may replace.
GENERATOR = '<meta name="generator" content="bertwright report">'
_AXES: dict[AxisName, str] = {"steps": "steps", "seconds": "time", "tokens": "tokens seen"}
_BANDS = (
    "Hidden words of the held-out text, in bands by how often a word stands in the training text. The unigram baseline "
    "(dashed) knows only that, and always guesses the most frequent word."
)
_CHOSEN = "color: var(--ink); font-weight: 600; border-color: var(--axis);"
_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2125; --soft: #5f6872; --line: #d9dde1; --grid: #e6e9ec;
  --axis: #b4bbc2; --level: #7a828a; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e7ea; --soft: #9aa4ae; --line: #363c42;
  --grid: #262b30; --axis: #4b535b; --level: #8b949d; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 68rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p.under { color: var(--soft); margin: .2rem 0 1rem; }
.bar { position: sticky; top: 0; z-index: 1; background: var(--paper); border-bottom: 1px solid var(--line);
  padding: .5rem 0; display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; }
.bar .run { white-space: nowrap; } .bar .axes { margin-left: auto; color: var(--soft); }
.bar label { cursor: pointer; padding: .1rem .45rem; border: 1px solid transparent; border-radius: 4px; }
input.axis { position: fixed; opacity: 0; pointer-events: none; }
.along { display: none; } .plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr));
  gap: 1.4rem 2rem; }
.plots.small { grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem 1.4rem; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: .9rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
figcaption b { color: var(--ink); font-weight: 600; }
figure svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg text.over { paint-order: stroke; stroke: var(--paper); stroke-width: 3px; stroke-linejoin: round; }
svg.key { vertical-align: -.1rem; margin-right: .35rem; }
svg .grid { stroke: var(--grid); } svg .axis { stroke: var(--axis); } svg .level { stroke: var(--level); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: .22rem 1.1rem .22rem 0; text-align: left; vertical-align: top; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.figure { white-space: normal; max-width: 8rem; } td.figure span { color: var(--soft); font-size: .85rem; }
tr { border-bottom: 1px solid var(--line); } th { font-weight: 600; vertical-align: bottom; }
td { overflow-wrap: anywhere; } td.name { white-space: nowrap; }
ul.notes { color: var(--soft); padding-left: 1.1rem; } details { margin-top: 1rem; } summary { cursor: pointer; }
footer { color: var(--soft); margin-top: 3rem; font-size: .85rem; }
@media print { .bar { position: static; } }
"""


def page(runs: Sequence[RunRecord]) -> str:
    """The whole page."""
    axes = axes_of(runs)
    title = escape(printable(", ".join(run.name for run in runs), 120))
    curves, frequency = curve_panels(runs), frequency_panels(runs)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8">{GENERATOR}',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}: report</title><style>{_STYLE}{_colours()}{_choice_style(axes)}</style></head><body>",
        *(_button(name, checked=number == 0) for number, name in enumerate(axes)),
        f'<h1>{title}</h1><p class="under">{escape(_under(runs))}</p>',
        _bar(runs, axes),
        "<h2>Final figures</h2>",
        _table(final_figures(runs), runs),
        _section("Learning", curves),
        _section(FREQUENCY, frequency, about=_BANDS),
        _section(FREQUENCY_OVER, frequency, about="Dashed: the unigram baseline.", kind="plots small"),
        *(_section(name, curves) for name in ("Pace", "Other figures")),
        *_events(runs),
        *_recipes(runs),
        *_notes(runs, [*curves, *frequency]),
        f"<footer>bertwright {VERSION} report. Words are tokens of the vocabulary; losses are in nats.</footer>",
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def _under(runs: Sequence[RunRecord]) -> str:
    told = f"{len(runs)} runs" if len(runs) > 1 else "one run"
    return f"{told}, {sum(run.reports for run in runs):,} reports, up to step {max(run.last_step for run in runs):,}"


def _colours() -> str:
    """The runs' colours, on light and on dark paper."""
    light = "".join(f" --c{number}: {colour};" for number, colour in enumerate(LIGHT))
    dark = "".join(f" --c{number}: {colour};" for number, colour in enumerate(DARK))
    used = "".join(
        f".s{number} {{ stroke: var(--c{number}); }} .f{number} {{ fill: var(--c{number}); }} "
        for number in range(len(LIGHT))
    )
    return f":root {{{light} }} @media (prefers-color-scheme: dark) {{ :root {{{dark} }} }}\n{used}\n"


def _choice_style(axes: Sequence[AxisName]) -> str:
    rules = []
    for name in axes:
        label = f".bar label[for=axis-{name}]"
        rules.append(f"#axis-{name}:checked ~ .plots .along-{name} {{ display: block; }}")
        rules.append(f"#axis-{name}:checked ~ {label} {{ {_CHOSEN} }}")
        rules.append(f"#axis-{name}:focus-visible ~ {label} {{ outline: 2px solid var(--c0); }}")
    return "\n".join(rules)


def _button(name: AxisName, *, checked: bool) -> str:
    state = " checked" if checked else ""
    return f'<input class="axis" type="radio" name="axis" id="axis-{name}"{state} aria-label="over {_AXES[name]}">'


def _bar(runs: Sequence[RunRecord], axes: Sequence[AxisName]) -> str:
    """Which line is whose, and over what the curves are drawn."""
    told = "".join(f'<span class="run">{_named(run, number)}</span>' for number, run in enumerate(runs))
    choice = "".join(f'<label for="axis-{name}">{_AXES[name]}</label>' for name in axes)
    choice = f'<span class="axes">over {choice}</span>' if len(axes) > 1 else ""
    return f'<div class="bar">{told}{choice}</div>'


def _named(run: RunRecord, number: int) -> str:
    return f"{key(number)}{escape(run.name)}"


def _section(name: str, panels: Sequence[Panel], *, about: str = "", kind: str = "plots") -> str:
    drawn = "".join(_figure(panel) for panel in panels if panel.section == name and (panel.drawings or panel.overall))
    told = f'<p class="under">{about}</p>' if about else ""
    return f'<h2>{name}</h2>{told}<div class="{kind}">{drawn}</div>' if drawn else ""


def _figure(panel: Panel) -> str:
    drawings = "".join(f'<div class="along along-{name}">{svg}</div>' for name, svg in panel.drawings.items())
    if panel.overall:
        drawings = panel.overall
    more = f" {escape(panel.more)}" if panel.more else ""
    return f"<figure><figcaption><b>{escape(panel.title)}</b>{more}</figcaption>{drawings}</figure>"


def _events(runs: Sequence[RunRecord]) -> list[str]:
    table = events(runs)
    return ["<h2>What happened</h2>", _table(table, runs)] if table.rows else []


def _recipes(runs: Sequence[RunRecord]) -> list[str]:
    different, common = differences(runs)
    folded = f"<details><summary>%s</summary>{_table(common, runs)}</details>"
    if len(runs) == 1:
        return ["<h2>Recipe</h2>", folded % f"all {len(common.rows)} settings"]
    told = _table(different, runs) if different.rows else "<p>All settings and the data are the same.</p>"
    same = folded % f"{len(common.rows)} settings that all runs share" if common.rows else ""
    return ["<h2>How the recipes differ</h2>", told, same]


def _notes(runs: Sequence[RunRecord], panels: Sequence[Panel]) -> list[str]:
    notes = []
    if any(panel.thinned for panel in panels):
        notes.append(
            f"Curves of more than {MOST_POINTS} reports are drawn as {MOST_POINTS} means of equal stretches; the pale "
            "band goes from the lowest to the highest value of each."
        )
    for run in runs:
        if run.left_out:
            notes.append(f"{run.name}: {run.left_out:,} lines of metrics.jsonl are no reports, and were left out.")
        for figure, times in run.not_finite.items():
            what = printable(figure, LONGEST_NAME)
            notes.append(f"{run.name}: {what} was infinite or no number in {times:,} reports, and is not drawn there.")
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return ["<h2>Notes</h2>", f'<ul class="notes">{items}</ul>'] if notes else []


def _table(table: Table, runs: Sequence[RunRecord]) -> str:
    """A table of text; the first column names, and figures stand to the right where rows are runs."""
    kind = ' class="figure"' if table.run_rows else ""
    head = []
    for column, cell in enumerate(table.header):
        named = table.run_columns and column
        told = _named(runs[column - 1], column - 1) if named else escape(cell)
        head.append(f"<th{kind if column else ''}>{told}</th>")
    rows = []
    for number, row in enumerate(table.rows):
        first = _named(runs[number], number) if table.run_rows else escape(printable(row[0], 120))
        cells = "".join(f"<td{kind}>{_cell(cell)}</td>" for cell in row[1:])
        rows.append(f'<tr><td class="name">{first}</td>{cells}</tr>')
    return f'<div class="wide"><table><tr>{"".join(head)}</tr>{"".join(rows)}</table></div>'


def _cell(content: str) -> str:
    first, _, second = content.partition("\n")
    return f"{escape(first)}<br><span>{escape(second)}</span>" if second else escape(first)
