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

from conf.errors import ConfigError, DataError
from data_prep.examples import Examples
from data_prep.filters.base import text_of
from data_prep.filters.gold import Verifier
from data_prep.inputs import Inputs, declared_inputs, program_inputs, spec_options
from data_prep.intake import Intake, Tally, example_rows
from data_prep.request import Item, Request
from data_prep.rows import Row
from data_prep.rows_schema import Kind
from data_prep.sources.base import Spec
from data_prep.sources.columns import unfilled
from data_prep.sources.declare import Declaration, declaration, nearest
from data_prep.sources.declare import names as declared_names
from data_prep.sources.open import source_files
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
        files: the local data files that it reads.
        inputs: what decides its rows, by name: these files, its declaration, its code.
        kinds: of rows that it can give.
        generated: made here, test and train apart by construction.
        row_source: what its RL rows name as their `source`.
        verifier: of its rows' gold answers; None: it names none.
        tried_on_reading: its gold answers are tried as it is read.
    """

    label: str
    licence: str
    url: str
    ability: str
    files: Sequence[Path]
    inputs: Inputs
    kinds: Sequence[Kind]
    generated: bool = False
    row_source: str = ""
    verifier: Verifier | None = None
    tried_on_reading: bool = False


def _own_spec(item: Item, seed: int, out: Path) -> dict[str, Any]:
    """The mapping by which a source that splits itself is resolved."""
    return {"source": item.name, "local": item.local, "seed": seed, "out": out, **item.options}


def _splits_itself(item: Item) -> bool:
    return item.name in SOURCES or ".py:" in item.name


def look_up(item: Item, request: Request) -> Opened:
    """What is known of an item.

    Raises:
        ConfigError: there is no such source, or it has no such key.
        DataError: a local file is not there, or it is a benchmark's and would be trained on.
    """
    if _splits_itself(item):
        source, spec = resolve(_own_spec(item, request.seed, request.out))
        files = source.inputs(spec)
        kinds: tuple[Kind, ...] = ("rl", "sft")
        known = (source.licence, source.url, source.ability)
        inputs = program_inputs(source.name, files, spec_options(spec))
        return Opened(
            item.label,
            *known,
            files,
            inputs,
            kinds,
            source.generated,
            row_source=source.data_source,
            verifier=verifier_of(spec),
            tried_on_reading=True,
        )
    declared = _declared(item)
    places = source_files(declared, item.local)
    if declared.eval_only and "train" in places:
        raise DataError(
            f"source {declared.name} is a benchmark: its rows must not be trained on",
            fix="leave it out, or read its test split alone",
        )
    files = list(dict.fromkeys(path for paths in places.values() for path in paths or ()))
    known = (declared.licence, declared.url, declared.ability)
    return Opened(
        item.label,
        *known,
        files,
        declared_inputs(declared, files),
        declared.kind,
        row_source=declared.name,
        verifier=_declared_verifier(declared),
    )


def verifier_of(spec: Spec) -> Verifier | None:
    """What tries the gold answers of a source in code."""
    if spec.reward is None:
        return None
    return Verifier(reward=spec.reward, options=spec.reward_options)


def _declared_verifier(declared: Declaration) -> Verifier | None:
    """What judges a declaration's RL rows; a file of the user's is named from beside it."""
    if declared.reward is None or "rl" not in declared.kind:
        return None
    where, found, function = declared.reward.rpartition(".py:")
    if not found or declared.bundled:
        return Verifier(reward=declared.reward, options=declared.reward_options)
    path = declared.path.parent / f"{where}.py"  # an absolute one stays as it is
    return Verifier(reward=f"{path}:{function}", options=declared.reward_options)


def _declared(item: Item) -> Declaration:
    """The declaration of an item.

    Raises:
        ConfigError: there is none, or the item has keys, which only sources in code know.
    """
    ours = item.name in declared_names() or item.name.endswith((".yaml", ".yml"))
    if not ours:
        near = nearest(item.name, known_sources())
        raise ConfigError(
            f"no source named {item.name!r}",
            fix=f"{near} (or path/to/mine.yaml, path/to/file.py:function)",
        )
    declared = declaration(item.name)
    if item.options:
        raise ConfigError(
            f"source {item.name} is a declaration and has no key {next(iter(item.options))!r}",
            fix="mix.caps for its size, or a declaration of your own",
        )
    return declared


def _asks(declared: Declaration, row: Row) -> str | None:
    """What a row asks, without the words of the declaration's template."""
    if declared.template is None:
        return None
    return unfilled(declared.template, text_of(row, "prompt", system=False))


def _declared_rows(item: Item, kinds: Sequence[str], tally: Tally) -> Iterator[Intake]:
    """A declaration's rows."""
    declared = _declared(item)
    wanted = [kind for kind in declared.kind if kind in kinds]
    examples = Examples(declared, source_files(declared, item.local), tally)
    for kind, split, row in examples.rows(wanted):
        yield Intake(kind, split, row, _asks(declared, row))


def rows(
    item: Item, seed: int, out: Path, kinds: Sequence[str], tally: Tally, most: int | None
) -> Iterator[Intake]:
    """The rows of an item.

    Args:
        item: of the request.
        seed: for sources that draw.
        out: target of the preparation, which no source writes to.
        kinds: of rows that are wanted.
        tally: counts what comes, each example once.
        most: rows of each file, for a dry run; None: all.
    """
    if _splits_itself(item):
        source, spec = resolve(_own_spec(item, seed, out))
        found = example_rows(source, spec, tally)
    else:
        found = _declared_rows(item, kinds, tally)
    came: Counter[tuple[str, str]] = Counter()
    for one in found:
        came[one.kind, one.split] += 1
        if one.kind in kinds and (most is None or came[one.kind, one.split] <= most * DRY_READS):
            yield one


def known_sources() -> list[str]:
    """The names that `source` may have."""
    return sorted({*SOURCES, *declared_names()})
