"""The verdict on two models as results.json of a run has it: one pair, one task, no correction.

In: the records of two models on one set of rows. Out: `verdict` of results.json. The items are
paired, checked and compared by `comparison.task`, as `eval.compare` does it. Reads no file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eval.comparison.read import Compared, TaskRecords
from eval.comparison.task import pair_task
from eval.records import Record
from eval.score import Result
from eval.statistics import paired
from eval.statistics.intervals import ALPHA, POWER, Paired, wilson


def compare_two(
    base_label: str, base: Sequence[Record], tuned_label: str, tuned: Sequence[Record]
) -> Result:
    """The verdict on two models, over the same items that were judged for both.

    `improved` or `regressed` when the test rejects at 5% (exact McNemar; with clusters or several
    samples the sign-flip test of `statistics.paired`), else `no detectable change`, with the
    difference that would have been seen with 80% power at this discordance. With several samples
    an item counts as right in the table when most of its samples are.

    Raises:
        EvaluationError: no item was judged for both, or the models were asked other things.
    """
    models = [
        Compared(label, label, "", Path(), {"rows": TaskRecords(tuple(records))})
        for label, records in ((base_label, base), (tuned_label, tuned))
    ]
    pair = pair_task("rows", *models, trained=None, flagged=None, seed=0, resamples=0)
    change = pair.change
    cells = Counter(
        (a.share > 0.5, b.share > 0.5) for a, b in zip(pair.base, pair.other, strict=True)
    )
    table = change.table or Paired(
        both_right=cells[True, True],
        only_base=cells[True, False],
        only_tuned=cells[False, True],
        both_wrong=cells[False, False],
    )
    overlap = wilson(table.both_right + table.only_base, table.n).overlaps(
        wilson(table.both_right + table.only_tuned, table.n)
    )
    detectable = change.detectable()
    return {
        "verdict": change.word(),
        "line": f"{paired.line(change)}, {table.only_tuned} gained, {table.only_base} lost; "
        f"the two 95% intervals {'overlap' if overlap else 'do not overlap'}",
        "base": base_label,
        "tuned": tuned_label,
        "n": table.n,
        "both_right": table.both_right,
        "only_base": table.only_base,
        "only_tuned": table.only_tuned,
        "both_wrong": table.both_wrong,
        "discordant": table.discordant,
        "left_out": dict(pair.left_out),
        "p_value": change.p_value,
        "test": change.test,
        "alpha": ALPHA,
        "difference": change.difference,
        "difference_ci95": [change.interval.low, change.interval.high],
        "difference_method": change.interval_method,
        "detectable": detectable if math.isfinite(detectable) else None,
        "power": POWER,
        "intervals_overlap": overlap,
    }
