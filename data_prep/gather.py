"""The rows of one file, out of the parts and into Parquet, in the mix's order.

In: a `Corpus`, a mix, a seed. Out: the positions of the rows that the file holds (`arrange`), and
the file, or numbered shards of it (`gather`). An external sort: one pass over the parts deals rows
into a bucket per shard, then each bucket is sorted by position, so memory holds one shard however
many rows there are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from conf.errors import DataError
from data_prep.corpus import Corpus
from data_prep.mix import MixSpec, Supply, Take, plan_mix
from data_prep.mix_order import choose, graded, salt, shuffled
from data_prep.parts import read_arrow
from data_prep.rows_schema import Kind, schema
from data_prep.writer import ParquetSink

if TYPE_CHECKING:
    import pyarrow as pa

SHARD_BYTES: Final = 192 << 20  # Arrow bytes of a shard; two of them are held while it is sorted
OPEN_BUCKETS: Final = 256
AT: Final = "__at"

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Arranged:
    """The content of one file.

    Attributes:
        rows: positions in the corpus, in the file's order; a repeated row stands there again.
        takes: what each source gave.
        unmeasured: rows without a value to sort by, which come last.
    """

    rows: Indices
    takes: list[Take]
    unmeasured: int = 0


def arrange(
    corpus: Corpus,
    split: str,
    groups: Mapping[str, str],
    mix: MixSpec | None,
    seed: int,
    kind: str,
    most: int | None,
) -> Arranged:
    """Choose and order the rows of a file.

    Args:
        corpus: all rows of the kind.
        split: test files hold every kept row in order; only train files are mixed.
        groups: source → group, in the order of the sources.
        mix: None: all rows, source after source.
        seed: of the whole preparation.
        kind: of the rows.
        most: at most so many rows, for a dry run.

    Raises:
        ConfigError: the mix names something that is not there.
        DataError: the mix cannot be had.
    """
    supplies = [
        Supply(name, group, len(corpus.of(number, split)))
        for number, (name, group) in enumerate(groups.items())
        if corpus.rows_in(number, split)
    ]
    numbers = {name: number for number, name in enumerate(groups)}
    if mix is None or split != "train":
        plain = MixSpec(order="sources")
        takes = plan_mix(supplies, plain, most)
        mix = plain
    else:
        takes = plan_mix(supplies, mix, most)
    chosen: list[Indices] = []
    copies: list[Indices] = []
    owner: list[Indices] = []
    for take in takes:
        rows = corpus.of(numbers[take.source], split)
        key = salt(seed, "choose", kind, split, take.source)
        index, copy = choose(corpus.hash[rows], take.taken, key)
        chosen.append(rows[index])
        copies.append(copy)
        owner.append(np.full(len(index), numbers[take.source], np.int64))
    rows = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    order = np.arange(len(rows))
    if mix.order == "shuffle" or mix.curriculum is not None:
        copied = np.concatenate(copies) if copies else rows
        order = shuffled(corpus.hash[rows], copied, salt(seed, "order", kind, split))
    unmeasured = 0
    if isinstance(mix.curriculum, str):
        values = corpus.measure[rows]
        _refuse_unmeasured(values, np.concatenate(owner), list(groups), mix.curriculum)
        unmeasured = int(np.isnan(values).sum())
        order = graded(values, order, mix.curriculum.startswith("-"))
    elif mix.curriculum is not None:
        stage = _stages(mix.curriculum, groups, takes)
        order = graded(stage[np.concatenate(owner)], order, descending=False)
    return Arranged(rows[order], takes, unmeasured)


def _refuse_unmeasured(
    values: npt.NDArray[np.float64], owner: Indices, names: Sequence[str], field: str
) -> None:
    for number, name in enumerate(names):
        of_source = values[owner == number]
        if len(of_source) and np.isnan(of_source).all():
            raise DataError(
                f"mix.curriculum={field}: no row of {name} has a number in that field",
                fix="mix.curriculum=length, or a list of sources in their order",
            )


def _stages(
    curriculum: Sequence[str], groups: Mapping[str, str], takes: Sequence[Take]
) -> npt.NDArray[np.float64]:
    """The stage of each source, by its own name or its group's."""
    there = {take.source for take in takes if take.taken}
    stage = np.zeros(len(groups))
    for number, (name, group) in enumerate(groups.items()):
        key = name if name in curriculum else group
        if key in curriculum:
            stage[number] = curriculum.index(key)
        elif name in there:
            raise DataError(
                f"mix.curriculum names neither {name} nor its group {group}",
                fix=f"mix.curriculum=[…, {name}]",
            )
    return stage


