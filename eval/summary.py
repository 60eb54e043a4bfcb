"""The terminal summary: a small table, the verdict, and what to be careful about.

In: the content of results.json. Out: text. No number is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.spec import RESERVED


def table(results: Mapping[str, Any]) -> str:
    """The whole summary, lines aligned."""
    labels = [label for label in results if label not in RESERVED]
    statuses: list[str] = []
    for label in labels:
        statuses += [name for name in results[label]["status"] if name not in statuses]
    rows = [["model", "accuracy", "95% interval", "n", *statuses, "cut", "tokens", "tok/s"]]
    for label in labels:
        one = results[label]
        speed = one["tokens_per_second"]
        low, high = one["ci95"]
        rows.append(
            [
                label,
                f"{100 * one['accuracy']:.1f}%",
                f"[{100 * low:.1f}, {100 * high:.1f}]",
                str(one["n"]),
                *(str(one["status"].get(name, 0)) for name in statuses),
                f"{100 * one['truncation_share']:.1f}%",
                f"{one['mean_tokens']:.1f}",
                "–" if speed is None else f"{speed:,.0f}",
            ]
        )
    data = results["data"]
    lines = [
        f"{data['path']}: {data['n']:,} of {data['rows']:,} items, greedy, "
        f"at most {results['sampling']['max_tokens']:,} tokens",
        "",
        *_aligned(rows),
    ]
    if "verdict" in results:
        verdict = results["verdict"]
        lines += ["", f"{verdict['base']} → {verdict['tuned']}: {verdict['line']}"]
    lines += [f"warning: {text}" for text in results["warnings"]]
    return "\n".join(lines)


def _aligned(rows: list[list[str]]) -> list[str]:
    """Columns side by side: the first to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    out = []
    for row in rows:
        first, *others = zip(row, widths, strict=True)
        cells = [first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)]
        out.append("  ".join(cells).rstrip())
    return out
