"""An inspection as one HTML page that needs nothing else: no script, no font, no network.

In: a survey and views of its samples. Out: the page's text, the same bytes for the same input. All
that comes from the data is escaped.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from typing import Final

from data_prep.inspection.mathml import mathml, with_maths
from data_prep.inspection.sample import CLUSTERS, Survey, histogram
from data_prep.inspection.show import View

_CONTROL: Final = {n: 0xFFFD for n in (*range(9), 11, 12, *range(14, 32), 127)}
_STYLE: Final = """
:root{color-scheme:light dark;--line:#8884;--soft:#8881}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}
.row{border:1px solid var(--line);border-radius:.6rem;padding:.8rem;margin:1rem 0}
.facts{font-size:.8rem;opacity:.75;overflow-wrap:anywhere}
.turn{display:flex;flex-direction:column;margin:.5rem 0;max-width:85%}
.turn>b{font-size:.75rem;font-weight:600;opacity:.7}
.bubble{white-space:pre-wrap;overflow-wrap:anywhere;padding:.5rem .8rem;border-radius:.8rem;
background:var(--soft);border-left:4px solid transparent}
.user{margin-left:auto}.user .bubble{background:#3b82f622}
.learned .bubble{border-left-color:#16a34a;background:#16a34a1c}
.rejected .bubble{background:#dc26261c}.gold .bubble{background:#ca8a0422}
.flag{color:#b91c1c;font-size:.85rem;overflow-wrap:anywhere}
.tokens{font:13px/1.7 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere}
.tokens i{font-style:normal;border-right:1px solid var(--line)}
.boxed{border:1px solid currentColor;padding:.1em .3em}
table{border-collapse:collapse;font-size:.9rem}td,th{padding:.15rem .6rem;text-align:left;
border-bottom:1px solid var(--line)}td.n{text-align:right;font-variant-numeric:tabular-nums}
.bar{display:inline-block;height:.8em;background:#3b82f6;border-radius:2px;vertical-align:middle}
@media (prefers-color-scheme:dark){.flag{color:#f87171}}
"""


def _safe(text: str) -> str:
    """A text that HTML can hold, escaped."""
    return html.escape(_valid(text))


def _valid(text: str) -> str:
    return text.translate(_CONTROL).encode("utf-8", "replace").decode()


def page(survey: Survey, views: Sequence[View]) -> str:
    """The whole page."""
    name = _safe(survey.path.name)
    return "".join(
        [
            "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
            "<meta name='viewport' content='width=device-width,initial-scale=1'>",
            "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; ",
            "style-src 'unsafe-inline'\">",
            f"<title>{name}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{name}</h1><p>{survey.rows} {survey.kind} rows; {len(views)} drawn with seed ",
            f"{survey.seed}. A green edge marks what the loss falls on.</p>",
            "<h2>Samples</h2>",
            *(part for one in views for part in _row(one)),
            *_numbers(survey),
            "</body></html>\n",
        ]
    )


def _row(one: View) -> Iterator[str]:
    facts = f"row {one.number} · {one.title} · {one.size}"
    yield f"<section class='row'><div class='facts'>{_safe(facts)}</div>"
    for turn in one.turns:
        names = f"turn {_safe(turn.role)}{' learned' if turn.learned else ''}"
        yield f"<div class='{names}'><b>{_safe(turn.role)} · {turn.words} words</b>"
        bare = turn.role == "gold" and "\\" in turn.text and "$" not in turn.text
        shown = mathml(_valid(turn.text)) if bare else with_maths(_valid(turn.text))
        yield f"<div class='bubble'>{shown}</div></div>"
    for flag in one.flags:
        yield f"<div class='flag'>⚑ {_safe(flag)}</div>"
    if one.tokens is not None:
        yield "<details><summary>Tokens and loss mask</summary><div class='tokens'>"
        top = max((weight for _, weight in one.tokens), default=0.0) or 1.0
        for text, weight in one.tokens:
            style = f" style='background:rgb(22 163 74/{0.15 + 0.35 * weight / top:.2f})'"
            yield f"<i{style if weight > 0 else ''} title='{weight:g}'>{_safe(text)}</i>"
        yield "</div></details>"
    yield "</section>"


def _numbers(survey: Survey) -> Iterator[str]:
    if survey.unread:
        yield f"<p class='flag'>{survey.unread} records could not be read</p>"
    yield f"<h2>Checks</h2><p>On {survey.looked} rows; 95% Wilson intervals.</p>"
    yield "<table><tr><th>check<th>passes<th>interval<th>fail</tr>"
    for name, rate in survey.rates.items():
        low, high = rate.interval
        share = rate.passed / rate.rows if rate.rows else 0.0
        yield f"<tr><td>{_safe(name)}<td class='n'>{share:.2%}<td class='n'>[{low:.2%}, {high:.2%}]"
        yield f"<td class='n'>{rate.rows - rate.passed}</tr>"
    yield "</table>"
    if survey.reasons:
        told = ", ".join(f"{_safe(reason)} {n}" for reason, n in survey.reasons.most_common())
        yield f"<p>Reasons: {told}</p>"
    for label, values in survey.values.items():
        if values:
            yield f"<h2>{_safe(label.capitalize())}</h2>"
            shape = histogram(values)
            names = [f"{edge:.4g}" for edge in shape.edges[:-1]]
            yield from _bars(list(zip(names, shape.counts, strict=True)))
    for label, counts in survey.names.items():
        yield f"<h2>{_safe(label.capitalize())}</h2>"
        yield from _bars(counts.most_common(20))
    yield f"<h2>Near-duplicates</h2><p>{len(survey.clusters)} clusters</p><ul>"
    for ids, text in survey.clusters[:CLUSTERS]:
        yield f"<li>{len(ids)} × {_safe(text)}<div class='facts'>{_safe(', '.join(ids[:12]))}</div>"
    yield "</ul>"


def _bars(counts: Sequence[tuple[str, int]]) -> Iterator[str]:
    most = max((n for _, n in counts), default=1) or 1
    yield "<table>"
    for name, n in counts:
        bar = f"<span class='bar' style='width:{20 * n / most:.2f}rem'></span>"
        yield f"<tr><td>{_safe(name)}<td>{bar}<td class='n'>{n}</tr>"
    yield "</table>"
