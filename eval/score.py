"""From records to results: grading, one model's accuracy, and the verdict on two.

In: records, which hold the responses. Out: plain dictionaries for results.json. Grading is that of
`rewards`; a verdict that failed (`verifier_error`, `gold_error`) says nothing of the model, so it
is left out of the accuracy and counted, never a 0. Nothing here generates or writes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from conf.errors import EvaluationError
from eval.items import Item
from eval.records import Record
from eval.statistics import (
    ALPHA,
    POWER,
    Interval,
    Paired,
    mcnemar_exact,
    minimum_detectable_effect,
    paired_difference,
    wilson,
)
from rewards.registry import Reward
from rewards.verdict import BROKEN

Result = dict[str, Any]


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


def _status(record: Record) -> str:
    return str(record["verdict"]["status"])


def _right(record: Record) -> bool:
    return _status(record) == "correct"


def _judged(record: Record) -> bool:
    return _status(record) not in BROKEN


def summarise(label: str, model: str, fingerprint: str, records: Sequence[Record]) -> Result:
    """One model's results; each number can be computed again from the records.

    `n` counts the judged items, `broken` those whose verifier or gold answer failed; `accuracy`
    is `correct`/`n`, with its Wilson interval. `seconds` sums the records' shares of generation
    time, without start-up.

    Raises:
        EvaluationError: no verdict says anything of the model.
    """
    judged = [record for record in records if _judged(record)]
    if not judged:
        why = records[0]["verdict"]["detail"] if records else "no records"
        raise EvaluationError(
            f"{label}: the grader failed on all {len(records)} responses: {why}",
            "try it alone: python -m rewards.check",
        )
    correct = sum(map(_right, judged))
    interval = wilson(correct, len(judged))
    tokens = sum(record["tokens"] for record in records)
    seconds = sum(record["seconds"] for record in records)
    truncated = sum(record["finish_reason"] == "length" for record in records)
    return {
        "model": model,
        "fingerprint": fingerprint,
        "n": len(judged),
        "correct": correct,
        "accuracy": correct / len(judged),
        "ci95": [interval.low, interval.high],
        "method": "wilson",
        "status": dict(Counter(map(_status, records)).most_common()),
        "broken": len(records) - len(judged),
        "truncated": truncated,
        "truncation_share": truncated / len(records),
        "tokens": tokens,
        "mean_tokens": tokens / len(records),
        "seconds": seconds,
        "tokens_per_second": tokens / seconds if seconds > 0 else None,
    }


def compare(
    base_label: str, base: Sequence[Record], tuned_label: str, tuned: Sequence[Record]
) -> Result:
    """The verdict on two models, paired by row over the items that were judged for both.

    `improved` or `regressed` when the exact McNemar test rejects at 5%, else `no detectable
    change`, with the difference that would have been seen with 80% power at this discordance.

    Raises:
        EvaluationError: no item was judged for both.
    """
    by_row = {record["index"]: record for record in base if _judged(record)}
    pairs = [
        (by_row[record["index"]], record)
        for record in tuned
        if _judged(record) and record["index"] in by_row
    ]
    if not pairs:
        raise EvaluationError(
            f"{base_label} and {tuned_label} have no judged item in common",
            "python -m rewards.check",
        )
    cells = Counter((_right(left), _right(right)) for left, right in pairs)
    table = Paired(
        both_right=cells[True, True],
        only_base=cells[True, False],
        only_tuned=cells[False, True],
        both_wrong=cells[False, False],
    )
    p_value = mcnemar_exact(table.only_base, table.only_tuned)
    interval = paired_difference(table)
    detectable = minimum_detectable_effect(table.n, table.discordant / table.n)
    word = "no detectable change"
    if p_value < ALPHA:
        word = "improved" if table.difference > 0 else "regressed"
    overlap = wilson(table.both_right + table.only_base, table.n).overlaps(
        wilson(table.both_right + table.only_tuned, table.n)
    )
    return {
        "verdict": word,
        "line": _line(word, table, p_value, interval, detectable, overlap),
        "base": base_label,
        "tuned": tuned_label,
        "n": table.n,
        "both_right": table.both_right,
        "only_base": table.only_base,
        "only_tuned": table.only_tuned,
        "both_wrong": table.both_wrong,
        "discordant": table.discordant,
        "p_value": p_value,
        "test": "mcnemar-exact",
        "alpha": ALPHA,
        "difference": table.difference,
        "difference_ci95": [interval.low, interval.high],
        "difference_method": "newcombe-10",
        "detectable": detectable if math.isfinite(detectable) else None,
        "power": POWER,
        "intervals_overlap": overlap,
    }


def _line(
    word: str,
    table: Paired,
    p_value: float,
    interval: Interval,
    detectable: float,
    overlap: bool,
) -> str:
    """The verdict in one line, in percentage points."""
    p = f"p = {p_value:.2g}" if p_value >= 1e-4 else "p < 0.0001"
    seen = f"≥ {100 * detectable:.1f} points" if math.isfinite(detectable) else "nothing at this n"
    could = f" (could have seen {seen})" if p_value >= ALPHA else ""
    return (
        f"{word}{could}: {100 * table.difference:+.1f} points "
        f"[{100 * interval.low:+.1f}, {100 * interval.high:+.1f}], {p}, n = {table.n}, "
        f"{table.only_tuned} gained, {table.only_base} lost; "
        f"the two 95% intervals {'overlap' if overlap else 'do not overlap'}"
    )
