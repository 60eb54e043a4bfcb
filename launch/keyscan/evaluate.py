"""Evaluates one unit over sets of configuration nodes, recording reads and passing values on.

In: a unit, its scope, a store of slots (`flow.Flow`). Out: nothing but entries in the store and in
its `Reads`. Every expression is evaluated, every statement's order ignored.
"""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Protocol

from launch.keyscan.index import Function, Index, Unit
from launch.keyscan.tree import Path_, Tree
from launch.keyscan.values import (
    NOTHING,
    UNKNOWN,
    Reads,
    Scope,
    Slot,
    Value,
    union,
)

ANY_KEY = ("*",)
LITERALS = (ast.Constant, ast.JoinedStr, ast.Compare, ast.Lambda)


class Store(Protocol):
    """The part of `Flow` that an evaluator needs."""

    index: Index
    tree: Tree
    reads: Reads
    stored: set[str]
    root_names: set[str]
    scope_of: dict[int, Scope]

    def store(self, slot: Slot, value: Value) -> None:
        """Add a value to a slot."""

    def load(self, slot: Slot, reader: int, unknown: bool) -> Value:
        """Read a slot."""


class Evaluator(ABC):
    """One pass over one unit; calls are left to `calls.CallEvaluator`."""

    def __init__(self, flow: Store, unit: Unit, scope: Scope, number: int) -> None:
        """Bind the unit to the store."""
        self.flow, self.unit, self.scope, self.number = flow, unit, scope, number
        self.tree, self.reads = flow.tree, flow.reads
        self.owner = unit.method_of
        self.line = 0

    def run(self) -> None:
        """Evaluate all statements of the unit."""
        body = self.unit.node.body
        if not isinstance(self.unit.node, ast.Module):
            for default in (*self.unit.node.args.defaults, *self.unit.node.args.kw_defaults):
                if default is not None:
                    self.value(default)
        self.statements(body)

    def statements(self, nodes: Iterable[ast.AST]) -> None:
        """Evaluate statements, nested definitions left out (they are units of their own)."""
        for node in nodes:
            if isinstance(node, Function | ast.ClassDef | ast.Import | ast.ImportFrom):
                continue
            if isinstance(node, ast.Assign):
                self.assign(node.targets, self.value(node.value))
            elif isinstance(node, ast.AnnAssign):
                if node.value is not None:
                    self.assign([node.target], self.value(node.value))
            elif isinstance(node, ast.AugAssign):
                self.value(_as_load(node.target))
                self.assign([node.target], self.value(node.value))
            elif isinstance(node, ast.Return):
                if node.value is not None:
                    self.flow.store(("r", self.unit.name), self.value(node.value))
            elif isinstance(node, ast.For | ast.AsyncFor):
                self.iterate(node.target, node.iter)
                self.statements([*node.body, *node.orelse])
            elif isinstance(node, ast.withitem):
                held = self.value(node.context_expr)
                if node.optional_vars is not None:
                    self.assign([node.optional_vars], held)
            elif isinstance(node, ast.expr):
                self.value(node)
            else:
                self.statements(ast.iter_child_nodes(node))

    def assign(self, targets: Iterable[ast.expr], value: Value) -> None:
        """Store a value; writing to a key does not read it."""
        for target in targets:
            if isinstance(target, ast.Name):
                self.flow.store(("v", id(self.unit), target.id), value)
            elif isinstance(target, ast.Attribute):
                self.value(target.value)
                if self.owner is not None and _is_self(target.value):
                    self.flow.store(("f", self.owner.name, target.attr), value)
            elif isinstance(target, ast.Subscript):
                self.value(target.value)
                self.value(target.slice)
            elif isinstance(target, ast.Tuple | ast.List):
                self.assign(target.elts, value)
            elif isinstance(target, ast.Starred):
                self.assign([target.value], value)

    def iterate(self, target: ast.expr, source: ast.expr) -> None:
        """`for target in source`: iterating a node consumes it."""
        value = self.value(source)
        self.consume(value)
        self.assign([target], Value(unknown=value.unknown))

    def value(self, node: ast.AST) -> Value:
        """What an expression may hold."""
        self.line = getattr(node, "lineno", self.line)
        if isinstance(node, ast.Name):
            return self.maybe_root(node.id, self.name(node))
        if isinstance(node, ast.Attribute):
            value = self.look_up(self.value(node.value), node.attr, node, strict=True)
            return self.maybe_root(node.attr, value)
        if isinstance(node, ast.Subscript):
            return self.subscript(node)
        if isinstance(node, ast.Call):
            return self.call(node)
        if isinstance(node, ast.IfExp):
            self.value(node.test)
            return union([self.value(node.body), self.value(node.orelse)])
        if isinstance(node, ast.BoolOp):
            return union([self.value(item) for item in node.values])
        if isinstance(node, ast.NamedExpr):
            value = self.value(node.value)
            self.assign([node.target], value)
            return value
        if isinstance(node, ast.Await | ast.Starred):
            return self.value(node.value)
        if isinstance(node, ast.Compare):
            return self.compare(node)
        return self.compound(node)

    def maybe_root(self, name: str, value: Value) -> Value:
        """Add the root where code calls a variable as it calls the whole config elsewhere."""
        if name not in self.flow.root_names or not value.unknown:
            return value
        return Value(value.sure | {()}, value.guess, True)

    def compound(self, node: ast.AST) -> Value:
        """Displays, comprehensions, operators: hold what their parts hold, loosely."""
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
            for generator in node.generators:
                self.iterate(generator.target, generator.iter)
                for test in generator.ifs:
                    self.value(test)
            if isinstance(node, ast.DictComp):
                self.value(node.key)
                return self.value(node.value)
            return self.value(node.elt)
        if isinstance(node, ast.Dict):
            for key, item in zip(node.keys, node.values, strict=True):
                value = self.value(item)
                if key is None:
                    self.consume(value)
                else:
                    self.value(key)
            return NOTHING
        parts = [self.value(child) for child in ast.iter_child_nodes(node) if _is_value(child)]
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return union(parts)
        return NOTHING if isinstance(node, LITERALS) else UNKNOWN

    def name(self, node: ast.Name) -> Value:
        """A variable of this unit, or of one that it is nested in."""
        owner: Unit | None = self.unit
        while owner is not None:
            scope = self.flow.scope_of[id(owner)]
            if node.id in scope.params:
                return self.flow.load(("v", id(owner), node.id), self.number, unknown=True)
            if node.id in scope.locals:
                return self.flow.load(("v", id(owner), node.id), self.number, unknown=True)
            owner = owner.outer
        return UNKNOWN

    def subscript(self, node: ast.Subscript) -> Value:
        """`x["key"]`; with a computed key the whole of `x` counts as consumed."""
        base = self.value(node.value)
        if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
            return self.look_up(base, node.slice.value, node, strict=False)
        self.value(node.slice)
        return self.computed(base, node.slice, node)

    def computed(self, base: Value, key: ast.expr, node: ast.AST) -> Value:
        """A key that is a variable: its literal values where it loops over some, else all keys."""
        names = self.scope.literals.get(key.id, []) if isinstance(key, ast.Name) else []
        if names:
            return union([self.look_up(base, name, node, strict=False) for name in names])
        if isinstance(key, ast.Slice | ast.Constant):
            return base
        names = self.given_keys(key)
        if names:
            return union([self.look_up(base, name, node, strict=False) for name in names])
        sure = base.sure - {()}  # else any `config[name]` would read the whole tree
        children = [frozenset(self.tree.children(paths)) for paths in (sure, base.guess)]
        self.mark(self.reads.touched, children[0] | children[1], node)
        return Value(children[0], children[1], base.unknown)

    def given_keys(self, key: ast.expr) -> list[str]:
        """Keys that callers give a helper such as `get(config, key)`; [] when one is not known."""
        if not (isinstance(key, ast.Name) and key.id in self.scope.params):
            return []
        if self.unit.owner is not None:
            return []  # not all calls of a method are seen
        given = self.flow.load(("s", id(self.unit), key.id), self.number, unknown=False).sure
        return [] if ANY_KEY in given else sorted(path[0] for path in given)

    def compare(self, node: ast.Compare) -> Value:
        """`"key" in x` reads the key; other comparisons read their operands."""
        values = [self.value(part) for part in (node.left, *node.comparators)]
        key = node.left.value if isinstance(node.left, ast.Constant) else None
        if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(key, str):
            self.look_up(values[1], key, node, strict=False)
        return NOTHING

    def look_up(self, base: Value, name: str, node: ast.AST, *, strict: bool) -> Value:
        """Read key or attribute `name` of `base`.

        Args:
            base: what it is read from.
            name: the key.
            node: the expression that reads it.
            strict: plain attribute access, which fails on a missing key and so proves nothing.
        """
        tree = self.tree
        if id(node) not in self.scope.quiet:
            self.reads.names.add(name)
        sure = {(*path, name) for path in base.sure if tree.has((*path, name))}
        guess = {(*path, name) for path in base.guess if tree.has((*path, name))}
        if not strict and name.isidentifier():
            absent = [(*path, name) for path in base.sure & tree.nodes if path]
            self.mark(self.reads.by_name, [path for path in absent if not tree.has(path)], node)
        # An attribute that methods store is theirs, unless `self` is a config dataclass.
        own = strict and isinstance(node, ast.Attribute) and self.is_plain_self(node)
        if base.unknown and not own:
            guess |= {path for path in tree.named.get(name, ()) if len(path) > 1}
        self.mark(self.reads.touched, sure | guess, node)
        found = bool(sure or guess)
        value = Value(frozenset(sure), frozenset(guess), base.unknown and not found)
        if self.owner is not None and isinstance(node, ast.Attribute) and _is_self(node.value):
            family = self.flow.index.kin(self.owner.name)
            held = [self.flow.load(("f", one, name), self.number, unknown=False) for one in family]
            value = union([value, *held])
        return value

    def is_plain_self(self, node: ast.Attribute) -> bool:
        """`self.name` where `name` is an attribute that some method stores."""
        if not _is_self(node.value) or self.owner is None or self.owner.is_dataclass:
            return False
        return node.attr in self.flow.stored

    def mark(self, where: set[Path_], paths: Iterable[Path_], node: ast.AST) -> None:
        """Record reads, unless the value only feeds a log message."""
        if id(node) in self.scope.quiet:
            return
        for path in paths:
            if path not in where:
                where.add(path)
                line = getattr(node, "lineno", 0)
                self.reads.where.setdefault(path, f"{self.unit.module}:{line}")

    def consume(self, value: Value) -> None:
        """The value is unpacked, iterated or leaves the package: all below it counts as read."""
        guess = {path for path in value.guess if not self.tree.target(path)}
        for path in value.sure | guess:
            if path:  # the whole config goes to trackers and pprint; that proves nothing
                self.reads.whole.setdefault(path, f"{self.unit.module}:{self.line}")

    def hand(self, value: Value) -> None:
        """The value goes to a callee held in a variable, such as a class that users plug in."""
        for path in value.sure:
            if path in self.tree.nodes and path and not self.tree.target(path):
                self.reads.handed.setdefault(path, f"{self.unit.module}:{self.line}")

    @abstractmethod
    def call(self, node: ast.Call) -> Value:
        """What a call returns; its arguments go to the callee."""


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _is_value(node: ast.AST) -> bool:
    return isinstance(node, ast.expr | ast.FormattedValue | ast.keyword)


def _as_load(target: ast.expr) -> ast.expr:
    """The same place, read."""
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    return target
