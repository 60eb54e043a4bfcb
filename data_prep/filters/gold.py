"""The filter `gold`: an RL row whose gold answer fails the verifier that training will use.

In: RL rows; others pass. Out: a finding when the gold answer, given as a response, is not right.
Such a row can only ever punish. A verifier that breaks is no fault of the row: it stops the
preparation.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

from pydantic import Field, field_validator

from conf.errors import RewardError
from data_prep.filters.base import Finding, Row, RowFilter, gold_of, id_of, kind_of, split_of
from rewards.registry import Reward, load_correctness


class Gold(RowFilter):
    r"""The filter `gold`.

    Attributes:
        reward: name, `path.py:function` or `module:function`.
        reward_options: its options.
        response: how the gold answer is said; `{gold}` stands for it, `\boxed{{gold}}` boxes it.
    """

    name: ClassVar[str] = "gold"
    reasons: ClassVar[Mapping[str, str]] = {
        "gold_fails": "the gold answer, given as a response, is judged wrong",
        "gold_unusable": "the verifier cannot use the gold answer",
    }

    reward: str = "math"
    reward_options: dict[str, Any] = Field(default_factory=dict)
    response: str = "#### {gold}"

    @field_validator("response")
    @classmethod
    def _says_gold(cls, value: str) -> str:
        if "{gold}" not in value:
            raise ValueError("needs {gold} in it")
        return value

    @cached_property
    def _reward(self) -> Reward:
        return load_correctness(self.reward, self.reward_options)

    def judge_row(self, row: Row) -> Finding | None:
        """What the verifier says of the gold answer.

        Raises:
            RewardError: the verifier broke.
        """
        if kind_of(row) != "rl":
            return None
        gold = gold_of(row)
        if gold is None:
            return self.found("gold_unusable", "no ground truth")
        extra = row.get("extra_info")
        known = {
            **(dict(extra) if isinstance(extra, Mapping) else {}),
            "data_source": row.get("data_source"),
            "id": id_of(row),
            "split": split_of(row),
        }
        verdict = self._reward.judge(self.response.replace("{gold}", gold), gold, known)
        if verdict.status == "verifier_error":
            raise RewardError(f"row {id_of(row)}: {verdict.detail}", fix="filters.gold.reward=…")
        if verdict.status == "gold_error":
            return self.found("gold_unusable", verdict.detail)
        if verdict.acc != 1.0:
            return self.found("gold_fails", f"{verdict.status}: {verdict.detail or gold[:60]}")
        return None
