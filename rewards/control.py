"""Control arms: rewards that carry no information, to show that a gain comes from the reward.

In: as any reward. Out: a score that does not depend on correctness (`constant`, `random`), or
depends on another row's gold answer (`shuffled_gold`), beside the true `acc`, `pred` and status, so
that curves of accuracy stay honest. Deterministic: no global random state. `Arm` puts one on top of
any other reward; the graders of these names do so for `math`.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from conf.errors import RewardError
from rewards.math.grade import grade_math
from rewards.verdict import Verdict

ARMS: Final = ("constant", "random", "shuffled_gold")
MAX_DRAWS: Final = 64  # of another gold, before all of them are taken to be the same


def grade_constant(response: str, gold: str, *, value: float = 0.5) -> Verdict:
    """The same score for each response; a group's advantages are then all zero.

    Args:
        response: the model's text, judged for `acc` only.
        gold: the row's ground truth.
        value: the score.
    """
    verdict = grade_math(response, gold)
    return verdict if verdict.broken else replace(verdict, score=float(value))


def grade_random(
    response: str, gold: str, *, seed: int = 0, p: float = 0.5, id: str = "", index: str = ""
) -> Verdict:
    """Score 1 with probability `p`, else 0, by a hash of seed, prompt and response.

    Args:
        response: the model's text; equal responses to one prompt get equal scores.
        gold: the row's ground truth.
        seed: another seed, another draw.
        p: probability of a 1, in [0, 1].
        id: the row's stable id, from `extra_info`.
        index: the row's index, used when it has no id.

    Raises:
        ValueError: `p` is outside [0, 1].
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p must lie in [0, 1], got {p!r}")
    verdict = grade_math(response, gold)
    score = _coin(seed, str(id or index), response, p)
    return verdict if verdict.broken else replace(verdict, score=score)


def grade_shuffled_gold(
    response: str,
    gold: str,
    *,
    golds: Sequence[str],
    seed: int = 0,
    id: str = "",
    index: str = "",
) -> Verdict:
    """The score that the response would get against another row's gold answer.

    Args:
        response: the model's text.
        gold: the row's own ground truth, for `acc`.
        golds: the gold answers to draw from.
        seed: another seed, another draw.
        id: the row's stable id, from `extra_info`.
        index: the row's index, used when it has no id.
    """
    verdict = grade_math(response, gold)
    other = grade_math(response, another_gold(gold, golds, seed, str(id or index)))
    return verdict if verdict.broken or other.broken else replace(verdict, score=other.score)


def _hash(*parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:7], "big")


def _coin(seed: int, prompt: str, response: str, p: float) -> float:
    """1.0 with probability `p`, decided by a hash of all three."""
    return float(_hash(str(seed), prompt, response) / 2**56 < p)


def another_gold(gold: Any, golds: Sequence[Any], seed: int, prompt: str) -> Any:
    """A gold answer of another row, the same one for all responses to a prompt.

    Raises:
        RewardError: all gold answers are this one.
    """
    for draw in range(MAX_DRAWS if golds else 0):
        other = golds[_hash(str(seed), prompt, str(draw)) % len(golds)]
        if other != gold:
            return other
    raise RewardError(
        f"shuffled_gold: among {len(golds)} gold answers there is none but {str(gold)[:80]!r}",
        fix="data with several gold answers, or control=none",
    )


@functools.cache
def golds_of(files: tuple[str, ...]) -> tuple[Any, ...]:
    """The gold answers of Parquet files in verl's columns, in their order.

    Raises:
        RewardError: a file cannot be read so.
    """
    import pyarrow.parquet as pq

    found: list[Any] = []
    for file in files:
        try:
            table = pq.ParquetFile(file).read(columns=["reward_model"])
            found += [row["ground_truth"] for row in table.column("reward_model").to_pylist()]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RewardError(
                f"shuffled_gold reads its gold answers from {file}: {error}",
                fix="data.train_files=… with the column reward_model.ground_truth",
            ) from error
    return tuple(found)


@dataclass(frozen=True)
class Arm:
    """A control arm over a recipe's own reward.

    Attributes:
        name: one of `ARMS`.
        judge: the recipe's reward.
        files: where `shuffled_gold` takes the other gold answers from.
    """

    name: str
    judge: Callable[[str, Any, Mapping[str, Any]], Verdict]
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse an arm that does not exist."""
        if self.name not in ARMS:
            raise RewardError(
                f"no control arm {self.name!r}; there are {', '.join(ARMS)}", "control=none"
            )

    def __call__(self, response: str, gold: Any, row: Mapping[str, Any]) -> Verdict:
        """The real verdict with the arm's score; `acc`, `pred` and status stay the real ones."""
        verdict = self.judge(response, gold, row)
        if verdict.broken:
            return verdict
        prompt = str(row.get("index") if row.get("id") is None else row["id"])
        if self.name == "constant":
            return replace(verdict, score=0.5)
        if self.name == "random":
            return replace(verdict, score=_coin(0, prompt, response, 0.5))
        other = self.judge(response, self._other(gold, prompt), row)
        return other if other.broken else replace(verdict, score=other.score)

    def _other(self, gold: Any, prompt: str) -> Any:
        golds = golds_of(self.files)
        return another_gold(gold, golds, 0, prompt if prompt != "None" else json.dumps(str(gold)))
