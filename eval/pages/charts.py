"""Line charts as inline SVG: no library, no script needed, no network.

In: series of (step, value) points. Out: `Markup` whose every text is escaped. Colours come from
the page's CSS by class, so that a chart follows light, dark and print. Nothing here reads files or
knows a metric by name.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from markupsafe import Markup

from eval.pages.text import number, percent, plural, readable

WIDTH: Final = 400
HEIGHT: Final = 240
LEFT: Final = 52
RIGHT: Final = 12
TOP: Final = 30  # the unit stands above the plot
BOTTOM: Final = 40
MAX_POINTS: Final = 240  # about one point for each 1.5 px of the plot
MARKER_POINTS: Final = 30  # up to here each point is drawn as a dot
SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class Point(NamedTuple):
    """One value of a metric; None or a value that is not finite breaks the line."""

    step: int
    value: float | None


class Band(NamedTuple):
    """An interval around the value at a step, in the value's unit."""

    step: int
    low: float
    high: float


@dataclass(frozen=True)
class Series:
    """One line: the metric's key, its name in the legend, its points in the order of steps."""

    key: str
    label: str
    points: tuple[Point, ...]
    band: tuple[Band, ...] = ()

    @property
    def finite(self) -> list[tuple[int, float]]:
        """The points that can be drawn."""
        return [(s, v) for s, v in self.points if v is not None and math.isfinite(v)]


@dataclass(frozen=True)
class Chart:
    """What one chart shows; without a finite point it is a card that says `not recorded`.

    `bound` is a limit drawn as a line. `share` shows values of 0..1 as percent. `smooth` adds the
    running mean of long noisy lines.
    """

    title: str
    unit: str
    series: tuple[Series, ...]
    hint: str = ""
    bound: float | None = None
    log: bool = False
    share: bool = False
    smooth: bool = False
    resumes: tuple[int, ...] = field(default=())

    @property
    def recorded(self) -> bool:
        """Whether there is anything to draw."""
        return any(line.finite for line in self.series)

    def text(self, value: float) -> str:
        """A value as this chart writes it."""
        return percent(value) if self.share else number(value)

    @property
    def last(self) -> tuple[int, str]:
        """Step and text of the first series' newest value."""
        step, value = next(line.finite[-1] for line in self.series if line.finite)
        return step, self.text(value)

    @property
    def smoothing(self) -> int:
        """Points of the first line's running mean, an odd number; 0 where none is drawn."""
        count = len(self.series[0].finite) if self.smooth else 0
        return count // 30 * 2 + 1 if count > MARKER_POINTS else 0


