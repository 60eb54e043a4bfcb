"""The manifest of a preparation of many sources: what came of each, and where it went.

In: what the stages counted. Out: manifest entries whose numbers add up. Counts nothing itself and
writes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from data_prep.catalog import Opened
from data_prep.corpus import Corpus
from data_prep.gather import Arranged
from data_prep.intake import stem
from data_prep.manifest import MixEntry, Portion, SourceEntry
from data_prep.mix import MixSpec
from data_prep.parts import Read
from data_prep.rows_schema import Kind

SPLITS: Final = ("train", "test")


def mix_entry(arranged: Arranged, mix: MixSpec | None) -> MixEntry:
    """What a training file is mixed of."""
    rows = len(arranged.rows)
    order: str = mix.order if mix else "sources"
    if mix and mix.curriculum is not None:
        stages = mix.curriculum
        order = stages if isinstance(stages, str) else ", ".join(stages)
    portions = {
        take.source: Portion(
            available=take.rows,
            taken=take.taken,
            asked=round(take.asked, 6),
            share=round(take.taken / rows, 6),
            epochs=round(take.taken / take.rows, 6) if take.rows else 0.0,
        )
        for take in arranged.takes
    }
    return MixEntry(rows=rows, order=order, unmeasured=arranged.unmeasured, sources=portions)


def source_entries(
    opened: Sequence[Opened],
    reads: Sequence[Read],
    corpora: Mapping[Kind, Corpus],
    groups: Mapping[str, str],
) -> dict[str, SourceEntry]:
    """What each source gave, by its label."""
    entries: dict[str, SourceEntry] = {}
    for number, (one, read) in enumerate(zip(opened, reads, strict=True)):
        counts: dict[str, Counter[str]] = {
            name: sum(
                (getattr(corpus, name).get(number, Counter()) for corpus in corpora.values()),
                Counter(),
            )
            for name in ("dropped", "flagged", "licences")
        }
        pairs = [(kind, split) for kind in corpora for split in SPLITS]
        rows_in = {stem(k, s): corpora[k].rows_in(number, s) for k, s in pairs}
        kept = {stem(k, s): len(corpora[k].of(number, s)) for k, s in pairs}
        entries[one.label] = SourceEntry(
            url=one.url,
            licence=one.licence,
            licences=dict(counts["licences"]),
            group=groups[one.label],
            examples_in=dict(read.tally.came),
            examples_kept=dict(read.tally.kept),
            examples_dropped=dict(read.tally.dropped),
            examples_lacking=dict(read.tally.lacking),
            rows_in={name: n for name, n in rows_in.items() if n},
            rows_kept={name: kept[name] for name, n in rows_in.items() if n},
            rows_dropped=dict(counts["dropped"]),
            rows_flagged=dict(counts["flagged"]),
        )
    return entries


def total(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The counts of several mappings together."""
    return dict(sum(map(Counter, counts), Counter()))
