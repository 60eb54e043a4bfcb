"""Values of the scan and what it collects: shared by `evaluate` and `flow`.

A `Value` is what an expression may hold, a `Scope` what can be said of one unit beforehand, `Reads`
the outcome. No analysis happens here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from launch.keyscan.index import Function, Unit
from launch.keyscan.quiet import quiet_nodes
from launch.keyscan.tree import Path_

# Calls that hand on what they get.
PASSING = frozenset(
    {"omega_conf_to_dataclass", "deepcopy", "copy", "create", "merge", "unsafe_merge", "to_object"}
    | {"structured", "cast", "instantiate", "put", "get", "resolve", "masked_copy"}
    | {"DictConfig", "replace"}
)
# Calls that hand on a plain copy, of which any key may be read later.
PASSING_WHOLE = frozenset({"to_container", "dict", "asdict"})
# Calls that look at a value without reading keys of it.
INERT = frozenset(
    {"print", "pprint", "isinstance", "len", "type", "id", "repr", "open_dict", "set_struct"}
    | {"set_readonly", "is_config", "is_dict", "is_list", "is_missing", "callable", "bool"}
)
LOOKUPS = frozenset({"get", "pop", "setdefault", "__getitem__", "get_field"})
WHOLE = frozenset({"items", "values", "keys", "asdict", "vars", "dict", "to_yaml", "to_dict"})
Slot = tuple[object, ...]


class Value(NamedTuple):
    """What an expression may hold: nodes seen to arrive, nodes guessed by name, anything else."""

    sure: frozenset[Path_] = frozenset()
    guess: frozenset[Path_] = frozenset()
    unknown: bool = False


NOTHING = Value()
UNKNOWN = Value(unknown=True)


def union(values: Iterable[Value]) -> Value:
    """All that any of `values` may hold."""
    sure: frozenset[Path_] = frozenset()
    guess: frozenset[Path_] = frozenset()
    unknown = False
    for value in values:
        sure, guess = sure | value.sure, guess | value.guess
        unknown = unknown or value.unknown
    return Value(sure, guess, unknown)


@dataclass
class Reads:
    """What reachable code does with the tree.

    Attributes:
        touched: leaves and nodes that were looked up.
        whole: nodes (or leaves) consumed as a whole: unpacked, iterated, handed to other packages.
        handed: nodes given to a class or function held in a variable, maybe the user's own.
        names: all names looked up on anything.
        by_name: keys looked up with `get`, `getattr`, `select` or `in` that the tree lacks.
    """

    touched: set[Path_] = field(default_factory=set)
    whole: dict[Path_, str] = field(default_factory=dict)
    handed: dict[Path_, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    by_name: set[Path_] = field(default_factory=set)
    where: dict[Path_, str] = field(default_factory=dict)


class Scope:
    """Static facts on one unit: its local variables, quiet nodes and stored attributes."""

    def __init__(self, unit: Unit) -> None:
        """Walk the unit once."""
        self.locals: set[str] = set()
        self.stored_attributes: set[str] = set()
        self.quiet = set() if isinstance(unit.node, ast.Module) else quiet_nodes(unit.node)
        loops: dict[str, list[list[str]]] = {}
        for node in own_nodes(unit.node):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.locals.add(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self.stored_attributes.add(node.attr)
            elif isinstance(node, ast.For | ast.comprehension) and (
                isinstance(node.target, ast.Name)
            ):
                loops.setdefault(node.target.id, []).append(string_items(node.iter))
        # A name that also loops over something else may hold any string.
        self.literals = {
            name: [key for keys in of for key in keys] for name, of in loops.items() if all(of)
        }
        args = () if isinstance(unit.node, ast.Module) else _all_args(unit.node)
        self.params = {arg.arg for arg in args}


def own_nodes(function: ast.AST) -> Iterable[ast.AST]:
    """Nodes of a unit, nested definitions left out."""
    stack = list(ast.iter_child_nodes(function))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, Function | ast.ClassDef):
            stack.extend(ast.iter_child_nodes(node))


def string_items(node: ast.AST) -> list[str]:
    """The strings of a literal list, tuple or set."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [
            item.value
            for item in node.elts
            if isinstance(item, ast.Constant) and isinstance(item.value, str)
        ]
    return []


def _all_args(node: Function) -> list[ast.arg]:
    rest = [arg for arg in (node.args.vararg, node.args.kwarg) if arg is not None]
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, *rest]
