"""Derives the table of dead keys from the installed verl: `python -m launch.derive_dead_keys`.

In: the wheel's source and YAML (never imported). Out: `conf/dead_keys.json` with `--write`; with
`--check` (the default) exit 2 when the file differs from what the wheel says. For each root that
we compose: keys that no code reachable from verl's trainer reads, nodes that take any key, keys
that are read though the tree lacks them. Run it again after a change of verl's version.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from conf.errors import ConfigError, boundary
from launch.dead_keys import TABLE
from launch.keyscan.flow import Flow
from launch.keyscan.index import Index, package_folder
from launch.keyscan.tree import Tree, compose_tree
from launch.keyscan.verdict import Verdict, judge, moved_keys


@dataclass(frozen=True)
class Trainer:
    """Where a trainer starts.

    Attributes:
        entries: modules whose import closure holds all code it can run.
        without: modules in that closure that it does not run.
        names: functions it starts with.
    """

    entries: list[str]
    without: list[str]
    names: list[str]


# main_ppo imports main_ppo_v0 under `if not use_v1`, which we never ask for; the fully asynchronous
# trainer has an entry point of its own.
TRAINERS = {
    "ppo_trainer": Trainer(
        ["verl.trainer.main_ppo"],
        ["verl.trainer.main_ppo_v0", "verl.experimental.fully_async_policy"],
        ["main"],
    ),
    "sft_trainer_engine": Trainer(
        ["verl.trainer.sft_trainer_ray", "verl.trainer.sft_trainer"],
        ["verl.trainer.main_ppo_v0", "verl.experimental.fully_async_policy"],
        ["main"],
    ),
}


def derive(folder: Path, package: str, tree: Tree, trainer: Trainer) -> Verdict:
    """Judge the keys of one tree against one trainer's code.

    Args:
        folder: the package's folder.
        package: its import name.
        tree: the keys to judge.
        trainer: where its code starts.
    """
    index = Index(folder, package, trainer.entries, trainer.without)
    targets = [tree.target(node) for node in sorted(tree.nodes)]
    index.reach([*trainer.names, *filter(None, targets)])
    reads = Flow(index, tree).run()
    return judge(tree, reads, index.fields_of, moved_keys(index.modules, tree))


def derive_table() -> dict[str, Any]:
    """The whole table for the installed verl, as it is written to the file."""
    folder = package_folder("verl")
    roots: dict[str, Any] = {}
    for root, trainer in TRAINERS.items():
        tree = compose_tree(folder / "trainer" / "config", root)
        roots[root] = asdict(derive(folder, "verl", tree, trainer))
    return {"verl": importlib.metadata.version("verl"), "roots": roots}


def render(table: dict[str, Any]) -> str:
    """The file's text: stable, one key a line, so that a diff shows what an upgrade changed."""
    return json.dumps(table, indent=1, sort_keys=True) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the table, or compare it."""
    parser = argparse.ArgumentParser(prog="python -m launch.derive_dead_keys", description=__doc__)
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write conf/dead_keys.json")
    action.add_argument("--check", action="store_true", help="compare with it (default)")
    chosen = parser.parse_args(arguments)
    with boundary():
        text = render(derive_table())
        if chosen.write:
            TABLE.write_text(text, encoding="utf-8")
            print(f"wrote {TABLE.name}")
        elif not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
            version = importlib.metadata.version("verl")
            raise ConfigError(
                f"conf/{TABLE.name} is not what verl {version} says",
                "python -m launch.derive_dead_keys --write",
            )
        else:
            print(f"conf/{TABLE.name} is up to date")


if __name__ == "__main__":
    main(sys.argv[1:])
