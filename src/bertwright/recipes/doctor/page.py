"""A diagnosis as one HTML page that needs nothing else: no script, no font, no file beside it.

The plots are SVG in the page itself, so that they are sharp at any size and follow the reader's light or dark colours,
and no plotting library is needed. Everything that comes out of the corpus is escaped, and the page forbids scripts.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from bertwright.recipes.doctor.diagnosis import Diagnosis
from bertwright.recipes.doctor.estimates import Timing
from bertwright.recipes.doctor.findings import Finding
from bertwright.recipes.doctor.measures import Spread
from bertwright.recipes.doctor.summary import Table, about, headline, scripts_shown, tables
from bertwright.text.characters import printable
from bertwright.version import VERSION

_WIDTH, _HEIGHT, _BOTTOM = 420, 170, 34
_BAR_WIDTH, _BAR_HEIGHT, _LABEL_WIDTH = 420, 22, 120
_LONGEST_TITLE = 120

_STYLE = """
:root { color-scheme: light dark; --paper: #fdfdfc; --ink: #1d2125; --soft: #5f6872; --line: #d9dde1; --bar: #3b6ea8;
  --other: #c98b2b; --error: #b3261e; --warning: #8a5a00; --note: #3f5f7f; --card: #f3f4f5; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181b; --ink: #e4e7ea; --soft: #9aa4ae; --line: #363c42;
  --bar: #7aa9dd; --other: #e0ad5a; --error: #ff8a80; --warning: #f0b95b; --note: #9cc0e4; --card: #1e2226; } }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p.under { color: var(--soft); margin: .2rem 0 1.4rem; }
ul.findings { list-style: none; padding: 0; }
ul.findings li { background: var(--card); border-left: 4px solid var(--note); border-radius: 4px; margin: .6rem 0;
  padding: .6rem .9rem; overflow-wrap: anywhere; }
li.error { border-color: var(--error) !important; } li.warning { border-color: var(--warning) !important; }
.grade { font-weight: 600; color: var(--note); } .error .grade { color: var(--error); }
.warning .grade { color: var(--warning); }
.cure { color: var(--soft); } .cure b { color: var(--ink); font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem 2rem; }
figure { margin: 0; } figcaption { color: var(--soft); font-size: .9rem; margin-bottom: .2rem; }
figcaption b { color: var(--ink); font-weight: 600; }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; }
svg .bar { fill: var(--bar); } svg .other { fill: var(--other); } svg .axis { stroke: var(--line); }
svg text.value { fill: var(--ink); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } td, th { padding: .18rem .9rem .18rem 0; text-align: left; vertical-align: top; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
tr { border-bottom: 1px solid var(--line); } th { font-weight: 600; } td.words { color: var(--soft); }
td { overflow-wrap: anywhere; } td:first-child { white-space: pre-wrap; }
footer { color: var(--soft); margin-top: 3rem; font-size: .85rem; }
"""
_BAR, _MEDIAN_BAR = 'class="bar" fill="#3b6ea8"', 'class="bar other" fill="#c98b2b"'


def page(diagnosis: Diagnosis) -> str:
    """The whole page."""
    m = diagnosis.measures
    title = escape(printable(" ".join(diagnosis.sources), _LONGEST_TITLE))
    under = f"{m.documents:,} documents, {m.sentences:,} sentences, {m.tokens:,} {m.unit}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{title}: {escape(headline(diagnosis))}</title><style>{_STYLE}</style></head><body>",
        f'<h1>{title}</h1><p class="under">{under}</p>',
        f"<h2>Findings: {escape(headline(diagnosis))}</h2>",
        _findings(diagnosis.findings),
        "<h2>Lengths and letters</h2>",
        _plots(diagnosis),
        *map(_table, tables(diagnosis)),
        f"<footer>bertwright {VERSION} doctor. Counts are exact unless called estimates, which are rough.</footer>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _findings(findings: Iterable[Finding]) -> str:
    items = [
        f'<li class="{finding.grade}"><span class="grade">{finding.grade}: {escape(finding.name)}</span><br>'
        f'{escape(finding.what)}<br><span class="cure"><b>What to do:</b> {escape(finding.cure)}</span></li>'
        for finding in findings
    ]
    return f'<ul class="findings">{"".join(items)}</ul>' if items else "<p>Not even a note.</p>"


def _plots(diagnosis: Diagnosis) -> str:
    m = diagnosis.measures
    scripts = [(script, share, f"{share:.2%}") for script, _, share in scripts_shown(m)]
    figures = [
        _figure(f"{m.unit} in a sentence", _spread_line(m.sentence_lengths), _histogram(m.sentence_lengths)),
        _figure("sentences in a document", _spread_line(m.document_sentences), _histogram(m.document_sentences)),
        _figure(f"{m.unit} in a document", _spread_line(m.document_lengths), _histogram(m.document_lengths)),
        _figure("letters by script", "", _shares(scripts)),
    ]
    if m.pairs:
        shares = [
            ("pretraining here", m.pairs.is_next, f"{m.pairs.is_next:.1%}"),
            ("original code", m.pairs.original_is_next, f"{m.pairs.original_is_next:.1%}"),
        ]
        figures.append(_figure("true next sentences", "share of all pairs", _shares(shares)))
    if diagnosis.timing and m.pairs:
        figures.append(
            _figure(
                "an epoch of pretraining", f"about, on {diagnosis.timing.device}", _shares(_epochs(diagnosis.timing))
            )
        )
    return f'<div class="plots">{"".join(figures)}</div>'


def _figure(title: str, more: str, svg: str) -> str:
    return f"<figure><figcaption><b>{escape(title)}</b> {escape(more)}</figcaption>{svg}</figure>"


def _spread_line(spread: Spread) -> str:
    return f"median {spread.median:,}, 95% up to {spread.p95:,}, longest {spread.longest:,}"


def _histogram(spread: Spread) -> str:
    """Bars by doublings; the one that holds the median stands out."""
    bins = spread.histogram
    if not bins:
        return ""
    highest = max(count for _, _, count in bins)
    step = _WIDTH / len(bins)
    room = _HEIGHT - _BOTTOM - 14
    drawn = []
    for number, (low, high, count) in enumerate(bins):
        height = room * count / highest
        x, y = number * step, _HEIGHT - _BOTTOM - height
        span = f"{low:,}" if low == high else f"{low:,}-{high:,}"
        kind = _MEDIAN_BAR if low <= spread.median <= high else _BAR
        drawn.append(
            f'<g><title>{span}: {count:,} ({count / spread.count:.1%})</title><rect {kind} x="{x + 1:.1f}" '
            f'y="{y:.1f}" width="{step - 2:.1f}" height="{height:.1f}" rx="1.5"/>'
            f'<text x="{x + step / 2:.1f}" y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle">{_short(low)}</text></g>'
        )
        share = count / spread.count
        if share >= 0.01:
            place = f'x="{x + step / 2:.1f}" y="{y - 4:.1f}"'
            drawn.append(f'<text class="value" {place} text-anchor="middle">{share:.0%}</text>')
    axis = (
        f'<line class="axis" stroke="#d9dde1" x1="0" x2="{_WIDTH}" y1="{_HEIGHT - _BOTTOM}" y2="{_HEIGHT - _BOTTOM}"/>'
    )
    words = "from this length on, by doublings; orange: the median"
    label = f'<text x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">{words}</text>'
    return _svg(_WIDTH, _HEIGHT, "".join(drawn) + axis + label)


def _shares(rows: list[tuple[str, float, str]]) -> str:
    """Horizontal bars, the longest of which fills the width where it is more than everything."""
    longest = max([1.0, *(share for _, share, _ in rows)])
    room = _BAR_WIDTH - _LABEL_WIDTH - 60
    drawn = []
    for number, (label, share, figure) in enumerate(rows):
        y = number * _BAR_HEIGHT
        width = max(1.0, room * share / longest)
        drawn.append(
            f'<text x="{_LABEL_WIDTH - 8}" y="{y + 15}" text-anchor="end">{escape(label)}</text>'
            f'<rect {_BAR} x="{_LABEL_WIDTH}" y="{y + 4}" width="{width:.1f}" height="{_BAR_HEIGHT - 8}" rx="2"/>'
            f'<text class="value" x="{_LABEL_WIDTH + width + 6:.1f}" y="{y + 15}">{escape(figure)}</text>'
        )
    height = max(1, len(rows)) * _BAR_HEIGHT + 4
    return _svg(_BAR_WIDTH, height, "".join(drawn))


def _epochs(timing: Timing) -> list[tuple[str, float, str]]:
    longest = max(row.epoch_seconds for row in timing.presets)
    return [(row.preset, row.epoch_seconds / longest, about(row.epoch_seconds)) for row in timing.presets]


def _short(number: int) -> str:
    for size, letter in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "k")):
        if number >= size:
            return f"{number // size}{letter}"
    return str(number)


def _table(table: Table) -> str:
    header = "".join(
        f"<th{' class=figure' if column else ''}>{escape(cell)}</th>" for column, cell in enumerate(table.header)
    )
    figures = len(table.header) or 2
    rows = []
    for row in table.rows:
        cells = [f"<td>{escape(row[0])}</td>"]
        cells += [f'<td class="figure">{escape(cell)}</td>' for cell in row[1:figures]]
        cells += [f'<td class="words">{escape(cell)}</td>' for cell in row[figures:]]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    head = f"<tr>{header}</tr>" if header else ""
    return f'<h2>{escape(table.title)}</h2><div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _svg(width: int, height: int, content: str) -> str:
    # The style sheet says the same and more; these are for a plot that is taken out of the page, or printed.
    plain = 'font-family="sans-serif" font-size="11" fill="#5f6872"'
    return f'<svg viewBox="0 0 {width} {height}" role="img" {plain}>{content}</svg>'
