"""The user's own files that a configuration names: each travels with the job, or is refused here.

In: the configuration as written and as resolved. Out: what to upload under which path, and the
values that name it there. A file is a value of its own (`mine.py:score`, `tools.yaml`) or a part of
a composed reward, in the formula or as a part's `use`. Rows and weights do not travel: they lie on
storage that the nodes share. Reads no file and uploads nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conf.errors import ConfigError
from launch.jobs.package import LEFT_OUT, PACKAGES
from launch.recipes import builtin_root

TRAVELS = (".py", ".yaml", ".yml", ".json", ".jinja", ".jinja2", ".j2", ".txt")
"""Code and settings."""
SHARED = (".parquet", ".jsonl", ".csv", ".arrow", ".safetensors")
"""Rows and weights."""
FORMULAS = ("reward_fn.name", "data_prep.reward")
"""Where several files may stand in one value; so may they in a part's `use`."""
FUNCTIONS = ("reward_fn.group.name", "data_prep.source")
"""Where one file may stand; elsewhere a key that ends in `path` names one."""
ROWS = ("data_prep.local", "data.train_files", "data.val_files")
"""Of these nothing travels, whatever it is called."""
_OPTIONS = re.compile(r"(?:reward_fn\.options|data_prep\.reward_options)\.")
_SPEC = re.compile(
    r"(?<=')[^']+\.py(?=:\w+')|(?<=\")[^\"]+\.py(?=:\w+\")"
    r"|(?<![\w./~:'\"-])[A-Za-z_~./][\w./~]*(?:-[\w./~]+)*\.py(?=:\w)"
)
_WHOLE = re.compile(r"(?:file://)?(.+?)(:\w+)?", re.DOTALL)
_REFERENCE = re.compile(r"\$\{(?:[^{}]|\{[^{}]*\})*\}")


@dataclass
class Files:
    """What travels.

    Attributes:
        recipe: the recipe's folder here.
        this_host: whether the cluster shares this host's file system.
        working_dir: what `--working-dir` uploads.
        uploads: path in the upload → file here; not what lies in the recipe's folder.
        values: dotted key → its value in the job.
    """

    recipe: Path
    this_host: bool
    working_dir: Path | None = None
    uploads: dict[str, Path] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)

    def place(self, written: Mapping[str, Any], resolved: Mapping[str, Any]) -> None:
        """Find the files that a configuration names.

        Args:
            written: the tree with its interpolations; what another key says is not said twice.
            resolved: the same without.

        Raises:
            ConfigError: a file is not there, cannot be read, or its name cannot be changed.
        """
        for path, raw, value in _leaves(written, resolved):
            key = ".".join(path)
            there = self._formula(key, value) if _is_formula(key) else self._whole(key, value)
            if there == value:
                continue
            if all(re.fullmatch(r"[\w-]+", part) for part in path):
                self.values[key] = there
            elif "${run.recipe_dir}" not in str(raw):  # which is right in the job by itself
                raise ConfigError(
                    f"{key} names the file {value}, and no override can name that key",
                    "an absolute path that all nodes share, or ${run.recipe_dir}/… for a file "
                    "of the recipe's folder",
                )
        _refuse_renamed_parts(self.values, resolved)

    def _formula(self, key: str, value: str) -> str:
        if _file(value).is_file():  # whatever its name holds
            return self._whole(key, value)
        return _SPEC.sub(lambda match: self._there(key, match[0]), value)

    def _whole(self, key: str, value: str) -> str:
        match = _WHOLE.fullmatch(value)
        if match is None or "://" in match[1] or "\n" in value:
            return value
        name, function = match[1], match[2] or ""
        suffix = Path(name).suffix
        if not Path(name).expanduser().is_file():
            meant = key in FUNCTIONS or _is_formula(key) or key.endswith("path")
            return self._elsewhere(key, name) + function if meant and suffix == ".py" else value
        if not function and (key.startswith(ROWS) or suffix in SHARED):
            return self._shared(key, name)
        return self._there(key, name) + function if suffix in TRAVELS else value

    def _there(self, key: str, name: str) -> str:
        """A file's path in the job.

        Raises:
            ConfigError: it is not there, or cannot be read.
        """
        given = Path(name).expanduser()
        if not given.is_file():
            return self._elsewhere(key, name)
        path = given.resolve()
        if not os.access(path, os.R_OK):
            raise ConfigError(f"{key}: {name} cannot be read, so it cannot be uploaded", "chmod +r")
        if path.is_relative_to(self.recipe):
            inner = path.relative_to(self.recipe)
            inside = Path("recipes") / self.recipe.name / inner
            if any(part.startswith(".") or part in LEFT_OUT for part in inner.parts):
                self.uploads[str(inside)] = path
            return str(inside)
        if path in self.uploads.values():
            return next(inside for inside, file in self.uploads.items() if file == path)
        folder = Path("files") / re.sub(r"\W+", "_", key)
        while self.uploads.setdefault(str(folder / path.name), path) != path:
            folder = folder.with_name(folder.name + "_")
        return str(folder / path.name)

    def _elsewhere(self, key: str, name: str) -> str:
        """A name without a file here: it may stand for one that the job has anyway."""
        path = Path(name).expanduser()
        ours = path.parts[0] in PACKAGES and (builtin_root().parent / path).is_file()
        theirs = self.working_dir is not None and (self.working_dir / path).is_file()
        if ours or theirs or (path.is_absolute() and not self.this_host):
            return name
        raise ConfigError(
            f"{key} names {name}, and there is no such file (from {Path.cwd()})",
            "a path from here, a file of the recipe's folder, or one of --working-dir",
        )

    def _shared(self, key: str, name: str) -> str:
        path = Path(name).expanduser()
        if path.is_absolute():
            return name
        if self.this_host:
            return str(path.resolve())
        raise ConfigError(
            f"{key}={name} is a file of this host, and rows and weights are not uploaded",
            f"{key}=/path/that/all/nodes/share/{path.name}",
        )


def _file(value: str) -> Path:
    return Path(value.rpartition(":")[0] or value).expanduser()


def _is_formula(key: str) -> bool:
    return key in FORMULAS or (_OPTIONS.match(key) is not None and key.endswith(".use"))


def _leaves(
    written: Any, resolved: Any, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, str]]:
    """A tree's texts: key, as written, as resolved; without what only refers to another key."""
    if isinstance(written, str) and _REFERENCE.fullmatch(written):
        return
    if isinstance(resolved, Mapping):
        for name, value in resolved.items():
            yield from _leaves(written[name], value, (*above, str(name)))
    elif isinstance(resolved, list):
        for number, value in enumerate(resolved):
            yield from _leaves(written[number], value, (*above, f"[{number}]"))
    elif isinstance(resolved, str):
        yield above, written, resolved


def _refuse_renamed_parts(values: Mapping[str, str], resolved: Mapping[str, Any]) -> None:
    """Refuse options that go by a part's file, whose name is another in the job.

    Raises:
        ConfigError: with the spelling that holds in both places.
    """
    for key, (node, options) in {
        "reward_fn.name": ("reward_fn", "options"),
        "data_prep.reward": ("data_prep", "reward_options"),
    }.items():
        there = resolved[node].get(options) or {}
        lost = [part for part in there if ".py:" in part and part not in values.get(key, part)]
        if lost:
            raise ConfigError(
                f"{node}.{options} names a part by its file {lost[0]!r}, which a job has elsewhere",
                f"write a name of your own in {key}, and {options}: "
                f"{{that_name: {{use: '{lost[0]}'}}}}",
            )
