"""Findings as a table for a terminal: a mark, a name, and wrapped text; never wider than asked.

In: rows of plain strings. Out: one string without trailing newline. A token longer than the
column (a path, an override) is broken, since a line that overflows is harder to read than one that
is cut; the fixes keep their own lines so that they can be copied whole where they fit.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

MARKS = {"pass": "✓", "warning": "!", "failure": "✗"}
COLORS = {"pass": "\033[32m", "warning": "\033[33m", "failure": "\033[31m"}
DIM, BOLD, RESET = "\033[2m", "\033[1m", "\033[0m"
MIN_WIDTH = 40
MAX_NAME = 18

Row = tuple[str, str, str, str, Sequence[str]]  # status, name, got, need, fixes


def render_table(rows: Sequence[Row], *, width: int, color: bool) -> str:
    """Lay the rows out under each other, a summary last.

    Args:
        rows: (status, name, got, need, fixes), statuses as in `MARKS`.
        width: columns to stay within; below 40 counts as 40.
        color: use ANSI colours.
    """
    width = max(width, MIN_WIDTH)
    names = min(max((len(row[1]) for row in rows), default=0), MAX_NAME)
    text_width = width - names - 4
    lines: list[str] = []
    for status, name, got, need, fixes in rows:
        lines.extend(_row(status, name, got, need, fixes, names, text_width, color))
    lines.append(_summary(rows, color))
    return "\n".join(lines)


def _row(
    status: str,
    name: str,
    got: str,
    need: str,
    fixes: Sequence[str],
    names: int,
    text_width: int,
    color: bool,
) -> list[str]:
    label = textwrap.wrap(name, names) or [""]
    text = textwrap.wrap(_flat(got), text_width) or [""]
    styles = [""] * len(text)
    if need and status != "pass":
        text += textwrap.wrap(f"needs {_flat(need)}", text_width)
    styles += [DIM] * (len(text) - len(styles))
    height = max(len(label), len(text))
    label += [""] * (height - len(label))
    text += [""] * (height - len(text))
    styles += [""] * (height - len(styles))
    lines = []
    for index, (left, right, style) in enumerate(zip(label, text, styles, strict=True)):
        mark = MARKS[status] if index == 0 else " "
        if color and index == 0:
            mark = f"{COLORS[status]}{mark}{RESET}"
        lines.append(f"{mark} {left.ljust(names)}  {_paint(right, style, color)}".rstrip())
    return lines + _fixes(fixes, names, text_width, color)


def _fixes(fixes: Sequence[str], names: int, text_width: int, color: bool) -> list[str]:
    """The ways out, each from where it still fits in one line, so that it can be copied whole."""
    lines: list[str] = []
    for number, fix in enumerate(fixes):
        words = ("→ " if number == 0 else "or ") + _flat(fix)
        indent, width = names + 4, text_width
        if len(words) > text_width:
            indent, width = 2, text_width + names + 2
        wrapped = textwrap.wrap(words, width, subsequent_indent="  ", break_on_hyphens=False)
        lines += [" " * indent + _paint(part, BOLD, color) for part in wrapped]
    return lines


def _paint(text: str, style: str, color: bool) -> str:
    return f"{style}{text}{RESET}" if color and text and style else text


def _summary(rows: Sequence[Row], color: bool) -> str:
    counts = {status: sum(row[0] == status for row in rows) for status in MARKS}
    parts = []
    for status, word in (("pass", "passed"), ("warning", "warning"), ("failure", "failure")):
        plural = "s" if status != "pass" and counts[status] != 1 else ""
        part = f"{counts[status]} {word}{plural}"
        paint = color and counts[status] and status != "pass"
        parts.append(f"{COLORS[status]}{part}{RESET}" if paint else part)
    return ", ".join(parts)


def _flat(text: str) -> str:
    """One paragraph: no newline or escape sequence of a foreign message reaches the terminal."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
