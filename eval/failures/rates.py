"""How often does each class of failure occur, where, and what to do about the dominant ones?

In: the records of one task. Out: a plain object for errors.json and the report: of each class its
count, its share of all responses with a 95% interval, and exemplars; the same by level, subject,
stratum and length; a suggestion for each class that dominates. Several samples of an item, and
items of a cluster, are not independent: the interval takes that into account. Chooses exemplars by
place, never by taste.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from eval.failures.classify import KINDS, TITLES, Failure, classify
from eval.failures.suggest import suggest
from eval.pages.text import readable
from eval.statistics.intervals import Interval
from eval.statistics.mean import codes, proportion

Json = dict[str, Any]
EXEMPLARS: Final = 3
DOMINANT: Final = 0.15  # share of the failures from which on a class is worth a suggestion
MOST_VALUES: Final = 24  # of a field in a breakdown; the rest is counted together
LENGTH_BINS: Final = 4
TEXT_CHARS: Final = 600
Classifier = Callable[[Mapping[str, Any]], Failure | None]


def failures(
    records: Sequence[Mapping[str, Any]], classifier: Classifier = classify
) -> list[Failure | None]:
    """The class of each record, None where it is right."""
    return [classifier(record) for record in records]


def analyse(
    records: Sequence[Mapping[str, Any]], found: Sequence[Failure | None] | None = None
) -> Json:
    """The whole analysis of one task.

    Args:
        records: all records of the task, right ones too.
        found: their classes, where they are known already.
    """
    classes = failures(records) if found is None else found
    wrong: Counter[str] = Counter(one.kind for one in classes if one is not None)
    sorts = Counter(one.sort for one in classes if one is not None and one.sort)
    kinds = {kind: _kind(kind, records, classes) for kind in KINDS if wrong[kind]}
    total = sum(wrong.values())
    return {
        "n": len(records),
        "failures": total,
        "kinds": dict(sorted(kinds.items(), key=lambda item: -item[1]["count"])),
        "sorts": {
            sort: {"count": count, **_share(
                records, [one is not None and one.sort == sort for one in classes])}
            for sort, count in sorts.most_common()
        },
        "by": breakdowns(records, classes),
        "suggestions": [
            {"kind": kind, "title": TITLES[kind], "share_of_failures": count / total,
             "text": suggest(kind, records, classes)}
            for kind, count in wrong.most_common()
            if count >= DOMINANT * total
        ],
    }  # fmt: skip


def _kind(
    kind: str, records: Sequence[Mapping[str, Any]], classes: Sequence[Failure | None]
) -> Json:
    hits = [one is not None and one.kind == kind for one in classes]
    places = [at for at, hit in enumerate(hits) if hit]
    shown = [places[i * len(places) // EXEMPLARS] for i in range(min(EXEMPLARS, len(places)))]
    return {
        "title": TITLES[kind],
        "count": len(places),
        **_share(records, hits),
        "exemplars": [_exemplar(records[at], classes[at]) for at in dict.fromkeys(shown)],
    }


def _share(records: Sequence[Mapping[str, Any]], hits: Sequence[bool]) -> Json:
    items = [record.get("index", at) for at, record in enumerate(records)]
    interval = share_interval(hits, items, [record.get("cluster") or None for record in records])
    return {"share": sum(hits) / len(hits), "ci95": [interval.low, interval.high]}


def share_interval(
    hits: Sequence[bool], items: Sequence[Hashable], clusters: Sequence[Hashable | None]
) -> Interval:
    """95% interval of a share of responses (`eval.statistics.mean.proportion`).

    Args:
        hits: whether each response is of the class.
        items: the item that each response answers; all different: Wilson's plain interval.
        clusters: what each item shares with others; None: it stands alone.
    """
    places: dict[Hashable, list[int]] = defaultdict(list)
    for at, item in enumerate(items):
        places[item].append(at)
    shares = [sum(hits[at] for at in chosen) / len(chosen) for chosen in places.values()]
    named = codes([clusters[chosen[0]] for chosen in places.values()])
    alone = len(set(named.tolist())) == len(shares)
    return proportion(shares, None if alone else named, draws=len(hits)).interval


def _exemplar(record: Mapping[str, Any], failure: Failure | None) -> Json:
    assert failure is not None
    response = str(record["response"])
    cut = len(response) - TEXT_CHARS
    return {
        "index": record.get("index"),
        "id": readable(str(record.get("id", record.get("index")))),
        "sample": record.get("sample", 0),
        "why": readable(failure.why),
        "sort": failure.sort,
        "pred": readable(str(record["verdict"].get("pred") or "")),
        "response_end": readable(response if cut <= 0 else f"… {response[-TEXT_CHARS:]}"),
    }


def breakdowns(
    records: Sequence[Mapping[str, Any]], classes: Sequence[Failure | None]
) -> dict[str, list[Json]]:
    """By each field of `extra` that has few values, by stratum, and by length of the response."""
    columns: dict[str, list[str]] = {}
    names = dict.fromkeys(name for record in records for name in (record.get("extra") or {}))
    for name in names:
        values = [(record.get("extra") or {}).get(name) for record in records]
        if all(isinstance(value, str | int | bool) or value is None for value in values):
            columns[str(name)] = ["–" if value is None else str(value) for value in values]
    columns.setdefault("stratum", [str(record.get("stratum") or "–") for record in records])
    lengths = _length_bins([int(record.get("tokens") or 0) for record in records])
    found = {"length": _rows(lengths, records, classes, keep_order=True)} if lengths else {}
    for name, column in columns.items():
        if 2 <= len(set(column)) <= max(MOST_VALUES, len(records) // 20):
            found[name] = _rows(column, records, classes, keep_order=False)
    return found


def _length_bins(tokens: Sequence[int]) -> list[str]:
    """The quarter of each length, named by its bounds in tokens; [] where all are alike."""
    edges = sorted({int(edge) for edge in np.quantile(tokens, np.linspace(0, 1, LENGTH_BINS + 1))})
    if len(edges) < 3:
        return []
    at = np.clip(np.searchsorted(edges, tokens, side="left"), 1, len(edges) - 1)
    width = len(f"{edges[-1]:,}")
    return [f"{edges[i - 1] + (i > 1):>{width},}–{edges[i]:,} tokens".strip() for i in at.tolist()]


def _rows(
    values: Sequence[str],
    records: Sequence[Mapping[str, Any]],
    classes: Sequence[Failure | None],
    *,
    keep_order: bool,
) -> list[Json]:
    places: dict[str, list[int]] = defaultdict(list)
    for at, value in enumerate(values):
        places[value].append(at)
    kept = sorted(places, key=lambda value: -len(places[value]))[:MOST_VALUES]
    rest = [at for value in places if value not in kept for at in places[value]]
    order: Iterable[str] = sorted(kept, key=_first_number if keep_order else _natural)
    groups = [(value, places[value]) for value in order] + ([("others", rest)] if rest else [])
    made = []
    for value, chosen in groups:
        hits = [classes[at] is not None for at in chosen]
        counts = Counter(one.kind for at in chosen if (one := classes[at]) is not None)
        share = _share([records[at] for at in chosen], hits)
        made.append(
            {"value": value, "n": len(chosen), "failures": sum(hits), **share,
             "kinds": dict(counts.most_common())}
        )  # fmt: skip
    return made


def _first_number(text: str) -> float:
    return float(text.partition("–")[0].replace(",", ""))


def _natural(text: str) -> tuple[int, float, str]:
    """Numbers by size, then words by letters."""
    return (0, float(text), "") if text.replace(".", "", 1).isdecimal() else (1, 0.0, text)
