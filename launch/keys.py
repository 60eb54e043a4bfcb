"""Refuses keys that do not exist and keys that nothing reads, naming the real one.

In: overrides of the command line or a recipe's leaves, and what is known of the tree (`Known`).
Out: nothing, or a `ConfigError`. Checks names only: values, types and what they mean together are
for composition and preflight. Imports neither Hydra (but for `key={…}`) nor torch nor verl.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from conf.errors import ConfigError
from launch.dead_keys import DeadKey, KeyTable
from launch.nearest import AT_MOST, nearest, score

SURELY = 0.82  # above this, a new key where new keys are allowed is taken for a slip
_REFERS = re.compile(r"\$\{([\w.]+\.path)\}")
NO_TABLE = KeyTable("", {}, frozenset(), frozenset())


@dataclass(frozen=True)
class Known:
    """The keys there are.

    Attributes:
        leaves: dotted keys with a value, in the tree's order.
        nodes: dotted keys with keys below.
        open: nodes (and empty leaves) below which `+` may add any key.
        table: what verl reads.
        groups: config group → its options; no options: any (a recipe may be a path).
        paths: verl's `….path` leaves that follow one of ours (`${policy.path}`) → ours.
        empty: leaves that are mappings without keys.
    """

    leaves: dict[str, None]
    nodes: frozenset[str]
    open: frozenset[str]
    table: KeyTable
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    empty: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        tree: Mapping[str, Any],
        table: KeyTable = NO_TABLE,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> Known:
        """Learn the keys of a composed tree.

        Args:
            tree: nested dicts, composed with the chosen groups but without other overrides.
            table: `dead_keys.for_job(job)`.
            groups: config group → options.
        """
        leaves = flatten(tree)
        nodes = {key.rpartition(".")[0] for key in leaves}
        for node in list(nodes):
            parts = node.split(".")
            nodes.update(".".join(parts[:end]) for end in range(1, len(parts)))
        empty = {key for key, value in leaves.items() if value == {}} - set(table.dead)
        order = dict.fromkeys(leaves)
        followed = ((key, _REFERS.fullmatch(str(value))) for key, value in leaves.items())
        paths = {key: to[1] for key, to in followed if to and to[1] in leaves}
        return cls(
            order,
            frozenset(nodes - {""}),
            table.open | empty,
            table,
            groups or {},
            paths,
            frozenset(empty),
        )

    def may_add(self, key: str) -> bool:
        """Whether `+key=` adds something that is read."""
        parts = key.split(".")
        above = {".".join(parts[:end]) for end in range(1, len(parts))}
        return bool(above & self.open) or bool((above | {key}) & self.table.by_name)

    def suggestions(self, key: str) -> list[str]:
        """At most three keys that are read and look like `key`, those of the tree first."""
        alive = [leaf for leaf in self.leaves if leaf not in self.table.dead]
        found = nearest(key, alive) or nearest(key, sorted(self.table.by_name))
        meant = self.meant_by_node(key)
        if meant is None or (found and score(key, found[0]) >= 1):
            return found
        return [meant, *(one for one in found if one != meant)][:AT_MOST]

    def has_below(self, key: str) -> bool:
        """Whether there are keys below this one: those of a recipe, where the tree has none."""
        return any(leaf.startswith(f"{key}.") for leaf in self.leaves)

    def meant_by_node(self, key: str) -> str | None:
        """Who gives one value to a node, or to its bare name (`model=…`), means its path."""
        for leaf, ours in self.paths.items():
            if f".{leaf}".endswith(f".{key}.path"):
                return ours
        return None


@dataclass(frozen=True)
class Override:
    """One override, taken apart: `+group@package=value`, `++key=value`, `~key`.

    Attributes:
        sign: "", "+", "++" or "~".
        key: key or group, without the package.
        value: text after the first `=`; None when there is no `=`.
    """

    sign: str
    key: str
    value: str | None


def parse(text: str) -> Override:
    """Take an override apart.

    Raises:
        ConfigError: when it is not `key=value` (or `~key`).
    """
    body = text.lstrip("+~")
    sign = text[: len(text) - len(body)]
    key, equals, value = body.partition("=")
    if sign not in ("", "+", "++", "~") or not key or not (equals or sign == "~"):
        raise ConfigError(f"{text!r} is no override; expected key=value", f"{key or 'key'}=…")
    return Override(sign, key.partition("@")[0].strip(), value if equals else None)


def flatten(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested dicts → dotted leaf key → value, in order; an empty dict is a leaf."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{above}.{name}" if above else str(name)
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, key))
        else:
            flat[key] = value
    return flat


def choices(overrides: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """The overrides that choose group options: compose with these alone to get `Known.of`'s tree.

    An option may bring keys of its own (`model_engine=megatron`), so the tree depends on them.
    """
    chosen = []
    for text in overrides:
        body = text.lstrip("+~")
        key = body.partition("=")[0].partition("@")[0]
        if "=" in body and key in groups:
            chosen.append(text)
    return chosen


def check_overrides(overrides: Sequence[str], known: Known) -> None:
    """Check the overrides of a command line; flags (`--cfg`) and `hydra.*` are left alone.

    Raises:
        ConfigError: unknown key or option, `+` where nothing reads, or a dead key.
    """
    problems: list[ConfigError] = []
    for text in overrides:
        if text.startswith("-") or text.lstrip("+~").startswith(("hydra.", "hydra/")):
            continue
        problems += _problems_of_override(text, known)
    _raise_first(problems)


def check_tree(leaves: Mapping[str, Any], known: Known, source: str) -> None:
    """Check what a file sets.

    Args:
        leaves: nested or dotted keys → values.
        known: the keys there are.
        source: the file, for the message.

    Raises:
        ConfigError: as for an override; a new key counts as one with `+`.
    """
    problems: list[ConfigError] = []
    for key, value in flatten(leaves).items():
        # An empty mapping changes nothing below a node that has keys.
        if key in known.nodes and value == {}:
            continue
        sign = "" if key in known.leaves or not known.may_add(key) else "+"
        problems += _problems_of_key(Override(sign, key, str(value)), known)
    _raise_first([ConfigError(f"{source}: {one.message}", one.fix) for one in problems])


def _problems_of_override(text: str, known: Known) -> Iterator[ConfigError]:
    try:
        override = parse(text)
    except ConfigError as error:
        yield error
        return
    if override.key in known.groups:
        yield from _problems_of_group(override, known.groups[override.key])
    elif (override.value or "").lstrip().startswith("{"):
        yield from _problems_of_mapping(text, override, known)
    else:
        yield from _problems_of_key(override, known)


def _problems_of_group(override: Override, options: Sequence[str]) -> Iterator[ConfigError]:
    """`hardware=gpux`: options exist; a list or a path is for Hydra to judge."""
    value = (override.value or "").strip("'\" ")
    if not options or override.sign == "~" or value in ("", "null", *options) or "/" in value:
        return
    if value.startswith("["):
        return
    near = max(options, key=lambda option: SequenceMatcher(None, value, option).ratio())
    yield ConfigError(
        f"{override.key} has no option {value}; it has {', '.join(options)}",
        f"{override.sign}{override.key}={near}",
    )


def _problems_of_mapping(text: str, override: Override, known: Known) -> Iterator[ConfigError]:
    """`reward.custom_reward_function={path: f.py}`: each leaf that it sets."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        value = OverridesParser.create().parse_override(text).value()
    except HydraException as error:
        yield ConfigError(f"cannot read {text!r}: {str(error).splitlines()[0]}", "quote the value")
        return
    if isinstance(value, Mapping) and value and override.key in known.empty:
        if not override.sign and not known.has_below(override.key):
            # What stands in it would be new, which Hydra takes with + alone.
            mend = f"+{override.key}={override.value}"
            yield ConfigError(f"{override.key} is empty; new keys in it are added with +", mend)
        return
    if not isinstance(value, Mapping) or not value or override.key in known.open:
        yield from _problems_of_key(override, known)
        return
    for key, leaf in flatten(value, override.key).items():
        sign = "+" if known.may_add(key) and key not in known.leaves else ""
        yield from _problems_of_key(Override(sign, key, str(leaf)), known)


