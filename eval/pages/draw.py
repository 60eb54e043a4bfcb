"""Intervals drawn for the evaluation's pages: accuracies beside published ones, differences, rates.

In: numbers with their interval. Out: rows of `Markup` and their scale, as `eval.pages.intervals`
draws them. Computes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from eval.pages.charts import tag
from eval.pages.intervals import Bar, Span, draw_bar, draw_scale, span_of
from eval.pages.text import percent, readable


class Row(NamedTuple):
    """One row of a plot: who, a remark under it, the drawing, the figures, and how they read."""

    label: str
    note: str
    drawn: Markup
    value: str
    interval: str
    tone: str = ""


class Plot(NamedTuple):
    """Rows with a common scale."""

    rows: list[Row]
    scale: Markup


def accuracies(
    bars: Sequence[Bar], notes: Sequence[str], marks: Sequence[float | None] | None = None
) -> Plot:
    """Shares with their intervals; a mark is a published number, drawn as a diamond."""
    given = list(marks) if marks is not None else [None] * len(bars)
    around = [bar._replace(low=min(bar.low, m), high=max(bar.high, m)) for bar, m in
              zip(bars, given, strict=True) if m is not None]  # fmt: skip
    span = span_of([*bars, *around])
    rows = []
    for bar, note, mark in zip(bars, notes, given, strict=True):
        drawn = draw_bar(bar, 0, span)
        if mark is not None:
            drawn = _with_mark(drawn, mark, span)
        rows.append(
            Row(bar.label, note, drawn, percent(bar.value),
                f"[{percent(bar.low)}, {percent(bar.high)}]")
        )  # fmt: skip
    return Plot(rows, draw_scale(span))


def _with_mark(drawn: Markup, mark: float, span: Span) -> Markup:
    """The drawing with a diamond at a published number."""
    shape = tag("path", class_="published", d="M0 -7L6 0L0 7L-6 0Z")
    label = readable(f"published: {percent(mark)}")
    placed = Markup(
        '<svg x="{}" y="50%" overflow="visible" role="img" aria-label="{}">{}</svg></svg>'
    ).format(span.at(mark), label, shape)
    return Markup(str(drawn).removesuffix("</svg>")) + placed


def rates(bars: Sequence[Bar], notes: Sequence[str]) -> Plot:
    """Small shares: the scale begins at 0 and ends just above the largest interval."""
    top = max(bar.high for bar in bars)
    step = next(s for s in (0.05, 0.1, 0.2, 0.5, 1.0) if top <= s or s == 1.0)
    span = Span(0.0, step)
    rows = [
        Row(bar.label, note, draw_bar(bar, 1, span), percent(bar.value),
            f"[{percent(bar.low)}, {percent(bar.high)}]")
        for bar, note in zip(bars, notes, strict=True)
    ]  # fmt: skip
    return Plot(rows, draw_scale(span))


def points(difference: float) -> str:
    """A difference of shares in percentage points, signed."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def differences(tasks: Sequence[tuple[str, str, dict[str, Any]]]) -> Plot:
    """Tuned minus base of each task, around a line at 0.

    Args:
        tasks: name, remark and the task's entry of comparison.json.
    """
    edges = [edge for *_, task in tasks for edge in task["difference_ci95"]]
    reach = max(0.02, *(abs(edge) for edge in edges))
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5) if reach <= 4 * s or s == 0.5)
    low = math.floor(min(0.0, *edges) / step - 0.1) * step
    high = math.ceil(max(0.0, *edges) / step + 0.1) * step
    span = Span(low, high)
    at = [low + i * step for i in range(round((high - low) / step) + 1)]
    rows = []
    for name, note, task in tasks:
        tone = {"improved": "better", "regressed": "worse"}.get(task["verdict"], "unclear")
        left, right = task["difference_ci95"]
        rows.append(
            Row(name, note, _difference(task["difference"], left, right, span, at, tone),
                points(task["difference"]), f"[{points(left)}, {points(right)}]", tone)
        )  # fmt: skip
    return Plot(rows, _point_scale(span, at))


def _difference(
    value: float, low: float, high: float, span: Span, at: Sequence[float], tone: str
) -> Markup:
    label = f"{points(value)} points, 95% interval {points(low)} to {points(high)}"
    lines = [
        tag("line", class_="zero" if abs(x) < 1e-9 else "grid", x1=span.at(x), x2=span.at(x),
            y1=0, y2="100%")
        for x in at
    ]  # fmt: skip
    a, b = span.at(low), span.at(high)
    parts = [tag("line", class_=f"ci {tone}", x1=a, x2=b, y1=0, y2=0)]
    parts += [tag("line", class_=f"cap {tone}", x1=x, x2=x, y1=-6, y2=6) for x in (a, b)]
    parts.append(tag("circle", class_=f"last {tone}", cx=span.at(value), cy=0, r=5))
    return Markup(
        '<svg class="interval" role="img" aria-label="{}">{}'
        '<svg y="50%" overflow="visible">{}</svg></svg>'
    ).format(label, Markup("").join(lines), Markup("").join(parts))


def _point_scale(span: Span, at: Sequence[float]) -> Markup:
    every = math.ceil(len(at) / 7)
    zero = next((i for i, x in enumerate(at) if abs(x) < 1e-9), 0)
    parts = []
    for i, x in enumerate(at):
        if (i - zero) % every:
            continue
        anchor = "start" if i == 0 else "end" if i == len(at) - 1 else "middle"
        text = "0" if abs(x) < 1e-9 else f"{100 * x:+.0f}".replace("-", "−")
        parts.append(tag("text", text, class_="tick", x=span.at(x), y=12, text_anchor=anchor))
    return Markup('<svg class="scale" height="16" aria-hidden="true">{}</svg>').format(
        Markup("").join(parts)
    )
