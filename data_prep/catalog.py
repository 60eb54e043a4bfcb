"""Each source of a preparation, opened: what is known of it, and its rows.

In: an `Item` of the request. Out: licence, address, ability, the files that it reads, and `rows`,
the same stream for every form of source: a registered one, a declaration, a user's function. Reads
nothing before `rows` is iterated, and no more than one row at a time then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from data_prep.intake import Intake, Tally, example_rows
from data_prep.request import Item, Request
from data_prep.sources.registry import SOURCES, resolve

# A dry run reads this many times the rows that it writes, so that filters may drop some.
DRY_READS: Final = 4


@dataclass(frozen=True, slots=True)
class Opened:
    """What is known of a source before it is read.

    Attributes:
        label: short name, in the mix and the manifest.
        licence: as declared.
        url: where the data comes from.
        ability: what it trains, which says its group where the mix does not.
        inputs: the local files that it reads.
    """

    label: str
    licence: str
    url: str
    ability: str
    inputs: Sequence[Path]


def _own_spec(item: Item, seed: int, out: Path) -> dict[str, Any]:
    """The mapping by which a source that splits itself is resolved."""
    return {"source": item.name, "local": item.local, "seed": seed, "out": out, **item.options}


def _splits_itself(item: Item) -> bool:
    return item.name in SOURCES or ".py:" in item.name


def look_up(item: Item, request: Request) -> Opened:
    """What is known of an item.

    Raises:
        ConfigError: there is no such source, or it has no such key.
        DataError: a local file is not there.
    """
    source, spec = resolve(_own_spec(item, request.seed, request.out))
    return Opened(item.label, source.licence, source.url, source.ability, source.inputs(spec))


def rows(item: Item, seed: int, out: Path, tally: Tally, most: int | None) -> Iterator[Intake]:
    """The rows of an item.

    Args:
        item: of the request.
        seed: for sources that draw.
        out: target of the preparation, which no source writes to.
        tally: counts what comes.
        most: rows of each file, for a dry run; None: all.
    """
    source, spec = resolve(_own_spec(item, seed, out))
    came: Counter[tuple[str, str]] = Counter()
    for one in example_rows(source, spec, tally):
        came[one.kind, one.split] += 1
        if most is None or came[one.kind, one.split] <= most * DRY_READS:
            yield one


def known_sources() -> list[str]:
    """The names that `source` may have."""
    return sorted(SOURCES)
