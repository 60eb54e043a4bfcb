"""Expressions whose value only decides what is logged.

In: a function's syntax tree. Out: ids of the AST nodes that do nothing but feed a log message: the
arguments of logging calls, the test of an `if` that only logs, and the right-hand side of an
assignment to a variable used nowhere else. A key read only there is not obeyed by anything.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

LOGGERS = frozenset({"logger", "logging", "warnings", "log", "_logger"})
PRINTERS = frozenset({"print", "pprint", "log_with_rank", "warn"})


def is_log_call(node: ast.AST) -> bool:
    """`logger.warning(…)`, `warnings.warn(…)`, `print(…)`."""
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in PRINTERS
    head = node.func
    while isinstance(head, ast.Attribute):
        head = head.value  # type: ignore[assignment]
    return isinstance(head, ast.Name) and head.id in LOGGERS


def _only_logs(body: list[ast.stmt]) -> bool:
    """Whether no statement of `body` does more than log."""
    for stmt in body:
        if isinstance(stmt, ast.Pass):
            continue
        if isinstance(stmt, ast.Expr) and (
            is_log_call(stmt.value) or isinstance(stmt.value, ast.Constant)
        ):
            continue
        if isinstance(stmt, ast.If) and _only_logs(stmt.body) and _only_logs(stmt.orelse):
            continue
        return False
    return True


def _pure(node: ast.expr) -> bool:
    """Whether evaluating `node` changes nothing: no call but look-ups."""
    for child in ast.walk(node):
        if isinstance(child, ast.Call):
            name = child.func.attr if isinstance(child.func, ast.Attribute) else ""
            plain = child.func.id if isinstance(child.func, ast.Name) else ""
            lookups = {"get", "select", "getattr", "hasattr", "len", "isinstance", "str", "int"}
            if name not in lookups and plain not in lookups:
                return False
        elif isinstance(child, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom):
            return False
    return True


def quiet_nodes(function: ast.AST) -> set[int]:
    """Ids of AST nodes of `function` that only feed log messages."""
    quiet: set[int] = set()
    nodes = list(ast.walk(function))
    for node in nodes:
        only_logs = isinstance(node, ast.If) and _only_logs([node]) and _pure(node.test)
        if is_log_call(node) or only_logs:
            quiet |= {id(child) for child in ast.walk(node)}
    if not quiet:
        return quiet
    uses: dict[str, list[int]] = {}
    assigned = list(_pure_assignments(nodes))
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            uses.setdefault(node.id, []).append(id(node))
    while True:
        before = len(quiet)
        for name, value in assigned:
            places = uses.get(name, [])
            if id(value) not in quiet and places and all(place in quiet for place in places):
                quiet |= {id(child) for child in ast.walk(value)}
        if len(quiet) == before:
            return quiet


def _pure_assignments(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, ast.expr]]:
    """`name = expression` where evaluating the expression changes nothing."""
    for node in nodes:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target = node.targets[0]
            if isinstance(target, ast.Name) and _pure(node.value):
                yield target.id, node.value
