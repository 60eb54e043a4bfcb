"""The terminal summary: a small table, the verdict, and what to be careful about.

In: the content of results.json. Out: text. No number is computed here. `could see`: the smallest
change, in points, that a comparison on these items would have seen (`mde.paired`).
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
    rows = [["model", "accuracy", "95% interval", "could see", "n", *statuses, "cut", "tokens",
             "tok/s"]]  # fmt: skip
    for label in labels:
        one = results[label]
        speed = one["tokens_per_second"]
        low, high = one["ci95"]
        rows.append(
            [
                label,
                f"{100 * one['accuracy']:.1f}%",
                f"[{100 * low:.1f}, {100 * high:.1f}]",
                could_see(one),
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


def suite_table(results: Mapping[str, Any]) -> str:
    """The summary of an evaluation of a suite: a line a task, then what to be careful about."""
    rows = [["task", "metric", "value", "95% interval", "could see", "n", "samples", "no verdict",
             "cut", "tokens", "tok/s"]]  # fmt: skip
    warnings = list(results["warnings"])
    for name, one in results["tasks"].items():
        value, limits = headline(one)
        speed = one["tokens_per_second"]
        rows.append(
            [
                name,
                one["metric"],
                "–" if value is None else f"{100 * value:.1f}%",
                "–" if limits is None else f"[{100 * limits[0]:.1f}, {100 * limits[1]:.1f}]",
                could_see(one),
                str(one["n_items"]),
                str(one["samples"]),
                str(one["broken"]),
                f"{100 * one['truncation_share']:.1f}%",
                f"{one['mean_tokens']:.1f}",
                "–" if speed is None else f"{speed:,.0f}",
            ]
        )
        if "length_controlled" in one:
            told = one["length_controlled"]
            low, high = told["ci95"]
            rows.append(["", "length-controlled", f"{100 * told['value']:.1f}%",
                         f"[{100 * low:.1f}, {100 * high:.1f}]", *[""] * 7])  # fmt: skip
        warnings += [f"{name}: {text}" for text in one["warnings"]]
    model = results["model"]
    lines = [f"{model['label']}: {model['name']}", "", *_aligned(rows)]
    return "\n".join([*lines, *(f"warning: {text}" for text in warnings)])


def could_see(one: Mapping[str, Any]) -> str:
    """The smallest change, in points, that a comparison on the same items would have seen."""
    effect = one["mde"]["paired"]
    return "nothing" if effect is None else f"≥ {100 * effect:.1f}"


def headline(one: Mapping[str, Any]) -> tuple[float | None, list[float] | None]:
    """The value that a task reports, with its interval: its rate where it has one."""
    told = one["rate"] if "rate" in one else {"value": one["accuracy"], "ci95": one["ci95"]}
    return told["value"], told["ci95"]
