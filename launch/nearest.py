"""The real keys nearest to a key that does not exist.

In: a dotted key and the real ones, in the tree's order. Out: at most three, best first. Knows the
usual slips: a key without the path above it (`lr`), parts left out or swapped, a typo anywhere.
Pure text; no configuration is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher

AT_MOST = 3
ALIKE = 0.72  # similarity below which a name is no suggestion
AS_GOOD = 0.12  # how far below the best a further suggestion may be


def nearest(key: str, candidates: Iterable[str], at_most: int = AT_MOST) -> list[str]:
    """Candidates most like `key`, best first, ties in the given order; [] when none is alike."""
    scored = [(score(key, candidate), candidate) for candidate in candidates]
    best = max((points for points, _ in scored), default=0.0)
    if best < ALIKE:
        return []
    good = [pair for pair in scored if pair[0] >= max(ALIKE, best - AS_GOOD)]
    good.sort(key=lambda pair: -pair[0])
    if best >= 1:  # the rest of the path was left out: only keys that end so
        good = [pair for pair in good if pair[0] >= 1]
    return [candidate for _, candidate in good[:at_most]]


def score(key: str, candidate: str) -> float:
    """How well `candidate` may be what `key` means, 0 to 1.

    1 when only the path above is missing, a little less when parts are missing, swapped or too
    many, else the similarity of the spelling, the last part counting as much as all the others.
    """
    if candidate.endswith("." + key) or candidate == key:
        return 1.0
    got, real = key.split("."), candidate.split(".")
    if len(got) > 1 and got[-1] == real[-1] and _in_order(got, real):
        return 0.97
    if len(got) > 1 and sorted(got) == sorted(real):
        return 0.96
    if len(real) > 1 and key.endswith("." + candidate):
        return 0.95  # a path of another root: `actor.optim.lr` where the tree has `optim.lr`
    last = _last_ratio(got[-1], real[-1])
    if last < 0.5:
        return 0.0
    if len(got) == 1:
        return 0.95 * last
    tail = ".".join(real[-len(got) :])
    above = max(
        _ratio(".".join(got[:-1]), tail.rpartition(".")[0]),
        _ratio(".".join(got[:-1]), ".".join(real[:-1])),
    )
    return 0.95 * (last + above) / 2


def _in_order(parts: list[str], whole: list[str]) -> bool:
    """Whether `parts` is a subsequence of `whole`."""
    rest = iter(whole)
    return all(part in rest for part in parts)


def _last_ratio(got: str, real: str) -> float:
    """Similarity of two names; a beginning (`n_gpu`) or the initials (`learning_rate`) will do."""
    begins = len(got) >= 4 and real.startswith(got)
    initials = "_" in got and "".join(word[:1] for word in got.split("_")) == real
    return max(_ratio(got, real), 0.8 if begins or initials else 0.0)


def _ratio(one: str, other: str) -> float:
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= 0.5 else 0.0
