"""Text and numbers as the report shows them.

In: anything a model, a data file or a configuration holds. Out: text that is safe to encode as
UTF-8 and in which nothing is hidden, and short figures. HTML escaping is left to the template
engine and to `visible`; this module only makes what is escaped readable.
"""

from __future__ import annotations

import math
import re
from typing import Final

from markupsafe import Markup, escape

MISSING: Final = "not recorded"

# Controls print nothing, bidirectional and zero-width characters reorder or hide the text around
# them, half a surrogate pair cannot be encoded. Zero-width joiners stay: emoji need them.
_UNSEEN: Final = (
    *(code for code in range(0x20) if chr(code) not in "\t\n"),
    *range(0x7F, 0xA0),
    0x061C,
    0x200B,
    0x200E,
    0x200F,
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
    0xFEFF,
)
_READABLE: Final = {code: f"⟨U+{code:04X}⟩" for code in _UNSEEN}
_WHITESPACE: Final = re.compile(r"\A +| +\Z| +(?=\n)|(?<=\n) +| {2,}|[\t\n]+")
_MARKS: Final = str.maketrans({" ": "·", "\t": "→\t", "\n": "↵\n"})


def readable(text: str) -> str:
    """Replace what cannot be encoded or cannot be seen by its code point; tab and newline stay."""
    return text.translate(_READABLE)


def visible(text: str) -> Markup:
    """Escape `text` and mark the whitespace that one would overlook (ends, runs, tabs, lines)."""
    parts: list[Markup] = []
    start = 0
    text = readable(text)
    for match in _WHITESPACE.finditer(text):
        parts.append(escape(text[start : match.start()]))
        parts.append(Markup("<i>{}</i>").format(match.group().translate(_MARKS)))
        start = match.end()
    parts.append(escape(text[start:]))
    return Markup("").join(parts)


def number(value: float | None) -> str:
    """Four significant digits at most, without trailing zeros: 0.369, 1,198, 6.07e-5."""
    if value is None or not math.isfinite(value):
        return MISSING if value is None else str(value)
    if value == 0:
        return "0"
    size = abs(value)
    if size < 1e-3 or size >= 1e7:
        return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e")
    if size >= 1000 or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.{3 if size < 1 else 2 if size < 10 else 1}f}".rstrip("0").rstrip(".")


def percent(share: float) -> str:
    """A share of 1 as percent with one decimal."""
    return f"{100 * share:.1f}%"


def duration(seconds: float) -> str:
    """Seconds as people say them: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def plural(count: int, noun: str) -> str:
    """`1 step`, `2 steps`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
