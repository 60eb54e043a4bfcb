"""Which items a model is asked: rows of RL Parquet, all of them or a seeded stratified sample.

In: a Parquet file with verl's columns (`prompt`, `reward_model.ground_truth`, `data_source`,
`extra_info`). Out: `Item`s in the file's order, always the same for the same file, n and seed. A
file that cannot be read is a `DataError`. Chat templates are the model's matter, not ours.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from conf.errors import DataError
from rewards.registry import row_fields

COLUMNS = ("prompt", "reward_model", "data_source")
BREAKDOWNS = ("category", "difficulty", "level", "subject", "type", "language")  # of extra_info


_PLAIN = (str, int, float, bool)


@dataclass(frozen=True, slots=True)
class Item:
    """One question.

    Attributes:
        index: row number in the file; what pairs two models' answers.
        id: `extra_info.id`, else `extra_info.index`, else the row number, as a string; files of
            several sources may have one twice.
        prompt: the chat up to the model's turn, [{role, content}, …].
        ground_truth: the gold answer, as the grader wants it.
        data_source: the row's source, which a grader may read.
        extra_info: the row's other fields, those within `more` among them.
        stratum: value of the column that the sample is balanced over.
        cluster: what it has in common with items that are not independent of it; None: nothing.
        extra: what breakdowns need (level, subject, language …).
        turns: what the user says turn by turn, where there are several.
        golds: the gold answer of each turn, where they differ.
    """

    index: int
    id: str
    prompt: list[dict[str, str]]
    ground_truth: Any
    data_source: str
    extra_info: Mapping[str, Any]
    stratum: str
    cluster: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    turns: tuple[str, ...] | None = None
    golds: tuple[Any, ...] | None = None

    @property
    def row(self) -> dict[str, Any]:
        """What a grader may read of the row."""
        return {"prompt": self.prompt, **self.extra_info, "data_source": self.data_source}


def read_items(path: Path, strata: str = "data_source") -> list[Item]:
    """All rows of a Parquet file.

    Args:
        path: the file.
        strata: dotted name of a column, such as `extra_info.level`.

    Raises:
        DataError: no such file, not Parquet, columns missing, no rows, or a row without prompt.
    """
    if not path.is_file():
        raise DataError(f"no such file: {path}", "data=FILE.parquet, as data_prep.prepare writes")
    try:
        rows = pq.read_table(path).to_pylist()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"cannot read {path} as Parquet: {reason}", "write it again") from error
    if not rows:
        raise DataError(f"{path} has no rows", "data=FILE.parquet with at least one row")
    missing = [name for name in COLUMNS if name not in rows[0]]
    if missing:
        raise DataError(
            f"{path} has no column {', '.join(missing)}; it has {', '.join(rows[0])}",
            "give the RL file of data_prep.prepare (test.parquet), not the SFT one",
        )
    return [_item(index, row, path, strata) for index, row in enumerate(rows)]


def _item(index: int, row: Mapping[str, Any], path: Path, strata: str) -> Item:
    prompt = row["prompt"]
    shaped = isinstance(prompt, list) and all(
        isinstance(turn, dict) and isinstance(turn.get("content"), str) for turn in prompt
    )
    if not prompt or not shaped:
        raise DataError(
            f"{path} row {index}: prompt is {prompt!r:.80}, need a list of {{role, content}}",
            "prepare the data again",
        )
    reward_model = row["reward_model"]
    if not isinstance(reward_model, dict) or reward_model.get("ground_truth") is None:
        raise DataError(f"{path} row {index}: no reward_model.ground_truth", "prepare it again")
    raw = row["extra_info"] if isinstance(row.get("extra_info"), dict) else {}
    extra = row_fields(raw)
    return Item(
        index=index,
        id=item_id(extra, index),
        prompt=[{"role": turn["role"], "content": turn["content"]} for turn in prompt],
        ground_truth=reward_model["ground_truth"],
        data_source=str(row["data_source"]),
        extra_info=extra,
        stratum=_stratum({**row, "extra_info": {**raw, **extra}}, strata, path),
        extra={name: extra[name] for name in BREAKDOWNS if isinstance(extra.get(name), _PLAIN)},
    )


def item_id(extra: Mapping[str, Any], row: int) -> str:
    """`id` of a row's extra_info, else its `index`, else the row number; need not be unique."""
    named = [extra[key] for key in ("id", "index") if extra.get(key) not in (None, "")]
    return str(named[0] if named else row)


def _stratum(row: Mapping[str, Any], strata: str, path: Path) -> str:
    value: Any = row
    for part in strata.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise DataError(f"{path} has no column {strata}", "strata=data_source, the default")
        value = value[part]
    return str(value)


def left(items: Sequence[Item], listed: Path) -> list[Item]:
    """The items whose row numbers a JSON file does not list.

    Raises:
        DataError: the file holds no list of whole numbers, or no item is left.
    """
    try:
        rows = json.loads(listed.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read leave_out={listed}: {error}", "a JSON list") from error
    if not isinstance(rows, list) or not all(type(row) is int for row in rows):
        raise DataError(f"leave_out={listed} is no list of row numbers", "[0, 7, 12]")
    found = [item for item in items if item.index not in set(rows)]
    if not found:
        raise DataError(
            f"leave_out={listed} leaves none of {len(items)} rows", "rows that it does not list"
        )
    return found


def choose(items: Sequence[Item], n: int, seed: int) -> list[Item]:
    """A sample without replacement with each stratum's share, in the file's order.

    Places go to strata in proportion to their size, the remaining ones to the largest fractions
    (Hamilton's rule, ties by name). The same items for the same input and seed; all of them when
    there are not more than n.
    """
    if n >= len(items):
        return list(items)
    strata: dict[str, list[Item]] = {}
    for item in items:
        strata.setdefault(item.stratum, []).append(item)
    exact = {name: n * len(members) / len(items) for name, members in sorted(strata.items())}
    places = {name: int(share) for name, share in exact.items()}
    by_fraction = sorted(exact, key=lambda name: (places[name] - exact[name], name))
    for name in by_fraction[: n - sum(places.values())]:
        places[name] += 1
    generator = random.Random(seed)
    chosen = [i for name, k in places.items() for i in generator.sample(strata[name], k)]
    return sorted(chosen, key=lambda item: item.index)


def listed(rows: Sequence[Item], chosen: Sequence[Item]) -> dict[str, Any]:
    """What items.json says of a choice: the rows of each stratum, and the chosen items.

    An item's `row` is what a grader may read of it beside prompt and answer, so that responses can
    be graded again without the data.
    """
    return {
        "population": dict(Counter(item.stratum for item in rows)),
        "items": [
            {
                "index": item.index,
                "id": item.id,
                "stratum": item.stratum,
                "cluster": item.cluster,
                "row": dict(item.extra_info),
            }
            for item in chosen
        ],
    }