def thin(points: Sequence[tuple[int, float]], limit: int = MAX_POINTS) -> list[tuple[int, float]]:
    """Keep the ends and each bucket's lowest and highest point, so that no spike is lost."""
    if len(points) <= limit:
        return list(points)
    size = math.ceil(len(points) / (limit // 2 - 1))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), size):
        bucket = range(start, min(start + size, len(points)))
        kept.add(min(bucket, key=lambda i: points[i][1]))
        kept.add(max(bucket, key=lambda i: points[i][1]))
    return [points[i] for i in sorted(kept)]


def running_mean(points: Sequence[tuple[int, float]], window: int) -> list[tuple[int, float]]:
    """Mean of the `window` points around each point (an odd number; fewer at the ends)."""
    sums = [0.0, *itertools.accumulate(value for _, value in points)]
    half, out = window // 2, []
    for i, (step, _) in enumerate(points):
        first, end = max(0, i - half), min(len(points), i + half + 1)
        out.append((step, (sums[end] - sums[first]) / (end - first)))
    return out


def ticks(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    """At most `count` + 1 round numbers (1, 2 or 5 × 10ⁿ apart) inside [low, high]."""
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    if whole:
        step = max(1.0, float(math.ceil(step)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


class _Axis(NamedTuple):
    """A linear or logarithmic scale from data to pixels, with its ticks."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: list[tuple[float, str]]

    def __call__(self, value: float) -> float:
        """Pixel of a value; below a log axis' floor, the floor."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        share = (value - low) / (high - low)
        return round(self.start + share * (self.end - self.start), 1)


def _y_axis(chart: Chart) -> _Axis:
    values = [v for line in chart.series for _, v in line.finite]
    values += [edge for line in chart.series for b in line.band for edge in (b.low, b.high)]
    if chart.bound is not None:
        values.append(chart.bound)
    span = (HEIGHT - BOTTOM, TOP)
    if chart.log:
        positive = [v for v in values if v > 0] or [1.0]
        bottom, top = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
        bottom -= any(v <= 0 for v in values)
        top = max(top, bottom + 2)
        marks = [(10.0**e, "10" + str(e).translate(SUPERSCRIPT)) for e in range(bottom, top + 1)]
        return _Axis(10.0**bottom, 10.0**top, *span, True, marks[:: math.ceil(len(marks) / 6)])
    low, high = min(values), max(values)
    if low >= 0 and low < 0.5 * high:
        low = 0.0
    if high - low < 1e-12 * max(1.0, abs(high)):
        low, high = (0.0, 1.25 * high or 1.0) if high >= 0 else (1.25 * low, 0.0)
    room = 0.06 * (high - low)
    low, high = (low if low == 0 else low - room), high + room
    if chart.share:
        low, high = max(0.0, low), min(1.0, high)
    at = ticks(low, high, 4)
    gap = (at[1] - at[0]) if len(at) > 1 else high - low
    return _Axis(low, high, *span, False, [(t, _tick(t, gap, chart.share)) for t in at])


def _tick(value: float, gap: float, share: bool) -> str:
    value, gap = (100 * value, 100 * gap) if share else (value, gap)
    size = max(abs(value), gap)
    if not share and (size >= 1e5 or gap < 1e-4):
        text = number(value)
    else:
        decimals = max(0, -math.floor(math.log10(gap) + 1e-9))
        text = f"{value:,.{decimals}f}"
    return text.replace("-", "−") + ("%" if share else "")


def _x_axis(chart: Chart) -> _Axis:
    steps = [s for line in chart.series for s, _ in line.finite] + list(chart.resumes)
    low, high = float(min(steps)), float(max(steps))
    if low == 1:
        low = 0  # as in the charts that have a value from before training
    if low == high:
        low, high = low - 1, high + 1
    marks = [(t, f"{t:,.0f}") for t in ticks(low, high, 6, whole=True)]
    return _Axis(low, high, LEFT, WIDTH - RIGHT, False, marks)


def tag(name: str, text: str | None = None, /, **attributes: object) -> Markup:
    """One SVG element, each attribute and the text escaped (`class_` and `_` for `-` as usual)."""
    inner = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), readable(str(value)))
        for key, value in attributes.items()
    )
    if text is None:
        return Markup("<{0}{1}/>").format(Markup(name), inner)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), inner, readable(text))


def _segments(line: Series) -> list[list[tuple[int, float]]]:
    """The line cut where a step was logged without a finite value."""
    parts: list[list[tuple[int, float]]] = [[]]
    for step, value in line.points:
        if value is not None and math.isfinite(value):
            parts[-1].append((step, value))
        elif parts[-1]:
            parts.append([])
    return [part for part in parts if part]


def _path(points: Iterable[tuple[int, float]], x: _Axis, y: _Axis) -> str:
    return "M" + "L".join(f"{x(step):g} {y(value):g}" for step, value in points)


