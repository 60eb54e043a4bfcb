"""Read the asserts of a data set: what may be evaluated inside, what must be compared outside.

In: the source of a test. Out: `Direct`s, an expression for the program's process and the plain
value it must have, which never goes there; or a `General`, a test that runs in a process of its
own. A truth value is expected of a direct call only: of `isclose(f(x), 2) == True` the program's
process would decide the outcome itself. Nothing is evaluated: constants are computed from the
syntax tree, with bounded numbers.
"""

from __future__ import annotations

import ast
import builtins
import operator
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Direct:
    """`assert expression == expected`.

    Attributes:
        expression: source to evaluate among the program's names.
        expected: its value.
    """

    expression: str
    expected: Any


@dataclass(frozen=True, slots=True)
class General:
    """Any other test.

    Attributes:
        source: it passes when it runs to its end.
    """

    source: str


Test = Direct | General
_BINARY: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_MAKERS: Final[dict[str, Callable[..., Any]]] = {
    maker.__name__: maker
    for maker in (set, frozenset, tuple, list, dict, float, int, complex, sorted, deque, Counter)
} | {"OrderedDict": OrderedDict}
_NUMBER: Final = (int, float, complex)


class _NoConstant(ValueError):
    """The expression is no constant."""


def _number(value: Any) -> Any:
    if not isinstance(value, _NUMBER) or (isinstance(value, int) and abs(value) > 1 << 4096):
        raise _NoConstant
    return value


def constant(node: ast.expr) -> Any:
    """The value of a constant expression.

    Raises:
        ValueError: it is none.
    """
    if isinstance(node, ast.Constant) and node.value is not Ellipsis:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _number(constant(node.operand))
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _number(constant(node.left)), _number(constant(node.right))
        if isinstance(node.op, ast.Pow):
            if abs(left) > 10**6 or abs(right) > 64:
                raise _NoConstant
            return left**right
        if type(node.op) in _BINARY:
            return _BINARY[type(node.op)](left, right)
    if isinstance(node, ast.Tuple):
        return tuple(map(constant, node.elts))
    if isinstance(node, ast.List):
        return list(map(constant, node.elts))
    if isinstance(node, ast.Set):
        return set(map(constant, node.elts))
    if isinstance(node, ast.Dict) and None not in node.keys:
        keys = [constant(key) for key in node.keys if key is not None]
        return dict(zip(keys, map(constant, node.values), strict=True))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        maker = _MAKERS.get(node.func.id)
        if maker is not None and len(node.args) <= 2:
            return maker(*map(constant, node.args))
    raise _NoConstant


def _direct_call(node: ast.expr) -> bool:
    """Whether the value is what the program's own function returns."""
    if not isinstance(node, ast.Call):
        return False
    root: ast.expr = node.func
    while isinstance(root, ast.Attribute | ast.Call):
        root = root.value if isinstance(root, ast.Attribute) else root.func
    if not isinstance(root, ast.Name):
        return False
    return not hasattr(builtins, root.id) and root.id not in sys.stdlib_module_names


def _direct(node: ast.Assert) -> Direct | None:
    compare = node.test
    if not (isinstance(compare, ast.Compare) and len(compare.ops) == 1):
        return None
    if not isinstance(compare.ops[0], ast.Eq):
        return None
    for inside, outside in (
        (compare.left, compare.comparators[0]),
        (compare.comparators[0], compare.left),
    ):
        try:
            expected = constant(outside)
        except (ValueError, TypeError, ArithmeticError):
            continue
        if isinstance(expected, bool) and not _direct_call(inside):
            return None
        return Direct(ast.unparse(inside), expected)
    return None


def split(source: str) -> list[Test]:
    """The tests in a source text; one `General` unless it consists of asserts alone.

    Raises:
        ValueError: it does not compile, or tests nothing.
    """
    try:
        body = ast.parse(source.strip()).body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"test does not compile: {error}") from None
    if not any(isinstance(node, ast.Assert) for part in body for node in ast.walk(part)):
        raise ValueError(f"no assert in test {source.strip()[:60]!r}")
    if not all(isinstance(node, ast.Assert) for node in body):
        return [General(source)]
    tests: list[Test] = []
    for node in body:
        assert isinstance(node, ast.Assert)
        tests.append(_direct(node) or General(ast.unparse(node)))
    return tests


def called(source: str) -> set[str]:
    """Names of functions that a test calls and that are no built-ins."""
    try:
        tree = ast.parse(source.strip())
    except (SyntaxError, RecursionError, MemoryError):
        return set()
    names = {
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    return {name for name in names if not hasattr(builtins, name)}
