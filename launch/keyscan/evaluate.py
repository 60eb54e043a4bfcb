"""Evaluates one unit over sets of configuration nodes, recording reads and passing values on.

In: a unit, its scope, a store of slots (`flow.Flow`). Out: nothing but entries in the store and in
its `Reads`. Every expression is evaluated, every statement's order ignored.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import Protocol

from launch.keyscan.index import Function, Index, Unit, last_name
from launch.keyscan.tree import Path_, Tree
from launch.keyscan.values import (
    INERT,
    LOOKUPS,
    NOTHING,
    PASSING,
    PASSING_WHOLE,
    UNKNOWN,
    WHOLE,
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


class Evaluator:
    """One pass over one unit."""

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
        given = self.flow.load(("s", id(self.unit), key.id), self.number, unknown=False).sure
        return [] if ANY_KEY in given else sorted(path[0] for path in given)

    def compare(self, node: ast.Compare) -> Value:
        """`"key" in x` reads the key; other comparisons read their operands."""
        values = [self.value(part) for part in (node.left, *node.comparators)]
        if isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(node.left, ast.Constant):
            if isinstance(node.left.value, str):
                self.look_up(values[1], node.left.value, node, strict=False)
        return NOTHING

    def look_up(self, base: Value, name: str, node: ast.AST, *, strict: bool) -> Value:
        """Read key or attribute `name` of `base`.

        Args:
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

    def call(self, node: ast.Call) -> Value:
        """Bind arguments to all units that the callee may be, or let them escape."""
        func, keywords = node.func, node.keywords
        method = func.attr if isinstance(func, ast.Attribute) else ""
        if method and isinstance(func, ast.Attribute):
            if method in LOOKUPS and node.args and not _is_omegaconf(func):
                return self.key_call(self.value(func.value), node.args[0], node)
            if method == "select" and len(node.args) >= 2:
                return self.select(node)
        plain = func.id if isinstance(func, ast.Name) else ""
        if plain in ("getattr", "hasattr") and len(node.args) >= 2:
            return self.key_call(self.value(node.args[0]), node.args[1], node)
        base = self.value(func)
        args = [self.value(arg) for arg in node.args]
        kwargs = {word.arg: self.value(word.value) for word in keywords if word.arg}
        for word in keywords:
            if word.arg is None:
                self.consume(self.value(word.value))
        for arg, value in zip(node.args, args, strict=True):
            if isinstance(arg, ast.Starred):
                self.consume(value)
        if method in WHOLE and not node.args and isinstance(func, ast.Attribute):
            self.consume(self.value(func.value))
            return self.value(func.value)
        return self.bind(node, base, args, kwargs)

    def bind(
        self, node: ast.Call, base: Value, args: list[Value], kwargs: dict[str, Value]
    ) -> Value:
        """Pass arguments on to the callee."""
        name = _callee(node.func)
        everything = union([*args, *kwargs.values()])
        if name in INERT or id(node) in self.scope.quiet:
            return NOTHING
        if name in PASSING:
            return Value(everything.sure, everything.guess, True)
        if name in PASSING_WHOLE:
            self.consume(everything)
            return Value(everything.sure, everything.guess, True)
        if name == "partial" and node.args:
            inner = ast.Call(node.args[0], node.args[1:], node.keywords)
            self.bind(ast.copy_location(inner, node), UNKNOWN, args[1:], kwargs)
            return UNKNOWN
        if self.is_foreign(node.func):
            self.consume(everything)
            return UNKNOWN
        if isinstance(node.func, ast.Name):
            self.literal_names(node.args)
        units = self.callees(node.func, name)
        for unit in units:
            self.bind_unit(unit, args, kwargs)
            self.bind_keys(unit, node)
        fields = self.flow.index.fields_of(name)
        for keyword, value in {**dict(zip(fields, args, strict=False)), **kwargs}.items():
            if keyword in fields:
                self.flow.store(("f", name, keyword), value)
        if units:
            return self.flow.load(("r", name), self.number, unknown=True)
        if name not in self.flow.index.classes and name not in self.flow.index.by_name:
            self.hand(everything) if self.is_variable(node.func) else self.consume(everything)
        return UNKNOWN

    def is_foreign(self, func: ast.expr) -> bool:
        """Whether the callee was imported from another package."""
        while isinstance(func, ast.Attribute | ast.Call):
            func = func.value if isinstance(func, ast.Attribute) else func.func
        return isinstance(func, ast.Name) and func.id in self.flow.index.foreign[self.unit.module]

    def is_variable(self, func: ast.expr) -> bool:
        """Whether the callee is a variable or an attribute rather than something imported."""
        while isinstance(func, ast.Attribute) and func.attr in ("remote", "options"):
            func = func.value
        if isinstance(func, ast.Name):
            return func.id in self.scope.locals | self.scope.params
        return isinstance(func, ast.Attribute | ast.Subscript | ast.Call)

    def literal_names(self, args: list[ast.expr]) -> None:
        """`get_attr("key")`: a helper may look up the key that it is given as a string."""
        for arg in args:
            if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                self.look_up(UNKNOWN, arg.value, arg, strict=False)

    def callees(self, func: ast.expr, name: str) -> list[Unit]:
        """Units that a call may run, where the source says which: functions, `__init__`, `self.m`.

        Methods of other objects are left out: reads inside them count by name alone.
        """
        index = self.flow.index
        if name in index.classes:
            family = index.family(name)
            inits = index.by_name.get("__init__", ())
            return [unit for unit in inits if unit.owner is not None and unit.owner.name in family]
        head = func
        while isinstance(head, ast.Attribute) and head.attr in ("remote", "options"):
            head = head.value
        if isinstance(head, ast.Attribute):
            if isinstance(head.value, ast.Name) and head.value.id in ("self", "cls"):
                return [unit for unit in index.by_name.get(name, ()) if unit.owner is not None]
            if not isinstance(head.value, ast.Name) or head.value.id in self.scope.locals:
                if not (isinstance(head.value, ast.Call) and _callee(head.value.func) == "super"):
                    return []
                bases = self.unit.owner.bases if self.unit.owner else []
                family = set().union(*(index.family(base) for base in bases))
                units = index.by_name.get(name, ())
                return [unit for unit in units if unit.owner and unit.owner.name in family]
        return [unit for unit in index.by_name.get(name, ()) if unit.owner is None]

    def bind_unit(self, unit: Unit, args: list[Value], kwargs: dict[str, Value]) -> None:
        """Positional arguments by place, keywords by name."""
        for name, value in zip(unit.params, args, strict=False):
            self.flow.store(("v", id(unit), name), value)
        known = set(unit.keyword_params)
        for keyword, value in kwargs.items():
            if keyword in known:
                self.flow.store(("v", id(unit), keyword), value)

    def bind_keys(self, unit: Unit, node: ast.Call) -> None:
        """Tell a helper which strings it is called with."""
        given = list(zip(unit.params, node.args, strict=False))
        given += [(word.arg, word.value) for word in node.keywords if word.arg]
        for name, arg in given:
            keys = {ANY_KEY}
            if isinstance(arg, ast.Constant):
                keys = {(arg.value,)} if isinstance(arg.value, str) else set()
            elif isinstance(arg, ast.Name) and self.scope.literals.get(arg.id):
                keys = {(key,) for key in self.scope.literals[arg.id]}
            self.flow.store(("s", id(unit), name), Value(frozenset(keys)))

    def key_call(self, base: Value, key: ast.expr, node: ast.Call) -> Value:
        """`x.get("key", default)` and `getattr(x, "key", default)`."""
        rest = [self.value(arg) for arg in node.args if arg is not key]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return union([self.look_up(base, key.value, node, strict=False), *rest[1:]])
        self.value(key)
        return union([self.computed(base, key, node), *rest[1:]])

    def select(self, node: ast.Call) -> Value:
        """`OmegaConf.select(x, "a.b")`."""
        value = self.value(node.args[0])
        key = node.args[1]
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            for part in key.value.split("."):
                value = self.look_up(value, part, node, strict=False)
            return value
        self.consume(value)
        return value


def _callee(func: ast.expr) -> str:
    """Name of what is called, `.remote` and `.options(…)` seen through."""
    if isinstance(func, ast.Attribute) and func.attr in ("remote", "options"):
        return _callee(func.value)
    if isinstance(func, ast.Call):
        return _callee(func.func)
    return last_name(func)


def _is_omegaconf(func: ast.Attribute) -> bool:
    return isinstance(func.value, ast.Name) and func.value.id in ("OmegaConf", "ray")


def _is_self(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _is_value(node: ast.AST) -> bool:
    return isinstance(node, ast.expr | ast.FormattedValue | ast.keyword)


def _as_load(target: ast.expr) -> ast.expr:
    """The same place, read."""
    if isinstance(target, ast.Name):
        return ast.Name(target.id, ast.Load())
    return target

