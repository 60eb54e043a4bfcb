"""Training metrics of the rewards, which verl makes none of: components, statuses, latency, groups.

In: a step's verdicts as the workers counted them (`Event` tuples), and its rows as they are trained
on. Out: flat metrics under `reward/`. Pure arithmetic: reads no queue, asks no worker, imports
nothing heavy.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

STATUSES = ("correct", "wrong", "unparseable", "timeout", "verifier_error", "gold_error")
BROKEN = STATUSES[-2:]
COMPONENT = "component_"
MEANS = {"acc": "reward/acc/mean", "truncated": "reward/truncated/share"}


@dataclass(frozen=True)
class Row:
    """One response as it is trained on.

    Attributes:
        key: verl's, `{prompt}_{session}_{index}`.
        group: the prompt's uid.
        score: the sum of its token-level scores.
        info: the reward's flat verdict.
    """

    key: str
    group: str
    score: float
    info: Mapping[str, Any]


def verdict_metrics(events: Sequence[Sequence[Any]], prefix: str = "reward") -> dict[str, float]:
    """Status rates and latencies over all verdicts, those of dropped samples too.

    Args:
        events: `(at, status, seconds, retried)` of each.
        prefix: before each metric's name.
    """
    n = len(events)
    if not n:
        return {}
    status = Counter(event[1] for event in events)
    seconds = sorted(float(event[2]) for event in events)
    metrics = {f"{prefix}/status/{name}": status[name] / n for name in STATUSES}
    return metrics | {
        f"{prefix}/dropped": float(sum(status[name] for name in BROKEN)),
        f"{prefix}/retried": sum(bool(event[3]) for event in events) / n,
        f"{prefix}/latency_ms/p50": 1000 * percentile(seconds, 0.50),
        f"{prefix}/latency_ms/p99": 1000 * percentile(seconds, 0.99),
    }


def percentile(ordered: Sequence[float], q: float) -> float:
    """The smallest value that at least a share `q` of the values does not exceed."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def row_metrics(rows: Sequence[Row]) -> dict[str, float]:
    """Component means, truncated share, and the share of groups that teach nothing.

    A group whose scores are all equal has advantages of 0 under GRPO. Groups of one are not
    counted: theirs are 0 by construction.
    """
    if not rows:
        return {}
    names = dict.fromkeys(name for row in rows for name in row.info)
    metrics: dict[str, float] = {}
    for name in names:
        values = [row.info[name] for row in rows if name in row.info]
        if name.startswith(COMPONENT):
            metrics[f"reward/component/{name.removeprefix(COMPONENT)}/mean"] = mean(values)
        elif name in MEANS:
            metrics[MEANS[name]] = mean(values)
    groups = [scores for scores in grouped(rows).values() if len(scores) > 1]
    if groups:
        same = sum(max(r.score for r in one) == min(r.score for r in one) for one in groups)
        metrics["reward/zero_variance_groups"] = same / len(groups)
    return metrics


def grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows by prompt."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.group].append(row)
    return dict(groups)


def mean(values: Sequence[Any]) -> float:
    """The arithmetic mean of numbers."""
    return math.fsum(map(float, values)) / len(values)


def with_verdicts(dump: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """What verl dumps of a step, with a column for each part of the verdicts.

    Args:
        dump: verl's columns `inputs`, `outputs`, `gts`, `scores`, and `reward_extra_infos_dict`,
            whose `uid` names the rows.
        rows: those that were trained on; others are verl's padding, and left out.
    """
    extra = dump["reward_extra_infos_dict"]
    infos = {row.key: row.info for row in rows}
    kept = [n for n, key in enumerate(extra["uid"]) if key in infos]

    def of_kept(column: Sequence[Any]) -> list[Any]:
        return [column[n] for n in kept]

    columns = {name: of_kept(dump[name]) for name in ("inputs", "outputs", "gts", "scores")}
    verdicts: dict[str, list[Any]] = {name: of_kept(column) for name, column in extra.items()}
    for name in dict.fromkeys(name for info in infos.values() for name in info):
        verdicts[name] = [infos[key].get(name) for key in verdicts["uid"]]
    return {**columns, "reward_extra_infos_dict": verdicts}


def final_rows(rows: Iterable[Row]) -> list[Row]:
    """Of a session's several outputs the last, which its verdict is on."""
    last: dict[str, tuple[int, Row]] = {}
    for row in rows:
        session, _, index = row.key.rpartition("_")
        if session not in last or int(index) > last[session][0]:
            last[session] = (int(index), row)
    return [row for _, row in last.values()]
