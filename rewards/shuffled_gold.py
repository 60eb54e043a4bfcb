"""The control arm `shuffled_gold`: each response is scored against another row's gold answer.

In: a response, the row's id, and the training files. Out: a `Verdict` whose score is that against
the other answer, while `acc`, `pred` and status stay those against the row's own: curves of
accuracy stay honest. Unlike `random` it keeps the distribution of answers and of what a grader
accepts, so a model that gains under it has learnt the form, not the content. The shuffle is decided
by the seed and the files alone: each worker draws the same. Files are Parquet, as verl reads them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from conf.errors import RewardError
from rewards.lengths import inner_reward
from rewards.verdict import Verdict, gold_error

COLUMNS: Final = ("data_source", "reward_model", "extra_info")


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Another gold answer for each row.

    Attributes:
        golds: by the row's data source and id, the gold of another row of that source.
        lonely: data sources all of whose rows have one gold answer: none can be shuffled.
    """

    golds: Mapping[tuple[str, str], Any]
    lonely: frozenset[str]


def _order(seed: int, source: str, id: str) -> bytes:
    return hashlib.sha256("\x1f".join((str(seed), source, id)).encode()).digest()


def _key(gold: Any) -> str:
    return gold if isinstance(gold, str) else json.dumps(gold, sort_keys=True, default=str)


def derange(golds: Sequence[str]) -> list[int] | None:
    """For each position another one whose answer differs from its own; None if there is none.

    Sorted by answer, each takes what lies half the list further; where one answer fills more than
    half, the surplus takes the other answers in turn, so none is left with its own.

    Args:
        golds: the answers, in an order that was drawn at random.
    """
    size = len(golds)
    ranked = sorted(range(size), key=lambda i: golds[i])  # stable: equal ones stay shuffled
    others = [i for i in range(size) if size and golds[i] != golds[ranked[size // 2]]]
    if not others:
        return None
    result = [0] * size
    for rank, position in enumerate(ranked):
        other = ranked[(rank + size // 2) % size]
        if golds[other] == golds[position]:
            other = others[rank % len(others)]
        result[position] = other
    return result


def shuffle(rows: Sequence[tuple[str, str, Any]], seed: int) -> Shuffle:
    """Another gold answer for each row.

    Args:
        rows: data source, id and gold of each.
        seed: another seed, another shuffle.
    """
    by_source: dict[str, list[tuple[str, Any]]] = {}
    for source, id, gold in rows:
        by_source.setdefault(source, []).append((id, gold))
    golds: dict[tuple[str, str], Any] = {}
    lonely = set()
    for source, pairs in by_source.items():
        drawn = sorted(pairs, key=lambda pair: _order(seed, source, pair[0]))
        chosen = derange([_key(gold) for _, gold in drawn])
        if chosen is None:
            lonely.add(source)
            continue
        for (id, _), other in zip(drawn, chosen, strict=True):
            golds[source, id] = drawn[other][1]
    return Shuffle(golds, frozenset(lonely))


def row_id(row: Mapping[str, Any]) -> str:
    """What names a row in its file: its `id`, else its `index`."""
    name = row.get("id")
    return str(row.get("index") if name is None or name == "" else name)


@lru_cache(maxsize=4)
def from_files(files: tuple[str, ...], seed: int) -> Shuffle:
    """The shuffle of Parquet files' rows.

    Raises:
        RewardError: a file cannot be read or lacks verl's columns.
    """
    import pyarrow.parquet

    rows: list[tuple[str, str, Any]] = []
    for name in files:
        try:
            table = pyarrow.parquet.read_table(Path(name).expanduser(), columns=list(COLUMNS))
            for row in table.to_pylist():
                gold = row["reward_model"]["ground_truth"]
                rows.append((row["data_source"], row_id(row["extra_info"]), gold))
        except (OSError, KeyError, TypeError, pyarrow.ArrowException) as error:
            raise RewardError(
                f"shuffled_gold cannot read {name!r}: {type(error).__name__}: {error}",
                fix="give the Parquet files of data.train_files and data.val_files",
            ) from error
    return shuffle(rows, seed)


def grade_shuffled_gold(
    response: str,
    gold: Any,
    *,
    files: Sequence[str] | str,
    reward: str = "math",
    reward_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    data_source: str = "",
    id: str | None = None,
    index: Any = None,
    **row: Any,
) -> Verdict:
    """Judge one response against another row's gold.

    Args:
        response: the model's text.
        gold: the row's own ground truth, for `acc`, `pred` and status.
        files: the Parquet files whose rows are shuffled, each data source within itself.
        reward: the reward whose control this is.
        reward_options: its options.
        seed: another seed, another shuffle.
        data_source: from the row.
        id: from the row.
        index: from the row, where it has no id.
        row: the row's other fields, for the inner reward.

    Raises:
        RewardError: a file cannot be read, or does not hold this row.
    """
    inner = inner_reward(reward, reward_options)
    fields = {**row, "data_source": data_source, "id": id, "index": index}
    own = inner.judge(response, gold, fields)
    if own.broken:
        return own
    names = (files,) if isinstance(files, str) else tuple(files)
    drawn = from_files(names, seed)
    name = (data_source, row_id(fields))
    if data_source in drawn.lonely:
        return gold_error(f"all rows of {data_source!r} have the same gold: nothing to shuffle")
    if name not in drawn.golds:
        raise RewardError(
            f"row {name[1]!r} of {data_source!r} is in none of {', '.join(names)}",
            fix="files=[…] must name the run's training and validation files",
        )
    other = inner.judge(response, drawn.golds[name], fields)
    return other if other.broken else replace(own, score=other.score)