def _frame(chart: Chart, x: _Axis, y: _Axis) -> list[Markup]:
    """Grid, tick labels, axis names, resumes and the bound."""
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    out = []
    for value, label in y.ticks:
        out.append(tag("line", class_="grid", x1=LEFT, x2=right, y1=y(value), y2=y(value)))
        out.append(tag("text", label, class_="tick", x=LEFT - 7, y=y(value) + 4, text_anchor="end"))
    out.append(tag("line", class_="axis", x1=LEFT, x2=right, y1=floor, y2=floor))
    for value, label in x.ticks:
        out.append(tag("line", class_="axis", x1=x(value), x2=x(value), y1=floor, y2=floor + 4))
        out.append(
            tag("text", label, class_="tick", x=x(value), y=floor + 17, text_anchor="middle")
        )
    out.append(tag("text", "training step", x=right, y=HEIGHT - 6, text_anchor="end"))
    out.append(tag("text", chart.unit, x=0, y=12))
    for step in chart.resumes:
        mark = tag("line", class_="resume", x1=x(step), x2=x(step), y1=TOP, y2=floor)
        out += [mark, tag("path", class_="resumed", d=f"M{x(step) - 4} {TOP - 7}h8l-4 6z")]
    if chart.bound is not None:
        at = y(chart.bound)
        out.append(tag("line", class_="bound", x1=LEFT, x2=right, y1=at, y2=at))
        text = f"bound {number(chart.bound)}"
        above = at - 5 if at > TOP + 16 else at + 14
        out.append(tag("text", text, class_="boundname", x=right, y=above, text_anchor="end"))
    return out


def _line(chart: Chart, line: Series, index: int, x: _Axis, y: _Axis) -> list[Markup]:
    """Band, line, dots and running mean of one series."""
    out = []
    colour = f"c{index % 4 + 1}"
    if line.band:
        edge = [(b.step, b.high) for b in line.band] + [(b.step, b.low) for b in line.band[::-1]]
        if len(line.band) > 1:
            out.append(tag("path", class_=f"band {colour}", d=_path(edge, x, y) + "Z"))
        for b in line.band:
            at = x(b.step)
            out.append(
                tag("line", class_=f"whisker {colour}", x1=at, x2=at, y1=y(b.low), y2=y(b.high))
            )
    window = chart.smoothing if index == 0 else 0
    faint = " faint" if window else ""
    for part in _segments(line):
        if len(part) > 1:
            d = _path(thin(part), x, y)
            out.append(tag("path", class_=f"line {colour}{faint}", d=d))
        if len(line.finite) <= MARKER_POINTS or len(part) == 1:
            out += [tag("circle", class_=f"dot {colour}", cx=x(s), cy=y(v), r=2.6) for s, v in part]
    if window:
        d = _path(thin(running_mean(line.finite, window)), x, y)
        out.append(tag("path", class_=f"line {colour}", d=d))
    elif line.finite:
        step, value = line.finite[-1]
        out.append(tag("circle", class_=f"last {colour}", cx=x(step), cy=y(value), r=4))
    return out


def describe(chart: Chart) -> str:
    """The chart in words, for those who cannot see it."""
    parts = []
    for line in chart.series:
        points = line.finite
        if points:
            values = [value for _, value in points]
            parts.append(
                f"{line.label}: {plural(len(points), 'point')}, from {chart.text(values[0])} "
                f"at step {points[0][0]} to {chart.text(values[-1])} at step {points[-1][0]}, "
                f"lowest {chart.text(min(values))}, highest {chart.text(max(values))}"
            )
    if chart.bound is not None:
        parts.append(f"bound {number(chart.bound)}")
    return f"{chart.title}. " + "; ".join(parts) + "."


def draw(chart: Chart) -> Markup:
    """The chart as one SVG element; `chart.recorded` must hold."""
    x, y = _x_axis(chart), _y_axis(chart)
    body = _frame(chart, x, y)
    hover = []
    for index, line in enumerate(chart.series):
        if line.finite:
            body += _line(chart, line, index, x, y)
            points = [[s, chart.text(v), x(s), y(v)] for s, v in thin(line.finite)]
            hover.append({"name": line.label if len(chart.series) > 1 else "", "points": points})
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" role="img" aria-label="{}" data-series="{}">{}</svg>'
    ).format(
        WIDTH,
        HEIGHT,
        readable(describe(chart)),
        json.dumps(hover, separators=(",", ":")),
        Markup("").join(body),
    )
