"""Index of a package's functions and classes, and which of them code from an entry can reach.

In: the folder of an importable package, entry modules, modules to leave out. Out: an `Index` of
`Unit`s (functions, methods, module bodies) with `reachable()`. Reachability is by name: a function
is reached when reachable code other than an import or `__all__` mentions its name, also in a
string; too much is reached rather than too little. Does not import or run the package.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from conf.errors import ConfigError

Function = ast.FunctionDef | ast.AsyncFunctionDef
# Decorators that register nothing, so that a function under them is reached by its name alone.
PLAIN_DECORATORS = frozenset(
    {"dataclass", "staticmethod", "classmethod", "property", "abstractmethod", "contextmanager"}
    | {"deprecated", "no_grad", "lru_cache", "cache", "wraps", "GPUMemoryLogger"}
)
# Bases that call no method of a class by themselves.
TRANSPARENT_BASES = frozenset({"ABC", "object", "Enum", "str", "Generic", "Protocol", "BaseConfig"})


def package_folder(package: str) -> Path:
    """Folder of an installed top-level package, found without importing it.

    Raises:
        ConfigError: when the package is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"package {package} is not installed", "make setup")
    return Path(next(iter(spec.submodule_search_locations)))


@dataclass
class ClassInfo:
    """A class: its bases by last name, its decorators, its annotated fields (name → annotation)."""

    name: str
    bases: list[str]
    decorators: list[str]
    fields: dict[str, str]
    names: set[str] = field(default_factory=set)

    @property
    def is_dataclass(self) -> bool:
        """Whether `self.x` may read a configuration field rather than a stored attribute."""
        return "dataclass" in self.decorators


@dataclass(eq=False)
class Unit:
    """A function, method or module body, with what it mentions.

    Attributes:
        name: function name, or "<module>".
        node: its syntax tree.
        owner: the class it is a method of, None otherwise.
        names: identifiers and identifier-like strings in its body.
        outer: the function it is nested in, whose variables it sees.
    """

    module: str
    name: str
    node: Function | ast.Module
    owner: ClassInfo | None
    outer: Unit | None
    decorators: list[str]
    names: set[str] = field(default_factory=set)

    @property
    def method_of(self) -> ClassInfo | None:
        """The class whose `self` it sees, also from inside a nested function."""
        unit: Unit | None = self
        while unit is not None and unit.owner is None:
            unit = unit.outer
        return unit.owner if unit is not None else None

    @property
    def params(self) -> list[str]:
        """Positional parameter names, `self` and `cls` of methods left out."""
        if isinstance(self.node, ast.Module):
            return []
        names = [arg.arg for arg in (*self.node.args.posonlyargs, *self.node.args.args)]
        if self.owner is not None and names and "staticmethod" not in self.decorators:
            names = names[1:]
        return names

    @property
    def keyword_params(self) -> list[str]:
        """Parameter names that a caller can bind by keyword."""
        if isinstance(self.node, ast.Module):
            return []
        return self.params + [arg.arg for arg in self.node.args.kwonlyargs]


