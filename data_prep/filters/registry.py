"""Filters and whole-corpus steps by name.

In: a name. Out: its class; the class's fields are its options, and unknown ones are refused. Only
the module asked for is imported. Which filters a preparation runs, and in which order, is decided
by who calls.
"""

from __future__ import annotations

import difflib
import importlib
from typing import Any, Final

from conf.errors import ConfigError

FILTERS: Final = {
    "length": "data_prep.filters.length:Length",
    "broken_markup": "data_prep.filters.markup:BrokenMarkup",
    "cut_ending": "data_prep.filters.endings:CutEnding",
    "degenerate": "data_prep.filters.degenerate:Degenerate",
    "repetition": "data_prep.filters.repetition:Repetition",
    "language": "data_prep.filters.language:Language",
    "privacy": "data_prep.filters.privacy:Privacy",
    "toxic": "data_prep.filters.toxic:Toxic",
    "pairs": "data_prep.filters.pairs:Pairs",
    "gold": "data_prep.filters.gold:Gold",
    "difficulty": "data_prep.filters.difficulty:Difficulty",
    "perplexity": "data_prep.filters.perplexity:Perplexity",
    "decontamination": "data_prep.decontaminate.judge:Decontamination",
}
CORPUS_STEPS: Final = {
    "exact_duplicates": "data_prep.duplicates.exact:ExactDuplicates",
    "near_duplicates": "data_prep.duplicates.near:NearDuplicates",
    "semantic_duplicates": "data_prep.duplicates.semantic:SemanticDuplicates",
    "perplexity_band": "data_prep.filters.perplexity:PerplexityBand",
}


def find(name: str) -> Any:
    """The class of a filter or corpus step.

    Raises:
        ConfigError: there is none of that name.
    """
    known = {**FILTERS, **CORPUS_STEPS}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        raise ConfigError(
            f"no filter {name!r}",
            fix=f"did you mean {close[0]!r}?" if close else f"there is: {', '.join(known)}",
        )
    module, _, attribute = known[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
