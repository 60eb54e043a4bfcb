"""What a call does with configuration nodes: binds arguments, looks keys up, or lets them escape.

In: call expressions, from `evaluate.Evaluator`. Out: values, and entries in the store. Calls that
the source does not resolve (methods of unknown objects) bind nothing: what they read counts by
name alone.
"""

from __future__ import annotations

import ast

from launch.keyscan.evaluate import ANY_KEY, Evaluator
from launch.keyscan.index import Unit, last_name
from launch.keyscan.values import (
    INERT,
    LOOKUPS,
    NOTHING,
    PASSING,
    PASSING_WHOLE,
    UNKNOWN,
    WHOLE,
    Value,
    union,
)


class CallEvaluator(Evaluator):
    """An evaluator that knows calls."""

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
