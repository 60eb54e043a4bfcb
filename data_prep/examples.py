"""Raw examples of a declared source: each made into rows of every kind, and counted once.

In: a declaration, its files and the kinds that are wanted. Out: its rows with their kinds and
splits, example after example, and counts in a `Tally`. Kinds share one reading. A file that
several splits read (MBPP's, which holds them all) is read once for each of them; of each of its
examples two bytes are held until the end, so that it counts where it went.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from data_prep.intake import Tally
from data_prep.rows import Row
from data_prep.rows_schema import Kind
from data_prep.sources.base import Drop, Split
from data_prep.sources.convert import OTHER_SPLIT, convert
from data_prep.sources.declare import Declaration
from data_prep.sources.open import raw_rows

Places = Mapping[Split, list[Path] | None]
KEPT: Final = ""


class Examples:
    """The examples of one source.

    An example is kept where a row of any kind was made of it; else it is dropped for what its first
    kind lacks. That it belongs to another split is a reason only if no split has it.
    """

    def __init__(self, declared: Declaration, places: Places, tally: Tally) -> None:
        self._declared, self._places, self._tally = declared, places, tally
        uses = Counter(self._origin(split, path) for split, path in self._files())
        self._fates = {origin: array("H") for origin, count in uses.items() if count > 1}
        self._known: list[tuple[Split, str]] = []  # what a number in `_fates` stands for

    def _files(self) -> Iterator[tuple[Split, Path | None]]:
        for split, files in self._places.items():
            for path in files if files is not None else [None]:
                yield split, path

    def _origin(self, split: Split, path: Path | None) -> str:
        """Where rows come from: two splits of one origin read the same."""
        hub = self._declared.hub
        if path is not None or hub is None:
            return str(path)
        return f"hub {hub.splits[split]} {(hub.files or {}).get(split)}"

    def rows(self, kinds: Sequence[Kind]) -> Iterator[tuple[Kind, Split, Row]]:
        """All rows, split after split, in the order of the examples.

        Raises:
            DataError: a file cannot be read, or the declaration does not fit it.
        """
        index: Counter[Split] = Counter()
        for split, path in self._files():
            files = None if path is None else [path]
            origin = self._origin(split, path)
            for number, (where, raw) in enumerate(raw_rows(self._declared, split, files)):
                at = index[split]
                index[split] += 1
                made = [
                    convert(self._declared, kind, raw, split=split, index=at, where=where)
                    for kind in kinds
                ]
                self._note(origin, number, split, kinds, made)
                for kind, one in zip(kinds, made, strict=True):
                    if not isinstance(one, Drop):
                        yield kind, split, one

    def _note(
        self,
        origin: str,
        number: int,
        split: Split,
        kinds: Sequence[Kind],
        made: Sequence[Row | Drop],
    ) -> None:
        """Count an example, or correct what was counted when another split read it."""
        pairs = zip(kinds, made, strict=True)
        lacks = [(kind, one.reason) for kind, one in pairs if isinstance(one, Drop)]
        fate = KEPT if len(lacks) < len(made) else lacks[0][1]
        fates = self._fates.get(origin)
        if fates is not None:
            if number < len(fates):
                before = self._known[fates[number]]
                if _rank(before[1]) <= _rank(fate):
                    return
                self._count(*before, -1)
            else:
                fates.append(0)
            if (split, fate) not in self._known:
                self._known.append((split, fate))
            fates[number] = self._known.index((split, fate))
        self._count(split, fate, 1)
        if fate == KEPT:
            self._tally.lacking.update(f"{kind}: {reason}" for kind, reason in lacks)

    def _count(self, split: Split, fate: str, by: int) -> None:
        tally = self._tally
        end = (tally.kept, split) if fate == KEPT else (tally.dropped, fate)
        for counter, key in ((tally.came, split), end):
            counter[key] += by
            if not counter[key]:
                del counter[key]


def _rank(fate: str) -> int:
    return (fate != KEPT) + (fate == OTHER_SPLIT)
