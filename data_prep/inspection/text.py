"""An inspection for the terminal.

In: a survey and views of its samples. Out: lines. Colours only where asked for; control characters
of the data are shown, never sent to the terminal.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from data_prep.inspection.sample import CLUSTERS, Survey, histogram
from data_prep.inspection.show import View

_COLOURS: Final = {
    "system": "90", "user": "36", "assistant": "32", "tool": "35", "gold": "33", "chosen": "32",
    "rejected": "31",
}  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_BARS: Final = 40
_SHOWN: Final = 1500


def safe(text: str) -> str:
    """A text whose control characters are visible."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def lines(survey: Survey, views: Sequence[View], *, width: int = 96, colour: bool) -> Iterator[str]:
    """The whole inspection."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    for one in views:
        yield paint(f"── row {one.number} · {safe(one.title)} · {one.size} ", "1")
        for turn in one.turns:
            mark = "▌" if turn.learned else " "
            yield paint(f"{mark}{turn.role}", _COLOURS.get(turn.role, "0"))
            text = safe(turn.text[:_SHOWN])
            for line in text.splitlines() or [""]:
                for piece in textwrap.wrap(line, width - 4, drop_whitespace=False) or [""]:
                    yield f"{mark} {piece}"
            if len(turn.text) > _SHOWN:
                yield f"{mark} … {len(turn.text) - _SHOWN} characters more"
        for flag in one.flags:
            yield paint(f"  ! {safe(flag)}", "31")
        yield ""
    yield paint(f"{survey.path}: {survey.rows} {survey.kind} rows, seed {survey.seed}", "1")
    if survey.unread:
        yield paint(f"  ! {survey.unread} records could not be read", "31")
    yield from _distributions(survey)
    yield f"checks, on {survey.looked} rows: share that passes, with its 95% interval"
    for name, rate in survey.rates.items():
        low, high = rate.interval
        share = rate.passed / rate.rows if rate.rows else 0.0
        yield f"  {name:<16} {share:8.2%}  [{low:.2%}, {high:.2%}]  {rate.rows - rate.passed} fail"
    for reason, count in survey.reasons.most_common(12):
        yield f"    {reason:<24} {count}"
    yield f"near-duplicates: {len(survey.clusters)} clusters"
    for ids, text in survey.clusters[:CLUSTERS]:
        told = ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")
        yield f"  {len(ids)} × {safe(' '.join(text.split()))[: width - 20]!r}: {safe(told)}"


def _distributions(survey: Survey) -> Iterator[str]:
    for name, values in survey.values.items():
        if not values:
            continue
        shape = histogram(values)
        most = max(shape.counts) or 1
        yield f"{name}: {min(values):g} … {max(values):g}, mean {sum(values) / len(values):.1f}"
        for n, count in enumerate(shape.counts):
            bar = "█" * round(_BARS * count / most)
            yield f"  {shape.edges[n]:>10.4g} {bar or '·'} {count}"
    for label, counts in survey.names.items():
        told = ", ".join(f"{safe(key)} {n}" for key, n in counts.most_common(10))
        more = f" and {len(counts) - 10} more" if len(counts) > 10 else ""
        yield f"{label}: {told}{more}"
