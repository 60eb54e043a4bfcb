"""A composed configuration tree as the scan sees it: nodes, leaves, and who refers to whom.

In: a root's name and the folder of its YAML (`compose_tree`), or a plain nested dict. Out: a
`Tree`. Interpolations stay unresolved, since a leaf that is read makes what it refers to read too.
Imports Hydra, not the package whose tree it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Path_ = tuple[str, ...]
REFERENCE = re.compile(r"\$\{\s*(?:oc\.select:)?\s*([.\w]+)")


@dataclass
class Tree:
    """Nodes of a tree by path; the root is the empty path.

    Attributes:
        root: name of the root config.
        leaves: path → value; an empty dict counts as a leaf.
        nodes: paths with children, the root included.
        choices: top-level keys that select groups in the defaults list; no code need read them.
        named: last name → paths that end in it.
        direct: node → its children.
    """

    root: str
    leaves: dict[Path_, Any] = field(default_factory=dict)
    nodes: set[Path_] = field(default_factory=set)
    choices: set[str] = field(default_factory=set)
    named: dict[str, list[Path_]] = field(default_factory=dict)
    direct: dict[Path_, list[Path_]] = field(default_factory=dict)

    @classmethod
    def of(cls, root: str, plain: Mapping[str, Any], choices: set[str] | None = None) -> Tree:
        """Build from nested dicts."""
        tree = cls(root, choices=choices or set())
        tree._add((), plain)
        for path in sorted(tree.nodes | set(tree.leaves)):
            if path:
                tree.named.setdefault(path[-1], []).append(path)
                tree.direct.setdefault(path[:-1], []).append(path)
        return tree

    def _add(self, path: Path_, value: Any) -> None:
        if isinstance(value, Mapping) and (value or not path):
            self.nodes.add(path)
            for key, child in value.items():
                self._add((*path, str(key)), child)
        else:
            self.leaves[path] = value

    def has(self, path: Path_) -> bool:
        """Whether `path` is a node or a leaf."""
        return path in self.nodes or path in self.leaves

    def children(self, paths: Iterable[Path_]) -> Iterator[Path_]:
        """Direct children of the nodes among `paths`."""
        for path in paths:
            yield from self.direct.get(path, ())

    def below(self, path: Path_) -> Iterator[Path_]:
        """Leaves at or below `path`."""
        return (leaf for leaf in self.leaves if leaf[: len(path)] == path)

    def references(self, leaf: Path_) -> Iterator[Path_]:
        """Paths that the leaf's value interpolates."""
        value = self.leaves[leaf]
        for text in REFERENCE.findall(str(value)) if "${" in str(value) else ():
            if text.startswith("."):
                up = len(text) - len(text.lstrip("."))
                yield (*leaf[: len(leaf) - up], *filter(None, text.strip(".").split(".")))
            else:
                yield tuple(text.split("."))

    def target(self, node: Path_) -> str:
        """Class name of the node's `_target_`, "" when it has none."""
        return str(self.leaves.get((*node, "_target_"), "")).rpartition(".")[2]


def compose_tree(folder: Path, root: str) -> Tree:
    """Compose `root` from the YAML in `folder`.

    Raises:
        hydra.errors.HydraException: when the folder has no such root.
    """
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    if GlobalHydra.instance().is_initialized():
        GlobalHydra.instance().clear()
    with initialize_config_dir(str(folder.resolve()), version_base=None):
        config = compose(root)
    defaults = OmegaConf.to_container(OmegaConf.load(folder / f"{root}.yaml"))
    choices = {
        str(key).partition("@")[0]
        for entry in (defaults.get("defaults", []) if isinstance(defaults, dict) else [])
        if isinstance(entry, dict)
        for key in entry
        if "@" not in str(key)
    }
    plain = OmegaConf.to_container(config, resolve=False)
    if not isinstance(plain, dict):
        raise TypeError(f"{root} composes to {type(plain).__name__}, not to a mapping")
    return Tree.of(root, {str(key): value for key, value in plain.items()}, choices)