def last_name(node: ast.expr) -> str:
    """`a.b.C(...)` → "C"; "" for what has no name."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def mentioned(nodes: Iterable[ast.AST]) -> set[str]:
    """Identifiers, attribute names and identifier-like strings below `nodes`, imports left out."""
    names: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import | ast.ImportFrom | Function | ast.ClassDef):
            continue
        if isinstance(node, ast.Assign) and last_name(node.targets[0]) == "__all__":
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # docstring
        if isinstance(node, ast.AnnAssign):
            stack.extend(child for child in (node.value,) if child is not None)
            continue
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            last = node.value.rpartition(".")[2]
            if last.isidentifier():
                names.add(last)
        stack.extend(ast.iter_child_nodes(node))
    return names


class Index:
    """All units of the modules that the entry modules import, directly or not."""

    def __init__(self, folder: Path, package: str, entries: list[str], without: list[str]) -> None:
        """Parse the import closure of `entries`, modules starting with a `without` left out."""
        self.units: list[Unit] = []
        self.classes: dict[str, list[ClassInfo]] = {}
        self.foreign: dict[str, set[str]] = {}
        self._kin: dict[str, frozenset[str]] = {}
        self._files = _module_files(folder, package)
        self._without = tuple(without)
        for module in sorted(self._closure(entries)):
            self._add_module(module)
        self.by_name: dict[str, list[Unit]] = {}

    @property
    def modules(self) -> Iterable[ast.Module]:
        """Syntax trees of all modules in the closure."""
        return self._trees.values()

    def _closure(self, entries: list[str]) -> dict[str, ast.Module]:
        self._trees: dict[str, ast.Module] = {}
        stack = list(entries)
        while stack:
            parts = stack.pop().split(".")
            for end in range(1, len(parts) + 1):
                module = ".".join(parts[:end])
                if module not in self._files or module in self._trees:
                    continue
                if module.startswith(self._without):
                    continue
                self._trees[module] = ast.parse(self._files[module].read_text(encoding="utf-8"))
                is_package = self._files[module].name == "__init__.py"
                stack.extend(_imports(self._trees[module], module, is_package))
        return self._trees

    def _add_module(self, module: str) -> None:
        tree = self._trees[module]
        self.foreign[module] = _foreign_names(tree, module.partition(".")[0])
        unit = Unit(module, "<module>", tree, None, None, [], mentioned(tree.body))
        self.units.append(unit)
        self._add_children(tree.body, module, None, None)

    def _add_children(
        self, body: Iterable[ast.AST], module: str, owner: ClassInfo | None, outer: Unit | None
    ) -> None:
        for node in _definitions(body):
            decorators = [last_name(item) for item in node.decorator_list]
            if isinstance(node, ast.ClassDef):
                info = ClassInfo(node.name, [last_name(b) for b in node.bases], decorators, {})
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                        info.fields[item.target.id] = ast.unparse(item.annotation)
                info.names = mentioned(node.body) | mentioned(node.decorator_list)
                self.classes.setdefault(node.name, []).append(info)
                self._add_children(node.body, module, info, outer)
                continue
            names = mentioned(node.body) | mentioned(node.decorator_list)
            names |= mentioned(node.args.defaults)
            unit = Unit(module, node.name, node, owner, outer, decorators, names)
            self.units.append(unit)
            self._add_children(node.body, module, None, unit)

    def reach(self, start: Iterable[str]) -> list[Unit]:
        """Keep only the units reachable from the module bodies and the names in `start`."""
        known = set(start)
        live: list[Unit] = []
        live_classes: set[int] = set()
        waiting = list(self.units)
        grown = True
        while grown:
            grown = False
            for infos in self.classes.values():
                for info in infos:
                    if id(info) in live_classes or not _class_is_live(info, known):
                        continue
                    live_classes.add(id(info))
                    known |= info.names | set(info.bases)
                    grown = True
            still: list[Unit] = []
            for unit in waiting:
                if self._is_live(unit, known, live_classes, live):
                    live.append(unit)
                    known |= unit.names
                    grown = True
                else:
                    still.append(unit)
            waiting = still
        self.units = live
        self.by_name = {}
        for unit in live:
            self.by_name.setdefault(unit.name, []).append(unit)
        return live

    def _is_live(
        self, unit: Unit, known: set[str], live_classes: set[int], live: list[Unit]
    ) -> bool:
        if unit.name == "<module>":
            return True
        if unit.outer is not None and unit.outer not in live:
            return False
        registered = any(name not in PLAIN_DECORATORS for name in unit.decorators)
        if unit.owner is None:
            return unit.name in known or registered
        if id(unit.owner) not in live_classes:
            return False
        dunder = unit.name.startswith("__")
        return dunder or unit.name in known or registered or self._has_foreign_base(unit.owner)

    def _has_foreign_base(self, info: ClassInfo) -> bool:
        """Whether code outside the package may call any method (torch, Ray, vLLM base classes)."""
        for base in info.bases:
            if base in TRANSPARENT_BASES:
                continue
            known = [one for one in self.classes.get(base, []) if one is not info]
            if not known or any(self._has_foreign_base(one) for one in known):
                return True
        return False

    def family(self, class_name: str) -> set[str]:
        """A class and its bases, by name."""
        seen: set[str] = set()
        stack = [class_name]
        while stack:
            name = stack.pop()
            if name not in seen:
                seen.add(name)
                stack.extend(base for info in self.classes.get(name, ()) for base in info.bases)
        return seen

    def kin(self, class_name: str) -> frozenset[str]:
        """A class, its bases and the classes derived from it: whoever shares its attributes."""
        if class_name not in self._kin:
            kin = self.family(class_name)
            for name in self.classes:
                if class_name in self.family(name):
                    kin.add(name)
            self._kin[class_name] = frozenset(kin)
        return self._kin[class_name]

    def fields_of(self, class_name: str) -> dict[str, str]:
        """Annotated fields of a class and of its bases, name → annotation."""
        fields: dict[str, str] = {}
        for info in self.classes.get(class_name, []):
            for base in info.bases:
                if base != class_name:
                    fields |= self.fields_of(base)
            fields |= info.fields
        return fields


def _class_is_live(info: ClassInfo, known: set[str]) -> bool:
    registered = any(name not in PLAIN_DECORATORS for name in info.decorators)
    return info.name in known or registered


def _definitions(body: Iterable[ast.AST]) -> Iterator[Function | ast.ClassDef]:
    """Definitions directly in `body`, also those under `if`, `try` and the like."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef):
            yield node
        elif not isinstance(node, ast.Lambda):
            yield from _definitions(ast.iter_child_nodes(node))


def _module_files(folder: Path, package: str) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.py")):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        files[".".join(parts)] = path
    return files


def _imports(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """Modules that `tree` may import: at any depth, and as dotted strings of the package."""
    package = module.partition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")[: None if is_package else -1]
                parts = parts[: len(parts) - (node.level - 1)]
                base = ".".join([*parts, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and str(node.value).startswith(package + "."):
            yield str(node.value)


def _foreign_names(tree: ast.Module, package: str) -> set[str]:
    """Names that `tree` imports, at any depth, from outside the package."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                if top != package:
                    names.add(alias.asname or top)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            foreign = (node.module or "").partition(".")[0] != package
            names |= {alias.asname or alias.name for alias in node.names if foreign}
    return names