def shard_rows(corpus: Corpus, asked: int) -> int:
    """Rows of a shard: as asked, or fewer where rows are large."""
    rows = sum(part.rows for part in corpus.parts)
    size = sum(part.bytes for part in corpus.parts)
    return min(asked, max(1, SHARD_BYTES * rows // size)) if size else asked


def shard_names(name: str, rows: int, each: int) -> list[str]:
    """`train`, or `train-00000-of-00004` and so on."""
    shards = max(1, -(-rows // each))
    return [name] if shards == 1 else [f"{name}-{n:05}-of-{shards:05}" for n in range(shards)]


def gather(
    corpus: Corpus, rows: Indices, kind: Kind, names: Sequence[str], each: int, scratch: Path
) -> Iterator[Path]:
    """Deal the rows into one bucket a shard.

    Args:
        corpus: where the rows lie.
        rows: their positions, in the file's order.
        kind: of the rows.
        names: of the shards.
        each: rows of a shard.
        scratch: folder for the buckets; the caller removes them.

    Yields:
        The bucket of each shard, in order, as soon as it is whole.
    """
    import pyarrow as pa

    names_of = schema(kind).names
    fields = [*schema(kind), pa.field(AT, pa.int64())]
    by_part = np.argsort(rows, kind="stable")
    numbers = corpus.part[rows[by_part]]
    edges = np.flatnonzero(np.diff(numbers, prepend=-1))
    spans = list(zip(edges, [*edges[1:], len(rows)], strict=True))
    for first in range(0, len(names), OPEN_BUCKETS):
        wave = range(first, min(first + OPEN_BUCKETS, len(names)))
        paths = [scratch / f"{names[shard]}.arrows" for shard in wave]
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(pa.ipc.new_stream(str(path), pa.schema(fields)))
                for path in paths
            ]
            for start, end in spans:
                at = by_part[start:end]
                shards = at // each
                inside = (shards >= wave.start) & (shards < wave.stop)
                if not inside.any():
                    continue
                table = read_arrow(corpus.parts[int(numbers[start])].path).select(names_of)
                for shard in np.unique(shards[inside]):
                    places = at[shards == shard]
                    taken = table.take(pa.array(corpus.row[rows[places]]))
                    taken = taken.append_column(fields[-1], pa.array(places))
                    writers[int(shard) - wave.start].write_table(taken)
        yield from paths


def sorted_bucket(path: Path) -> pa.Table:
    """A bucket's rows in the file's order."""
    import pyarrow as pa

    with pa.OSFile(str(path), "rb") as file:
        table = pa.ipc.open_stream(file).read_all()
    order = np.argsort(table.column(AT).to_numpy(), kind="stable")
    return table.drop_columns([AT]).take(pa.array(order)).combine_chunks()


@dataclass(frozen=True, slots=True)
class WriteShard:
    """The task on one bucket: sort it and write its Parquet file, and JSONL beside it.

    Attributes:
        folder: where files go.
        kind: of the rows.
        jsonl: whether to write JSON lines too.
    """

    folder: str
    kind: Kind
    jsonl: bool

    def __call__(self, bucket: str) -> tuple[str, int]:
        """Name and rows of the file written."""
        table = sorted_bucket(Path(bucket))
        target = Path(self.folder) / f"{Path(bucket).stem}.parquet"
        with ParquetSink(target, self.kind, jsonl=self.jsonl) as sink:
            sink.add_table(table)
        Path(bucket).unlink()
        return target.name, table.num_rows