def _problems_of_key(override: Override, known: Known) -> Iterator[ConfigError]:
    sign, key, value = override.sign, override.key, override.value
    shown = "…" if value is None else value
    dead = _dead(key, known)
    if dead is not None:
        # A class of the user's own may read what verl's does not: `++` insists on it.
        if not (sign == "++" and known.may_add(key)):
            yield _dead_error(key, shown, dead, known)
    elif key in known.leaves:
        if sign == "+":
            yield ConfigError(f"{key} exists already, + is for new keys", f"{key}={shown}")
    elif key in known.nodes:
        if sign != "~" and not (value or "").lstrip().startswith("{") and value != "null":
            below = [leaf for leaf in known.leaves if leaf.startswith(key + ".")]
            alive = next((leaf for leaf in below if leaf not in known.table.dead), below[0])
            meant = known.meant_by_node(key)
            yield ConfigError(
                f"{key} is a node with {len(below)} keys, not a value",
                f"{meant}={shown}" if meant else f"{alive}=…",
            )
    elif sign in ("+", "++") and known.may_add(key):
        return
    else:
        yield _unknown_error(key, shown, sign, known)


def _dead(key: str, known: Known) -> DeadKey | None:
    """The table's entry for a key, for one above it, or for a node with nothing but dead keys."""
    parts = key.split(".")
    for end in range(len(parts), 0, -1):
        entry = known.table.dead.get(".".join(parts[:end]))
        if entry is not None:
            return entry
    below = [leaf for leaf in known.leaves if leaf.startswith(key + ".")]
    if below and all(leaf in known.table.dead for leaf in below):
        first = known.table.dead[below[0]]
        return DeadKey(first.reason, first.use.rpartition(".")[0] if first.use else "")
    return None


def _dead_error(key: str, value: str, dead: DeadKey, known: Known) -> ConfigError:
    return ConfigError(
        f"{key} composes but no code of verl {known.table.version} reads it"
        + (f"; use {dead.use}" if dead.use else f" ({dead.reason})"),
        f"{dead.use}={value}" if dead.use else f"leave {key} out",
    )


def _unknown_error(key: str, value: str, sign: str, known: Known) -> ConfigError:
    near = known.suggestions(key)
    if known.may_add(key) and not (near and score(key, near[0]) >= SURELY):
        return ConfigError(f"{key} is not in the tree; it may be added with +", f"+{key}={value}")
    if not near:
        groups = nearest(key, known.groups)
        if groups:
            return ConfigError(f"unknown key {key}; nearest: {groups[0]}", f"{groups[0]}={value}")
        return ConfigError(f"unknown key {key}; no key is like it", "--cfg job lists all keys")
    plus = "" if near[0] in known.leaves else "+"
    mend = f"~{near[0]}" if sign == "~" else f"{plus}{near[0]}={value}"
    return ConfigError(f"unknown key {key}; nearest: {', '.join(near)}", mend)


def _raise_first(problems: Sequence[ConfigError]) -> None:
    """One line for the user: the first problem, and how many more there are."""
    if problems:
        first, more = problems[0], len(problems) - 1
        tail = f" (and {more} more)" if more else ""
        raise ConfigError(first.message + tail, first.fix)
