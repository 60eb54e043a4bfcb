"""Charts: honest lines (gaps, spikes, bounds), well-formed SVG whatever the labels."""

import json
import math
import xml.etree.ElementTree as ElementTree

import pytest

from eval.pages.charts import (
    MAX_POINTS,
    Band,
    Chart,
    Point,
    Series,
    describe,
    draw,
    running_mean,
    thin,
    ticks,
)
from eval.pages.intervals import Bar, draw_bar, draw_scale, span_of

SVG = "{http://www.w3.org/2000/svg}"


def line(values, key="k", label="l", **extra):
    return Series(key, label, tuple(Point(s, v) for s, v in enumerate(values, 1)), **extra)


def chart(*values, **extra):
    return Chart("Title", "unit", (line(values),), **extra)


def parsed(drawn):
    return ElementTree.fromstring(str(drawn).replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


def of_class(tree, name):
    return [e for e in tree.iter() if name in e.get("class", "").split()]


def test_ticks_are_round_numbers_inside_the_range():
    assert ticks(0, 1, 4) == [0.0, 0.5, 1.0]
    assert ticks(0.55, 0.9, 4) == pytest.approx([0.6, 0.7, 0.8, 0.9])
    assert ticks(0, 50, 6, whole=True) == [0, 10, 20, 30, 40, 50]
    assert ticks(1, 3, 6, whole=True) == [1, 2, 3]


def test_thinning_keeps_ends_and_every_spike():
    points = [(s, 0.0) for s in range(10_000)]
    points[1234], points[7777] = (1234, 9.0), (7777, -9.0)
    kept = thin(points)
    assert len(kept) <= MAX_POINTS + 2
    assert {(0, 0.0), (9999, 0.0), (1234, 9.0), (7777, -9.0)} <= set(kept)
    assert kept == sorted(kept)
    assert thin(points[:50]) == points[:50]


def test_running_mean_by_hand():
    points = [(1, 1.0), (2, 2.0), (3, 6.0), (4, 1.0)]
    assert running_mean(points, 3) == [(1, 1.5), (2, 3.0), (3, 3.0), (4, 3.5)]


def test_a_step_without_a_value_breaks_the_line():
    tree = parsed(draw(chart(1.0, 2.0, None, 3.0, math.nan, 4.0, 5.0)))
    paths = of_class(tree, "line")
    assert [p.get("d").count("L") for p in paths] == [1, 1]  # 1-2 and 4-5; 3.0 stands alone
    assert len(of_class(tree, "dot")) == 5


def test_bound_lies_on_the_axis_it_bounds():
    shown = chart(1e-9, 1e-8, log=True, bound=1e-6)
    tree = parsed(draw(shown))
    bound = float(of_class(tree, "bound")[0].get("y1"))
    labels = {t.text: float(t.get("y")) - 4 for t in tree.iter(f"{SVG}text")}
    assert bound == pytest.approx(labels["10⁻⁶"])
    last = float(of_class(tree, "last")[0].get("cy"))
    assert last == pytest.approx(labels["10⁻⁸"])
    assert "bound 1e-6" in describe(shown)


def test_zero_on_a_log_axis_lies_on_its_floor():
    tree = parsed(draw(chart(0.0, 1e-4, log=True)))
    floor = float(of_class(tree, "axis")[0].get("y1"))
    assert float(of_class(tree, "dot")[0].get("cy")) == pytest.approx(floor)


@pytest.mark.parametrize("values", [[0.5], [0.0, 0.0], [-3.0, -3.0], [7.0] * 40, [1e9, 2e-9]])
@pytest.mark.parametrize("log", [False, True])
def test_degenerate_series_are_drawn_inside_the_plot(values, log):
    tree = parsed(draw(chart(*values, log=log, smooth=True, resumes=(1,))))
    for dot in tree.iter(f"{SVG}circle"):
        assert 0 <= float(dot.get("cx")) <= 400
        assert 0 <= float(dot.get("cy")) <= 240


def test_shares_never_leave_0_to_100_percent():
    band = tuple(Band(s, 0.97, 1.0) for s in (1, 2))
    shown = Chart("t", "u", (line([0.99, 1.0], band=band),), share=True)
    texts = [t.text for t in parsed(draw(shown)).iter(f"{SVG}text")]
    assert "100%" in texts
    assert not any(text.startswith("10") and text > "100%" for text in texts)
    assert shown.last == (2, "100.0%")


def test_words_for_those_who_cannot_see_it():
    assert describe(chart(0.25, 0.75, 0.5)) == (
        "Title. l: 3 points, from 0.25 at step 1 to 0.5 at step 3, lowest 0.25, highest 0.75."
    )


def test_hostile_labels_stay_text(folders):
    for text in folders.HOSTILE:
        shown = Chart(text, text, (line([1, 2], text, text), line([2, 3], text, text)))
        tree = parsed(draw(shown))
        names = {e.tag.removeprefix(SVG) for e in tree.iter()}
        assert names <= {"svg", "line", "text", "path", "circle"}
        assert len(json.loads(tree.get("data-series"))) == 2


def test_intervals_are_placed_by_their_values():
    bars = [Bar("before", 0.612, 0.57, 0.65), Bar('<"x', 0.834, 0.80, 0.86)]
    span = span_of(bars)
    assert (span.low, span.high) == (0.5, 0.9)
    tree = parsed(draw_bar(bars[0], 0, span))
    assert of_class(tree, "last")[0].get("cx") == "28.00%"  # (61.2 - 50) / 40
    assert [c.get("x1") for c in of_class(tree, "cap")] == ["17.50%", "37.50%"]
    assert "61.2%, 95% interval 57.0% to 65.0%" in tree.get("aria-label")
    assert [t.text for t in parsed(draw_scale(span)).iter(f"{SVG}text")] == [
        "50%", "60%", "70%", "80%", "90%",
    ]  # fmt: skip
    parsed(draw_bar(bars[1], 1, span))


def test_intervals_at_the_ends_of_the_scale():
    assert span_of([Bar("a", 0.0, 0.0, 0.02), Bar("b", 1.0, 0.98, 1.0)]) == (0.0, 1.0)
