"""Which gold answers a preparation tries, with what, and what the manifest says of it.

In: its sources, opened, and the filters that the user named. Out: the filter `gold` with each
source's own verifier among them, and a `GoldEntry` a source. Judges nothing: the filter does, and
sources in code try their examples as they are read (`data_prep.intake`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from conf.errors import ConfigError
from data_prep.catalog import Opened
from data_prep.filters.gold import Gold, Verifier, how_tried
from data_prep.manifest import GoldEntry

GOLD: Final = Gold.name

Named = Mapping[str, Mapping[str, Any]]


def with_golds(named: Named, opened: Sequence[Opened], try_them: bool) -> dict[str, dict[str, Any]]:
    """The filters with `gold` first, or where the user put it; each source judged by its own.

    Raises:
        ConfigError: the filter is asked for, and neither it nor a source names a reward.
        RewardError: a source's reward does not load.
    """
    steps = {name: dict(options) for name, options in named.items()}
    asked = steps.get(GOLD)
    if asked is not None and asked.get("reward") is not None:
        return steps
    # What was tried as it was read is tried again only where the user asks for the filter.
    sources = {
        one.row_source: one.verifier.model_dump()
        for one in opened
        if one.verifier is not None and (asked is not None or not one.tried_on_reading)
    }
    for one in opened:
        if one.verifier is not None:
            one.verifier.load()
    if asked is not None:
        if not sources:
            raise ConfigError(
                "filters=gold: no source of this preparation names the reward of its rows",
                fix="filters.gold.reward=math",
            )
        return {**steps, GOLD: {**asked, "sources": sources}}
    return {GOLD: {"sources": sources}, **steps} if sources and try_them else steps


def gold_entries(opened: Sequence[Opened], steps: Named) -> dict[str, GoldEntry]:
    """What was tried of each source that gives RL rows, by its label.

    Args:
        opened: the sources.
        steps: the filters that judge, `gold` as `with_golds` left it.
    """
    options = steps.get(GOLD)
    run = bool(options and options.get("run"))
    entries: dict[str, GoldEntry] = {}
    for one in opened:
        if "rl" not in one.kinds:
            continue
        verifier = one.verifier
        if options is not None and options.get("reward") is not None:
            verifier = Verifier(
                reward=options["reward"], options=options.get("reward_options") or {}
            )
        judged = options is not None or one.tried_on_reading
        entries[one.label] = gold_entry(verifier, judged, run)
    return entries


def gold_entry(verifier: Verifier | None, judged: bool = True, run: bool = False) -> GoldEntry:
    """What the manifest says of a source's gold answers."""
    if verifier is None:
        return GoldEntry(reward=None, tried="nothing")
    tried = how_tried(verifier.load().spec, run) if judged else "nothing"
    return GoldEntry(reward=verifier.reward, tried=tried)


def say_untried(entries: Mapping[str, GoldEntry]) -> None:
    """One line for the sources whose gold answers nothing judges, where that is not asked for."""
    names = [name for name, entry in entries.items() if entry.reward is None]
    if names:
        print(
            f"gold answers of {', '.join(names)} are not tried: no reward of that source is named "
            "(reward: NAME in its declaration, or filters.gold.reward=NAME)",
            file=sys.stderr,
        )
