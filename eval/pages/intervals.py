"""Accuracies with their intervals as horizontal bars, inline SVG in percent coordinates.

In: shares of 1 with low and high. Out: `Markup`, one SVG a row, so that rows scale to any width
with their text undistorted. Computes no interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from eval.pages.charts import tag, ticks
from eval.pages.text import percent, readable


class Bar(NamedTuple):
    """One row: its name, a share of 1 and the interval around it."""

    label: str
    value: float
    low: float
    high: float


class Span(NamedTuple):
    """The stretch of 0..1 that the rows show."""

    low: float
    high: float

    def at(self, share: float) -> str:
        """Where a share lies, as an SVG percentage."""
        return f"{100 * (share - self.low) / (self.high - self.low):.2f}%"

    @property
    def grid(self) -> list[float]:
        """Round shares at which lines are drawn."""
        return ticks(self.low, self.high, 5)


def span_of(bars: Sequence[Bar]) -> Span:
    """The stretch that shows all intervals with some room, between multiples of 10%."""
    low = math.floor(min(bar.low for bar in bars) * 10 - 0.2) / 10
    high = math.ceil(max(bar.high for bar in bars) * 10 + 0.2) / 10
    return Span(max(0.0, low), min(1.0, high))


def draw_bar(bar: Bar, index: int, span: Span) -> Markup:
    """One interval as a line with caps, the value as a dot."""
    label = (
        f"{bar.label}: {percent(bar.value)}, 95% interval {percent(bar.low)} to {percent(bar.high)}"
    )
    colour = f"c{index % 4 + 1}"
    low, high = span.at(bar.low), span.at(bar.high)
    lines = [
        tag("line", class_="grid", x1=x, x2=x, y1=0, y2="100%") for x in map(span.at, span.grid)
    ]
    parts = [tag("line", class_=f"ci {colour}", x1=low, x2=high, y1=0, y2=0)]
    parts += [tag("line", class_=f"cap {colour}", x1=x, x2=x, y1=-6, y2=6) for x in (low, high)]
    parts.append(tag("circle", class_=f"last {colour}", cx=span.at(bar.value), cy=0, r=5))
    return Markup(
        '<svg class="interval" role="img" aria-label="{}">{}'
        '<svg y="50%" overflow="visible">{}</svg></svg>'
    ).format(readable(label), Markup("").join(lines), Markup("").join(parts))


def draw_scale(span: Span) -> Markup:
    """The axis under the rows."""
    parts = []
    for share in span.grid:
        x = span.at(share)
        anchor = {"0.00%": "start", "100.00%": "end"}.get(x, "middle")
        text = f"{100 * share:.0f}%"
        parts.append(tag("text", text, class_="tick", x=x, y=12, text_anchor=anchor))
    return Markup('<svg class="scale" height="16" aria-hidden="true">{}</svg>').format(
        Markup("").join(parts)
    )
