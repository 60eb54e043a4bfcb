"""Where the nodes of a configuration tree go in a package's code, and what is read of them.

In: an `Index` (already cut down to reachable code) and a `Tree`. Out: `Reads`: leaves and nodes
read, nodes consumed whole, keys read by name that the tree lacks.

The analysis is flow- and context-insensitive: a variable holds all nodes ever assigned to it, an
attribute is known by its name alone, a method call reaches every method of that name. A name read
from something unknown counts as read from every node that has such a key, except at the top level,
where the root itself must have been seen to arrive. So it errs towards "read".
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from launch.keyscan.calls import CallEvaluator
from launch.keyscan.index import Index, Unit, last_name
from launch.keyscan.tree import Path_, Tree
from launch.keyscan.values import Reads, Scope, Slot, Value


class Flow:
    """A fixpoint over all units: evaluate a unit again whenever a slot that it read has grown."""

    def __init__(self, index: Index, tree: Tree) -> None:
        """Find out what the code calls the root; the fixpoint starts from there."""
        self.index, self.tree, self.reads = index, tree, Reads()
        self.slots: dict[Slot, set[Path_]] = {}
        self.guesses: dict[Slot, set[Path_]] = {}
        self.readers: dict[Slot, set[int]] = {}
        self.units = index.units
        self.number = {id(unit): i for i, unit in enumerate(self.units)}
        self.scopes = [Scope(unit) for unit in self.units]
        self.queue = list(range(len(self.units)))
        self.queued = set(self.queue)
        self.scope_of = {id(unit): s for unit, s in zip(self.units, self.scopes, strict=True)}
        stores = {name for scope in self.scopes for name in scope.stored_attributes}
        self.stored = stores
        self.root_names = root_names(self.units, tree)

    def run(self) -> Reads:
        """Evaluate to the fixpoint."""
        while self.queue:
            number = self.queue.pop(0)
            self.queued.discard(number)
            CallEvaluator(self, self.units[number], self.scopes[number], number).run()
        return self.reads

    def store(self, slot: Slot, value: Value) -> None:
        """Add `value` to a slot and wake up its readers."""
        grew = False
        for table, paths in ((self.slots, value.sure), (self.guesses, value.guess)):
            if paths and not paths <= table.setdefault(slot, set()):
                table[slot] |= paths
                grew = True
        if grew:
            for number in self.readers.get(slot, ()):
                if number not in self.queued:
                    self.queued.add(number)
                    self.queue.append(number)

    def load(self, slot: Slot, reader: int, unknown: bool) -> Value:
        """What a slot holds now; `reader` is evaluated again when that grows."""
        self.readers.setdefault(slot, set()).add(reader)
        sure = frozenset(self.slots.get(slot, ()))
        guess = frozenset(self.guesses.get(slot, ()))
        return Value(sure, guess - sure, unknown)


def root_names(units: Iterable[Unit], tree: Tree) -> set[str]:
    """Names of variables and attributes that hold the whole config somewhere.

    Learned from look-ups of keys that only the root has (`config.trainer`): a name that is asked
    for two such keys or more is one; `param.data` alone makes no root.
    """
    top = {path[0] for path in tree.nodes if len(path) == 1}
    only = {name for name in top if len(tree.named[name]) == 1}
    asked: dict[str, set[str]] = {}
    for unit in units:
        for node in ast.walk(unit.node):
            key, base = "", None
            if isinstance(node, ast.Attribute):
                key, base = node.attr, node.value
            elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
                key, base = str(node.slice.value), node.value
            if key in only and isinstance(base, ast.Name | ast.Attribute):
                asked.setdefault(last_name(base), set()).add(key)
    return {name for name, keys in asked.items() if len(keys) > 1 and name not in ("self", "cls")}
