"""What a comparison says in words: the headline, forgetting, and what the control arm leaves of it.

In: the content of comparison.json with its pairs. Out: its `verdict` and `forgetting`. Words follow
from the verdicts of the tasks; no test is made here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.statistics.paired import IMPROVED, REGRESSED, p_text

Json = dict[str, Any]


def points(share: float, digits: int = 1) -> str:
    """A difference in percentage points, with its sign."""
    return f"{100 * share:+.{digits}f}"


def forgetting(content: Mapping[str, Any]) -> Json:
    """Each model's tasks that were not trained, against the base; empty when nobody said which."""
    if content["trained"] is None:
        return {}
    found = {}
    for pair in content["pairs"]:
        if pair["purpose"] not in ("change", "control"):
            continue
        rows = [
            {
                "task": task,
                "base": one["accuracy"]["base"],
                "tuned": one["accuracy"]["other"],
                "difference": one["difference"],
                "ci95": one["difference_ci95"],
                "p_adjusted": one["p_adjusted"],
                "verdict": one["verdict"],
                "detectable": one["detectable"],
                "worst_loss": max(-one["difference_ci95"][0], 0.0),
            }
            for task, one in pair["tasks"].items()
            if not one["trained"]
        ]
        found[pair["other"]] = {"rows": rows, "sentence": _forgotten(rows)}
    return found


def _forgotten(rows: Sequence[Json]) -> str:
    if not rows:
        return "Every evaluated task was trained: forgetting was not measured."
    lost = [row for row in rows if row["verdict"] == REGRESSED]
    worst = max(rows, key=lambda row: row["worst_loss"])
    count = f"{len(rows)} task{'s that were' if len(rows) > 1 else ' that was'} not trained"
    if lost:
        what = ", ".join(f"{row['task']} ({points(row['difference'])} points)" for row in lost)
        return f"{count}: {what} regressed."
    none = "none regressed" if len(rows) > 1 else "no regression detected"
    return (
        f"{count}: {none}; a loss of up to {100 * worst['worst_loss']:.1f} points on "
        f"{worst['task']} is not excluded."
    )


def verdict(content: Mapping[str, Any]) -> Json:
    """State, headline and sentence on the first pair, base → tuned.

    The headline names tasks. The state is `mixed` also when the tuned model improved, but is not
    better than the control arm on any improved task: a control arm that was trained with random
    rewards can gain as well (Shao et al. 2025, arXiv 2506.10947).
    """
    pair = content["pairs"][0]
    tasks = pair["tasks"]
    better = [task for task, one in tasks.items() if one["verdict"] == IMPROVED]
    worse = [task for task, one in tasks.items() if one["verdict"] == REGRESSED]
    state = "mixed" if better and worse else "unclear"
    if better and not worse:
        state = "improved"
    elif worse and not better:
        state = "regressed"
    shown = _order(content, tasks)
    parts = []
    for word, names in (("Improved", better), ("regressed", worse)):
        if names:
            parts.append(f"{word} on {_named(tasks, names)}")
    headline = ", ".join(parts) or f"No detectable change on {_named(tasks, shown[:3])}"
    headline = headline[0].upper() + headline[1:]
    sentences = [_numbers(content, task, tasks[task]) for task in ([*better, *worse] or shown)[:3]]
    against = _control(content, pair["other"], better)
    if against is not None:
        holds, text = against
        if not holds and state == "improved":
            state = "mixed"
            headline += ", but not beyond the control arm"
        sentences.append(text)
    if content["forgetting"].get(pair["other"], {}).get("rows"):
        sentences.append(content["forgetting"][pair["other"]]["sentence"])
    sentences += _contaminated(tasks)
    return {"state": state, "headline": headline, "sentence": " ".join(sentences)}


def _order(content: Mapping[str, Any], tasks: Mapping[str, Json]) -> list[str]:
    """Trained tasks first."""
    trained = content["trained"] or ()
    return sorted(tasks, key=lambda task: task not in trained)


def _named(tasks: Mapping[str, Json], names: Sequence[str]) -> str:
    return ", ".join(
        f"{task} ({100 * tasks[task]['accuracy']['base']:.1f}% → "
        f"{100 * tasks[task]['accuracy']['other']:.1f}%)"
        for task in names
    )


def _numbers(content: Mapping[str, Any], task: str, one: Json) -> str:
    low, high = one["difference_ci95"]
    family = sum(len(pair["tasks"]) for pair in content["pairs"])
    corrected = f", corrected for {family} comparisons" if family > 1 else ""
    text = (
        f"{task}: {points(one['difference'])} points [{points(low)}, {points(high)}] "
        f"({p_text(one['p_adjusted'])}{corrected}; n = {one['n']:,})"
    )
    if one["verdict"] in (IMPROVED, REGRESSED):
        return f"{text}."
    if one["detectable"] is None:
        return f"{text}; nothing could have been seen at this n."
    return f"{text}; could have seen {100 * one['detectable']:.1f} points or more."


def _control(
    content: Mapping[str, Any], label: str, better: Sequence[str]
) -> tuple[bool, str] | None:
    """Whether the tuned model beats the control arm on what it improved, in words."""
    beyond = next(
        (
            pair
            for pair in content["pairs"]
            if pair["purpose"] == "beyond_control" and pair["other"] == label
        ),
        None,
    )
    if beyond is None:
        return None
    alone = next(
        pair
        for pair in content["pairs"]
        if pair["purpose"] == "control" and pair["other"] == beyond["base"]
    )
    asked = [task for task in better or list(beyond["tasks"]) if task in beyond["tasks"]]
    texts = []
    for task in asked[:3]:
        gain, more = alone["tasks"][task], beyond["tasks"][task]
        texts.append(
            f"{task}: the control arm changed by {points(gain['difference'])} points "
            f"({gain['verdict']}), {label} is {points(more['difference'])} points from it "
            f"({_against(more['verdict'])})."
        )
    holds = any(beyond["tasks"][task]["verdict"] == IMPROVED for task in asked)
    if better and not holds:
        texts.append("The gain may not come from the reward.")
    return holds, " ".join(texts)


def _against(word: str) -> str:
    """A verdict as a relation to the control arm."""
    return {IMPROVED: "better", REGRESSED: "worse"}.get(word, "no detectable difference")


def _contaminated(tasks: Mapping[str, Json]) -> list[str]:
    """Where the verdict is another without contaminated items."""
    return [
        f"{task}: without the {one['clean']['left_out']} items found in the training data it is "
        f"{one['clean']['verdict']}."
        for task, one in tasks.items()
        if one["clean"] is not None and one["clean"]["verdict"] != one["verdict"]
    ]
