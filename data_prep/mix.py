"""How many rows of each source go into a training file, and which.

In: rows available per source, and a `MixSpec`: ratios or a preset, temperature, caps, epochs,
replay. Out: `Take`s whose counts add up exactly (largest remainder), or a refusal that names the
source that falls short and the total that would fit. Arithmetic is rational, so that 0.1 means a
tenth. Which rows, and in what order, is `data_prep.mix_order`; nothing is read or written here.

Temperature weighs a source of n rows by min(n, cap)^(1/T), as in T5 (arXiv:1910.10683, section
3.5.2): T=1 is proportional to size, a large T nearly uniform.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator

from conf.errors import ConfigError, DataError

PRESETS: Final[Mapping[str, Mapping[str, str]]] = {
    # Post-training for one domain: its own data first, the rest so that the model stays general.
    "post_training": {"general": "0.2", "math_code": "0.3", "domain": "0.4", "safety": "0.1"},
}
# Group of a source that says no other, by the `ability` of its declaration.
GROUP_OF_ABILITY: Final[Mapping[str, str]] = {
    **dict.fromkeys(("math", "code", "logic", "reasoning", "puzzle"), "math_code"),
    **dict.fromkeys(("safety", "refusal"), "safety"),
    **dict.fromkeys(("general", "chat", "instruction", "instruction_following"), "general"),
}
OTHER_GROUP: Final = "domain"

# Finite: shares are fractions, and a specification must be JSON that says what was asked.
Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Replay(BaseModel):
    """Rows like those of earlier training, so that it is not forgotten.

    Attributes:
        share: of the whole mix, 0.01 to 0.05.
        sources: where they come from; these sources take no other part in the mix.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    share: float = Field(ge=0.01, le=0.05)
    sources: tuple[str, ...] = Field(min_length=1)

    @field_validator("sources", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value


class MixSpec(BaseModel):
    """What the training files are mixed of.

    Attributes:
        preset: name of a table of ratios by group; None: `ratio`, or by size.
        ratio: weight by source or group; they need not add up to 1. Each source is covered.
        groups: source → group; default: by the source's ability.
        temperature: sources that share one ratio, or all without one, weigh size^(1/temperature).
        total: rows of each training file; None: as many as the ratios allow.
        caps: most rows used of a source.
        epochs: most times a row is used, for all sources or by source; 1.5 is each row once and
            half of them twice.
        replay: rows like those of earlier training.
        order: `shuffle`, or `sources` one after the other.
        curriculum: instead of `order`, a numeric field of the rows to sort by, easy first
            (`difficulty`, `length` in characters; `-length` is descending), or a list of sources
            and groups that follow each other, each shuffled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: str | None = None
    ratio: dict[str, Weight] = Field(default_factory=dict)
    groups: dict[str, str] = Field(default_factory=dict)
    temperature: float = Field(default=1.0, ge=1.0, allow_inf_nan=False)
    total: int | None = Field(default=None, ge=1)
    caps: dict[str, Annotated[int, Field(ge=1)]] = Field(default_factory=dict)
    epochs: Weight | dict[str, Weight] = 1.0
    replay: Replay | None = None
    order: Literal["shuffle", "sources"] = "shuffle"
    curriculum: str | tuple[str, ...] | None = None


class Supply(NamedTuple):
    """What a source has to give: its name, its group, its rows that passed the filters."""

    source: str
    group: str
    rows: int


class Take(NamedTuple):
    """What the mix takes of a source.

    Attributes:
        source: its name.
        rows: available.
        taken: written; a row used twice counts twice.
        asked: share of the mix that was asked for.
    """

    source: str
    rows: int
    taken: int
    asked: float


def group_of(source: str, ability: str, spec: MixSpec) -> str:
    """The group that a source's rows count for."""
    return spec.groups.get(source) or GROUP_OF_ABILITY.get(ability, OTHER_GROUP)


def _ratio(spec: MixSpec) -> dict[str, Fraction]:
    """The asked weights by source or group; empty when the sizes decide."""
    if spec.preset is None:
        return {key: Fraction(str(weight)) for key, weight in spec.ratio.items()}
    if spec.ratio:
        raise ConfigError("mix.preset and mix.ratio are both given", fix="leave one")
    if spec.preset not in PRESETS:
        raise ConfigError(f"no mix.preset {spec.preset!r}", fix=f"there is: {', '.join(PRESETS)}")
    return {key: Fraction(weight) for key, weight in PRESETS[spec.preset].items()}


def _limit(supply: Supply, spec: MixSpec) -> int:
    """The most rows that the source may give, repeats counted."""
    epochs = spec.epochs
    times = epochs.get(supply.source) if isinstance(epochs, dict) else epochs
    most = int(supply.rows * Fraction(str(1.0 if times is None else times)))
    return min(most, spec.caps.get(supply.source, most))


def _by_size(members: Sequence[Supply], spec: MixSpec) -> dict[str, Fraction]:
    """Shares within one pot: size^(1/temperature), adding up to 1."""
    sizes = {one.source: _limit(one, spec) for one in members}
    if spec.temperature == 1.0:  # exact
        weights = {name: Fraction(size) for name, size in sizes.items()}
    else:
        weights = {
            name: Fraction(float(size) ** (1.0 / spec.temperature)) for name, size in sizes.items()
        }
    whole = sum(weights.values())
    return {name: weight / whole for name, weight in weights.items()}


def _check_names(supplies: Sequence[Supply], spec: MixSpec) -> None:
    """Every name that the specification says is that of a source (or group)."""
    sources = {one.source for one in supplies}
    epochs = spec.epochs if isinstance(spec.epochs, dict) else {}
    named: dict[str, Iterable[str]] = {
        "mix.caps": spec.caps,
        "mix.groups": spec.groups,
        "mix.epochs": epochs,
        "mix.replay.sources": spec.replay.sources if spec.replay else (),
    }
    for key, names in named.items():
        for name in names:
            if name not in sources:
                raise ConfigError(
                    f"{key} names {name!r}, which is no source of this preparation",
                    fix=f"there is: {', '.join(sorted(sources))}",
                )


def shares(supplies: Sequence[Supply], spec: MixSpec) -> dict[str, Fraction]:
    """The share of each source, adding up to 1.

    Raises:
        ConfigError: a name that is no source or group, or a source without a ratio.
        DataError: a ratio for which no row is there.
    """
    _check_names(supplies, spec)
    replayed = set(spec.replay.sources) if spec.replay else set()
    empty = sorted(one.source for one in supplies if not _limit(one, spec))
    ratio = _ratio(spec)
    if empty and (ratio or replayed.intersection(empty)):
        raise DataError(
            f"the mix asks for rows of {empty[0]}, which has none left", fix="see its drop reasons"
        )
    rest = [one for one in supplies if one.source not in replayed and one.source not in empty]
    pots: dict[str, list[Supply]] = {}
    for one in rest:
        key = one.source if one.source in ratio else one.group
        if ratio and key not in ratio:
            raise ConfigError(
                f"source {one.source} (group {one.group}) has no share in the mix",
                fix=f"mix.ratio.{one.source}=…, or mix.groups.{one.source}={next(iter(ratio))}",
            )
        pots.setdefault(key if ratio else "", []).append(one)
    absent = sorted(set(ratio) - set(pots))
    if absent:
        raise DataError(
            f"the mix asks for {absent[0]}, and no source or group of that name gives rows",
            fix=f"mix.groups.SOURCE={absent[0]}, or a mix.ratio without it",
        )
    if replayed and not rest:
        raise ConfigError("mix.replay names every source", fix="leave one out of it")
    whole = sum(ratio.values()) or Fraction(1)
    replay_share = Fraction(str(spec.replay.share)) if spec.replay else Fraction(0)
    found: dict[str, Fraction] = dict.fromkeys(empty, Fraction(0))
    for key, members in pots.items():
        pot = (1 - replay_share) * (ratio[key] / whole if ratio else 1)
        found.update({name: pot * part for name, part in _by_size(members, spec).items()})
    if replayed:
        members = [one for one in supplies if one.source in replayed]
        found.update({name: replay_share * part for name, part in _by_size(members, spec).items()})
    return found


def apportion(parts: Mapping[str, Fraction], total: int) -> dict[str, int]:
    """Whole numbers that add up to `total`, by largest remainder; ties go by name."""
    floors = {name: int(part * total) for name, part in parts.items()}
    left = total - sum(floors.values())
    by_remainder = sorted(parts, key=lambda name: (floors[name] - parts[name] * total, name))
    return {name: floors[name] + (name in by_remainder[:left]) for name in parts}


def plan_mix(supplies: Sequence[Supply], spec: MixSpec, most: int | None = None) -> list[Take]:
    """What to take of each source, in the order given.

    Args:
        supplies: the sources that have rows of this kind.
        spec: the mix.
        most: upper bound of the total, for a dry run.

    Raises:
        ConfigError: see `shares`.
        DataError: the total asked for cannot be had in these ratios.
    """
    parts = shares(supplies, spec)
    limits = {one.source: _limit(one, spec) for one in supplies}
    bounds = [limits[name] / part for name, part in parts.items() if part]
    largest = int(min(bounds)) if bounds else 0  # no count can be rounded past its limit then
    total = spec.total if spec.total is not None else largest
    total = total if most is None else min(total, most)
    if total > largest:
        short = min((name for name in parts if parts[name]), key=lambda n: limits[n] / parts[n])
        raise DataError(
            f"the mix asks for {total} rows, {float(parts[short]):.1%} of them from {short}, "
            f"which can give {limits[short]}",
            fix=f"mix.total={largest}, mix.epochs.{short}=…, or another ratio",
        )
    counts = apportion(parts, total)
    return [
        Take(one.source, one.rows, counts[one.source], float(parts[one.source])) for one in supplies
    ]
