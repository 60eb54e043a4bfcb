"""Run folders: where each file of a run lies, atomic creation, the lock, attempts.

In: a root, a recipe, a name and the composed configuration. Out: a `RunFolder` (paths only) whose
folder exists on disk and belongs to that configuration:

    ROOT/RECIPE/NAME/
      config.yaml  plan.json  environment.json  preflight.json
      attempts/0001/{config.yaml, start.json, stdout.log, metrics.jsonl, pid.json, exit.json}
      latest → attempts/0001
      metrics.jsonl  rollouts/  validation/  checkpoints/  eval/  report.html

The four top files describe how the run was begun and are never overwritten; each attempt keeps the
configuration it ran with. This module starts no process, reads no checkpoint and knows no secret:
what it writes has passed the `redact` function that the caller must give.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from conf.atomic import staged_folder, write_json, write_text, writing
from conf.errors import ConfigError, RunFolderError
from conf.run_identity import differences
from conf.ways_on import another_configuration, free_name

Redact = Callable[[Any], Any]
"""Takes a tree of plain values, returns it without secrets."""

_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def plain(config: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """The configuration resolved, as dicts with string keys, lists and scalars.

    Raises:
        ConfigError: it holds an interpolation that does not resolve.
    """
    try:
        node = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config))
        tree = OmegaConf.to_container(node, resolve=True, enum_to_str=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"the configuration does not resolve: {error}".splitlines()[0]) from error
    # Through JSON, so that tuples, paths and the like compare as they are read back from disk.
    again = json.loads(json.dumps(tree, default=str))
    if not isinstance(again, dict):
        raise ConfigError(f"the configuration is a {type(again).__name__}, not a mapping")
    return again


@dataclass(frozen=True)
class Attempt:
    """The paths of one attempt: one start of the trainer, ended by whatever ended it."""

    path: Path

    @property
    def number(self) -> int:
        """Counted from 1."""
        return int(self.path.name)

    @property
    def config_file(self) -> Path:
        """The configuration this attempt ran with, redacted."""
        return self.path / "config.yaml"

    @property
    def start_file(self) -> Path:
        """`{"from_step": N}`: the checkpoint it went on from, 0 for none."""
        return self.path / "start.json"

    @property
    def stdout_log(self) -> Path:
        """What the trainer and its workers printed, redacted."""
        return self.path / "stdout.log"

    @property
    def metrics_file(self) -> Path:
        """What verl's FileLogger writes in this attempt: VERL_FILE_LOGGER_PATH."""
        return self.path / "metrics.jsonl"

    @property
    def pid_file(self) -> Path:
        """Process ids and start times, for the clean-up of leftovers."""
        return self.path / "pid.json"

    @property
    def exit_file(self) -> Path:
        """How it ended."""
        return self.path / "exit.json"

    @property
    def reserve_file(self) -> Path:
        """Room for exit.json, so that a run which fills its disk can still say so."""
        return self.path / "reserve"


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run. Make one with `prepare`, or with `open` for one that exists."""

    path: Path
    config: Mapping[str, Any] = field(repr=False)
    resumed: bool = True

    @property
    def recipe(self) -> str:
        """The recipe's name."""
        return self.path.parent.name

    @property
    def name(self) -> str:
        """The run's name."""
        return self.path.name

    @property
    def config_file(self) -> Path:
        """The configuration the run was begun with, redacted."""
        return self.path / "config.yaml"

    @property
    def plan_file(self) -> Path:
        """What was planned."""
        return self.path / "plan.json"

    @property
    def environment_file(self) -> Path:
        """Versions and machine."""
        return self.path / "environment.json"

    @property
    def preflight_file(self) -> Path:
        """What the checks before the start found."""
        return self.path / "preflight.json"

    @property
    def attempts_dir(self) -> Path:
        """One numbered folder an attempt."""
        return self.path / "attempts"

    @property
    def latest(self) -> Path:
        """A link to the newest attempt."""
        return self.path / "latest"

    @property
    def metrics_file(self) -> Path:
        """The metrics merged over attempts, one line a step."""
        return self.path / "metrics.jsonl"

    @property
    def rollouts_dir(self) -> Path:
        """Where verl writes: trainer.rollout_data_dir."""
        return self.path / "rollouts"

    @property
    def validation_dir(self) -> Path:
        """Where verl writes: trainer.validation_data_dir."""
        return self.path / "validation"

    @property
    def checkpoints_dir(self) -> Path:
        """Where verl writes: trainer.default_local_dir."""
        return self.path / "checkpoints"

    @property
    def eval_dir(self) -> Path:
        """Evaluation records and results."""
        return self.path / "eval"

    @property
    def report_file(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def lock_file(self) -> Path:
        """Held by the process that trains here."""
        return self.path / ".lock"

    @staticmethod
    def locate(root: str | Path, recipe: str, name: str) -> Path:
        """The absolute path of a run's folder, whether it exists or not.

        Raises:
            ConfigError: recipe or name cannot be a folder's name.
        """
        for key, value in (("run.recipe", recipe), ("run.name", name)):
            if not _COMPONENT.fullmatch(value):
                raise ConfigError(
                    f"{key} is {value!r}, but a folder is named after it: letters, digits, "
                    "'.', '_' and '-', the first a letter or digit",
                    f"{key}={re.sub(r'[^A-Za-z0-9_.-]+', '-', value).strip('-._') or 'NAME'}",
                )
        return Path(os.path.abspath(Path(root) / recipe / name))

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """An existing run folder, with the configuration of its newest attempt.

        Raises:
            RunFolderError: there is none, or it holds no readable config.yaml.
        """
        folder = Path(os.path.abspath(path))
        if not (folder / "config.yaml").is_file():
            state = "holds no config.yaml" if folder.exists() else "does not exist"
            raise RunFolderError(
                f"{folder} is not a run folder: it {state}",
                f"another one: run.name={folder.name}-2; or remove it: rm -r {folder}"
                if folder.exists()
                else "name an existing run folder",
            )
        run = cls(folder, {})
        newest = run.attempts()[-1:]
        for file in [*(attempt.config_file for attempt in newest), run.config_file]:
            if file.is_file():
                return cls(folder, _read_config(file))
        raise RunFolderError(f"{folder / 'config.yaml'} vanished", "start the run again")

    @classmethod
    def prepare(
        cls,
        root: str | Path,
        recipe: str,
        name: str,
        config: Mapping[str, Any] | DictConfig,
        *,
        redact: Redact,
        plan: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
        preflight: Mapping[str, Any] | None = None,
    ) -> RunFolder:
        """Create the run's folder, or find it again for the same configuration.

        Args:
            root: the folder of all runs (`run.root`).
            recipe: the recipe's name.
            name: the run's name.
            config: the composed configuration.
            redact: removes secrets from whatever is written (`launch.redact.Redactor.tree`).
            plan: plan.json; None writes none. The same holds for the next two.
            environment: environment.json.
            preflight: preflight.json.

        Returns:
            The folder; `resumed` says whether it was there before.

        Raises:
            RunFolderError: it belongs to another configuration, or cannot be written; then
                nothing half-written is left.
            ConfigError: recipe or name cannot be a folder's name.
        """
        folder = cls.locate(root, recipe, name)
        asked = json.loads(json.dumps(redact(plain(config)), default=str))
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            documents = {"plan": plan, "environment": environment, "preflight": preflight}
            kept = {key: redact(value) for key, value in documents.items() if value is not None}
            if _create(folder, asked, kept):
                return cls(folder, asked, resumed=False)
        run = cls.open(folder)
        found = differences(run.config, asked)
        if found:
            raise another_configuration(folder, found, run.config)
        return cls(folder, asked)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder: one process at a time trains in it.

        The kernel releases the lock when the process ends, however it ends.

        Raises:
            RunFolderError: another process holds it (named by its id), or it cannot be taken.
        """
        with writing(self.lock_file):
            handle = os.open(self.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
                raise RunFolderError(
                    f"{self.path} is in use by {holder or 'another process'}",
                    f"wait for it, stop it, or use a folder of its own: "
                    f"run.name={free_name(self.path)}",
                ) from None
            except OSError as error:
                raise RunFolderError(
                    f"cannot lock {self.lock_file}: {error.strerror}",
                    "use a file system with file locks: run.root=FOLDER",
                ) from error
            with writing(self.lock_file):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
            yield
        finally:
            os.close(handle)

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        if not self.attempts_dir.is_dir():
            return []
        names = sorted(
            (entry.name for entry in self.attempts_dir.iterdir() if entry.name.isdigit()), key=int
        )
        return [Attempt(self.attempts_dir / name) for name in names]

    def new_attempt(self, *, from_step: int) -> Attempt:
        """Make the next attempt's folder and point `latest` at it. Call it under `lock`.

        Args:
            from_step: the step of the checkpoint it goes on from, 0 for none. What earlier
                attempts recorded beyond that step is thereby abandoned.

        Raises:
            RunFolderError: it cannot be written.
        """
        before = self.attempts()
        number = before[-1].number + 1 if before else 1
        attempt = Attempt(self.attempts_dir / f"{number:04d}")
        with writing(attempt.path), staged_folder(attempt.path) as staged:
            _write_config(staged / "config.yaml", self.config)
            write_json(staged / "start.json", {"from_step": from_step})
        link = self.path / f".latest.{os.getpid()}"
        with writing(self.latest):
            link.unlink(missing_ok=True)
            link.symlink_to(attempt.path.relative_to(self.path))
            os.replace(link, self.latest)
        return attempt


def _create(folder: Path, config: Mapping[str, Any], documents: Mapping[str, Any]) -> bool:
    """Build the folder and move it into place; False when another process was faster."""
    with writing(folder):
        try:
            with staged_folder(folder) as staged:
                for name in ("attempts", "rollouts", "validation", "checkpoints", "eval"):
                    (staged / name).mkdir()
                for name, document in documents.items():
                    write_json(staged / f"{name}.json", document)
                _write_config(staged / "config.yaml", config)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                return False
            raise
    return True


def _write_config(path: Path, config: Mapping[str, Any]) -> None:
    write_text(path, OmegaConf.to_yaml(OmegaConf.create(dict(config))))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        return plain(OmegaConf.load(path))  # type: ignore[arg-type]
    except Exception as error:  # YAML's own errors have no common root with OmegaConf's
        raise RunFolderError(
            f"{path} cannot be read: {str(error).splitlines()[0]}",
            f"another folder: run.name={path.parent.name}-2; or remove it: rm -r {path.parent}",
        ) from error
