"""OpenR1-Math: problems with several generated solutions, some of them verified.

In: a raw row. Out: `Fields`; for SFT, the first generation that ends and that math-verify, or for
the rows that it could not judge Llama, found right. Verifies nothing itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data_prep.rows_schema import Kind
from data_prep.sources import columns, fields
from data_prep.sources.columns import Lack
from data_prep.sources.declare import Declaration
from data_prep.sources.fields import Fields


def openr1_math(declared: Declaration, kind: Kind, raw: Mapping[str, Any], where: str) -> Fields:
    """The gold answer for RL, a right generation for SFT."""
    made = fields.mapped(declared, raw, where)
    if kind == "rl":
        made.answer = fields.gold(declared, raw, where)
        return made
    generations = columns.value(raw, "generations", where) or []
    right = columns.value(raw, "correctness_math_verify?", where)
    if not right or all(one is None for one in right):
        right = columns.value(raw, "correctness_llama?", where) or []
    whole = columns.value(raw, "is_reasoning_complete?", where) or [True] * len(generations)
    for text, is_right, is_whole in zip(generations, right, whole, strict=False):
        if is_right and is_whole and str(text).strip():
            made.response = text
            return made
    raise Lack("no_right_answer", f"{len(generations)} generations")
