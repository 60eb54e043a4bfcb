"""From reads to a verdict: which leaves are dead, where keys may be added, and what to use instead.

In: a `Tree`, the `Reads` of reachable code, the fields of its dataclasses. Out: a `Verdict`.
A leaf lives when it was looked up and each node above it was reached, or when something above it
is consumed whole, or when a living leaf interpolates it. `_target_` and group choices always live.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from launch.keyscan.tree import Path_, Tree
from launch.keyscan.values import Reads

ALIKE = 0.7  # names less alike than this are no replacement


@dataclass(frozen=True)
class Dead:
    """A key that composes but that nothing reads.

    Attributes:
        reason: what the scan found.
        use: the key that does what this one seems to do, "" when none is alike.
    """

    reason: str
    use: str


@dataclass(frozen=True)
class Verdict:
    """Outcome for one root; keys are dotted paths.

    Attributes:
        dead: leaf → why, and what to use.
        open: nodes below which any key may be added.
        by_name: keys that code reads though the tree lacks them; may be added, also keys below.
    """

    dead: dict[str, Dead]
    open: list[str]
    by_name: list[str]


def judge(
    tree: Tree,
    reads: Reads,
    fields_of: Callable[[str], dict[str, str]],
    moved: Mapping[Path_, Path_],
) -> Verdict:
    """Sort the leaves of `tree` into living and dead.

    Args:
        tree: the keys.
        reads: what code does with them.
        fields_of: class name → its annotated fields, name → annotation.
        moved: what `moved_keys` found.
    """
    living = {leaf for leaf in tree.leaves if _lives(leaf, tree, reads)}
    waiting = list(living)
    while waiting:
        for path in tree.references(waiting.pop()):
            for leaf in tree.below(path):
                if leaf not in living:
                    living.add(leaf)
                    waiting.append(leaf)
    added = {path for path in reads.by_name if path[-1] not in _METHODS}
    opened = set(reads.handed) | {p for p in reads.whole if p in tree.nodes}
    opened = {path for path in opened if not tree.target(path)}
    for node in sorted(tree.nodes):
        for name, annotation in fields_of(tree.target(node)).items() if tree.target(node) else ():
            path = (*node, name)
            if name.startswith("_") or name not in reads.names:
                continue
            if not tree.has(path):
                added.add(path)
            elif "dict" in annotation.lower() and (path in living or path in tree.nodes):
                opened.add(path)
    opened |= {leaf for leaf in living if tree.leaves[leaf] == {}}
    added = {path for path in added if _reached(path[:-1], reads)}
    names = sorted({".".join(path) for path in living | added})
    dead = {
        ".".join(leaf): Dead(_reason(leaf, reads), _replacement(leaf, names, moved))
        for leaf in tree.leaves
        if leaf not in living
    }
    return Verdict(
        dict(sorted(dead.items())),
        sorted(".".join(path) for path in opened if _reached(path, reads)),
        sorted(".".join(path) for path in added),
    )


_METHODS = frozenset({"get", "items", "keys", "values", "pop", "update", "copy"})


def _lives(leaf: Path_, tree: Tree, reads: Reads) -> bool:
    if leaf[-1] == "_target_" or leaf[0] in tree.choices:
        return True
    if (leaf in reads.touched or leaf in reads.whole) and _reached(leaf[:-1], reads):
        return True
    above = (leaf[:end] for end in range(1, len(leaf)))
    return any(node in reads.whole and _reached(node, reads) for node in above)


def _reached(node: Path_, reads: Reads) -> bool:
    """Whether code gets hold of a node: each step down to it was looked up, or all was consumed."""
    for end in range(1, len(node) + 1):
        if node[:end] in reads.whole:
            return True
        if node[:end] not in reads.touched:
            return False
    return True


def _reason(leaf: Path_, reads: Reads) -> str:
    for end in range(1, len(leaf)):
        if leaf[:end] not in reads.touched:
            return f"nothing reads the node {'.'.join(leaf[:end])}"
    if leaf[-1] in reads.names:
        return f"nothing reads {leaf[-1]} from {'.'.join(leaf[:-1]) or 'the root'}"
    return f"nothing reads a key called {leaf[-1]}"


def _replacement(leaf: Path_, names: list[str], moved: Mapping[Path_, Path_]) -> str:
    """The living key that does the same.

    Where the package itself copies the old key to a new one, that one; else the same path under
    another top-level node; else a sibling of a similar name.
    """
    known = set(names)
    for end in range(len(leaf), 0, -1):
        new = ".".join((*moved[leaf[:end]], *leaf[end:])) if leaf[:end] in moved else ""
        if new in known:
            return new
    same = [name for name in names if name.endswith("." + ".".join(leaf))]
    if same:
        return min(same, key=len)
    parent = ".".join(leaf[:-1])
    near = [
        (difflib.SequenceMatcher(None, leaf[-1], last).ratio(), name)
        for name, last in ((name, name.rpartition(".")[2]) for name in names)
        if name.rpartition(".")[0] == parent and _share_words(leaf[-1], last)
    ]
    return max(near)[1] if near and max(near)[0] >= ALIKE else ""


def _share_words(one: str, other: str) -> bool:
    """Whether two names have most words in common: `max_num_batches`, `max_inflight_batches`."""
    first, second = set(one.split("_")), set(other.split("_"))
    return len(first & second) > 1 and len(first & second) * 2 >= len(first)


def moved_keys(modules: Iterable[ast.Module], tree: Tree) -> dict[Path_, Path_]:
    """Keys that some code of the package, reached or not, copies: `config.new = config.old`.

    Returns:
        Old path → new path.
    """
    moved: dict[Path_, Path_] = {}
    for module in modules:
        for node in ast.walk(module):
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                old, new = _chain(node.value), _chain(node.targets[0])
                same_root = len(old) > 1 and len(new) > 1 and old[0] == new[0]
                if same_root and tree.has(old[1:]) and tree.has(new[1:]):
                    moved[old[1:]] = new[1:]
    return moved


def _chain(node: ast.AST) -> Path_:
    """`config.a.b` → ("config", "a", "b"); () for anything else."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id, *reversed(names)) if isinstance(node, ast.Name) else ()
