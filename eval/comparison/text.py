"""The terminal summary of a comparison: the verdict, a table a pair, forgetting, cost, warnings.

In: the content of comparison.json. Out: text. No number is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.comparison.verdict import points

Json = dict[str, Any]
MEANS = {
    "change": "base → tuned",
    "control": "base → control arm",
    "beyond_control": "control arm → tuned",
    "models": "between models",
}


def summary(content: Mapping[str, Any]) -> str:
    """The whole summary, columns aligned."""
    lines = [content["verdict"]["headline"], content["verdict"]["sentence"]]
    for pair in content["pairs"]:
        lines += ["", f"{pair['base']} → {pair['other']} ({MEANS[pair['purpose']]})"]
        lines += aligned(_pair_rows(pair))
        if pair["overall"] is not None:
            low, high = pair["overall"]["ci95"]
            lines.append(
                f"mean over {pair['overall']['n_tasks']} tasks: "
                f"{points(pair['overall']['difference'])} [{points(low)}, {points(high)}]"
            )
    for label, one in content["forgetting"].items():
        if not one["rows"]:
            continue
        lines += ["", f"forgetting, {label}: {one['sentence']}"]
    if content["contamination"] is not None:
        lines += ["", *_contamination(content["contamination"])]
    lines += ["", *aligned(_cost_rows(content["cost"]))]
    lines += [f"warning: {text}" for text in content["warnings"]]
    return "\n".join(lines)


def _pair_rows(pair: Json) -> list[list[str]]:
    rows = [["task", "n", pair["base"], pair["other"], "change", "95% interval", "p", "corrected",
             "gained", "lost", "could see", "verdict"]]  # fmt: skip
    for task, one in pair["tasks"].items():
        low, high = one["difference_ci95"]
        seen = one["detectable"]
        rows.append(
            [
                f"{task}*" if one["trained"] else task,
                f"{one['n']:,}",
                f"{100 * one['accuracy']['base']:.1f}%",
                f"{100 * one['accuracy']['other']:.1f}%",
                points(one["difference"]),
                f"[{points(low)}, {points(high)}]",
                _p(one["p_value"]),
                _p(one["p_adjusted"]),
                str(one["gained"]),
                str(one["lost"]),
                "nothing" if seen is None else f"≥ {100 * seen:.1f}",
                one["verdict"],
            ]
        )
    return rows


def _cost_rows(cost: Mapping[str, Json]) -> list[list[str]]:
    rows = [["cost", "tokens", "seconds", "tokens a right answer"]]
    for label, one in cost.items():
        each = one["tokens_per_correct"]
        rows.append(
            [
                label,
                f"{one['tokens']:,}",
                f"{one['seconds']:,.1f}",
                "–" if each is None else f"{each:,.1f}",
            ]
        )
    return rows


def _contamination(found: Json) -> list[str]:
    if not found["tasks"]:
        return [f"contamination: no evaluated item in {found['file']}"]
    return [
        f"contamination, {task}: {one['kept']} items in training rows that were kept, "
        f"{one['dropped']} in rows that were dropped"
        for task, one in found["tasks"].items()
    ]


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else "<0.0001"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns side by side: the first and the last to the left, those between to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    found = []
    for row in rows:
        cells = [
            text.ljust(width) if position in (0, len(row) - 1 if len(row) > 4 else 0) else
            text.rjust(width)
            for position, (text, width) in enumerate(zip(row, widths, strict=True))
        ]  # fmt: skip
        found.append("  ".join(cells).rstrip())
    return found
