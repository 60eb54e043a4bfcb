"""From records to results: grading, and one model's accuracy.

In: records, which hold the responses. Out: plain dictionaries for results.json. Grading is that of
`rewards`; a verdict that failed (`verifier_error`, `gold_error`) says nothing of the model, so it
is left out of the accuracy and counted, never a 0. Two models are `comparison.two`'s. Nothing here
generates or writes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from conf.errors import EvaluationError
from eval.answers import (
    ACCURACY,
    Answered,
    answered,
    clusters_of,
    shares,
    status_of,
    strata_of,
    weights_of,
)
from eval.items import Item
from eval.records import Record
from eval.statistics.intervals import POWER
from eval.statistics.mean import Codes, Estimate, Floats, cluster_shares, proportion
from eval.statistics.power import detectable_apart, detectable_change
from eval.statistics.samples import RESAMPLES, maj_at_k, pass_at_k, spread_interval
from rewards.registry import Reward

Result = dict[str, Any]
FEW_ITEMS: Final = 200  # below, intervals are wide: 0.5 ± 0.07 at n = 200
DISCORDANCE: Final = 0.2  # assumed where there is no second model: as two close models on GSM8K
SEED: Final = 1


def grade(item: Item, response: str, reward: Reward) -> Record:
    """The verdict on a response, as a record holds it; numbers that are not finite become None."""
    verdict = reward.judge(response, item.ground_truth, item.row)
    return {
        "status": verdict.status,
        "score": verdict.score if math.isfinite(verdict.score) else None,
        "acc": verdict.acc if math.isfinite(verdict.acc) else None,
        "pred": verdict.pred,
        "detail": verdict.detail,
        "components": dict(verdict.components),
    }


def summarise(
    label: str,
    model: str,
    fingerprint: str,
    records: Sequence[Record],
    *,
    metric: str = ACCURACY,
    population: Mapping[str, int] | None = None,
    seed: int = SEED,
) -> Result:
    """One model's results on one task; each number can be computed again from the records.

    `n_items` counts the items with a judged sample, `n` the judged samples, `broken` the samples
    whose verifier or gold answer failed. `accuracy` is the mean over items of the share of an
    item's samples that are right, which with one sample an item is `correct`/`n`. `seconds` sums
    the records' shares of generation time, without start-up. `mde` is the smallest change that a
    comparison on as many items would see with 80% power: `paired` with another model on the same
    items (at an assumed discordance), `unpaired` with one on other items.

    Args:
        label: the model's label, for messages.
        model: the name it was given.
        fingerprint: of its files.
        records: its records on the task.
        metric: `accuracy`, or a name under which the verdicts' `acc` are averaged.
        population: rows of each stratum in the whole set, when the items are a sample of it.
        seed: of resampling.

    Raises:
        EvaluationError: no verdict says anything of the model.
    """
    items = answered(records, metric)
    if not items:
        why = records[0]["verdict"].get("detail") if records else "no records"
        raise EvaluationError(
            f"{label}: the grader failed on all {len(records)} responses: {why}",
            "try it alone: python -m rewards.check",
        )
    judged = sum(len(item.values) for item in items)
    correct = sum(status_of(record) == "correct" for item in items for record in item.records)
    clusters = clusters_of(items)
    weights = weights_of(items, population)
    estimate = mean_of(items, population)
    samples = max(len(item.values) for item in items)
    tokens = sum(record["tokens"] for record in records)
    seconds = math.fsum(record["seconds"] for record in records)  # in whatever order they come
    truncated = sum(record["finish_reason"] == "length" for record in records)
    pass_at, maj_at = _at_k(items, samples, metric, seed)
    return {
        "model": model,
        "fingerprint": fingerprint,
        "n": judged,
        "n_items": len(items),
        "samples": samples,
        "clusters": None if clusters is None else int(np.unique(clusters).size),
        "correct": correct,
        "accuracy": estimate.value,
        "ci95": [estimate.interval.low, estimate.interval.high],
        "method": estimate.method,
        "weighted": weights is not None,
        "status": dict(Counter(map(status_of, records)).most_common()),
        "broken": len(records) - judged,
        "truncated": truncated,
        "truncation_share": truncated / len(records),
        "tokens": tokens,
        "mean_tokens": tokens / len(records),
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if seconds > 0 else None,
        "pass_at_k": pass_at,
        "maj_at_k": maj_at,
        "mde": _mde(estimate, len(items), clusters, weights),
        "strata": _strata(items),
        "warnings": _warnings(items, len(records) - judged, samples),
    }


def mean_of(items: Sequence[Answered], population: Mapping[str, int] | None = None) -> Estimate:
    """The mean over items of what their samples count, with the interval of every evaluation.

    Args:
        items: at least one.
        population: rows of each stratum in the whole set, when the items are a sample of it.
    """
    return proportion(
        shares(items),
        clusters_of(items),
        weights=weights_of(items, population),
        strata=strata_of(items),
        draws=sum(len(item.values) for item in items),
    )


def _at_k(items: Sequence[Answered], samples: int, metric: str, seed: int) -> tuple[Result, Result]:
    """pass@k and maj@k for powers of two up to the samples, with cluster-bootstrap intervals.

    Over the items that have that many judged samples.
    """
    passed: Result = {}
    voted: Result = {}
    if samples < 2 or metric != ACCURACY:
        return passed, voted
    generator = np.random.default_rng(seed)
    ks = sorted({2**power for power in range(samples.bit_length())} | {samples})
    for k in [k for k in ks if k <= samples]:
        enough = [item for item in items if len(item.values) >= k]
        clusters = clusters_of(enough)
        counts = [(sum(item.values), len(item.values)) for item in enough]
        passing = pass_at_k([c for c, _ in counts], [n for _, n in counts], k)
        votes = [
            maj_at_k(
                [str(r["verdict"].get("pred") or "") for r in item.records],
                item.values, k, generator,
            )
            for item in enough
        ]  # fmt: skip
        for found, values in ((passed, passing), (voted, np.array(votes))):
            interval, method = spread_interval(values, clusters, seed=seed, resamples=RESAMPLES)
            found[str(k)] = {
                "value": float(values.mean()),
                "ci95": [interval.low, interval.high],
                "method": method,
                "n_items": len(enough),
            }
    return passed, voted


def _mde(
    estimate: Estimate, n_items: int, clusters: Codes | None, weights: Floats | None
) -> Result:
    """What a comparison on these items would see with 80% power.

    Paired: of the exact McNemar test for single answers, else of the sign-flip test over as many
    clusters. Unpaired: `detectable_apart`.
    """
    single = estimate.method == "wilson"
    shares = None if single else cluster_shares(n_items, clusters, weights)
    error = math.sqrt(DISCORDANCE / estimate.effective_n)
    found = detectable_change(estimate.effective_n, DISCORDANCE, error, shares)
    degrees = math.inf if single else estimate.degrees
    unpaired = detectable_apart(estimate.value, estimate.effective_n, degrees)
    return {
        "paired": found if math.isfinite(found) else None,
        "unpaired": unpaired if unpaired < 1 else None,
        "discordance": DISCORDANCE,
        "power": POWER,
    }


def _strata(items: Sequence[Answered]) -> Result:
    """Accuracy of each stratum; none when there is one."""
    groups: dict[str, list[Answered]] = {}
    for item in items:
        groups.setdefault(item.stratum, []).append(item)
    if len(groups) < 2:
        return {}
    found = {}
    for name in sorted(groups):
        members = groups[name]
        estimate = mean_of(members)
        found[name] = {
            "n_items": len(members),
            "accuracy": estimate.value,
            "ci95": [estimate.interval.low, estimate.interval.high],
        }
    return found


def _warnings(items: Sequence[Answered], broken: int, samples: int) -> list[str]:
    found = []
    if len(items) < FEW_ITEMS:
        found.append(f"n = {len(items)} is below {FEW_ITEMS}: the interval is wide")
    if broken:
        found.append(f"the grader failed on {broken} responses; they are left out")
    fewer = sum(len(item.values) < samples for item in items)
    if fewer:
        found.append(f"{fewer} items have fewer than {samples} judged samples")
    return found
