"""Set-up: makes `.venv` ready for the CPU or the GPU stack, once, from nothing but a Python.

In: `pyproject.toml` and `conf/constraints/`. Out: `.venv` with the project installed editable, and
`.venv/temper-setup.json`, written last, which says what was installed; while it matches, a second
call returns at once. Killed at any point, the next call goes on: what is half-written is found and
installed again. Concurrent calls wait for each other. Runs on the standard library alone, under
the Python that will own `.venv`; it never installs anything into that Python.
The single steps are in `launch.bootstrap_steps`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import signal
import sys
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from conf.errors import EXIT_TERMINATED, PlatformError, boundary
from launch import bootstrap_steps as steps

SUPPORTED = ((3, 11), (3, 12))
CONSTRAINTS = Path("conf/constraints")


@dataclass(frozen=True)
class Stamp:
    """What `.venv` holds, as kept in `.venv/temper-setup.json`.

    Attributes:
        state: "creating" (the empty venv), "building" (its packages) or "ready".
        hardware: "cpu" or "gpu", the stack that is installed.
        python: version of the venv's interpreter, "3.11".
        root: the checkout that is installed editable.
        fingerprint: hash of what decides which packages belong in there.
    """

    state: str
    hardware: str
    python: str
    root: str
    fingerprint: str

    @classmethod
    def read(cls, venv: Path) -> Stamp | None:
        """The stamp of `venv`, or None where there is none that this version can read."""
        try:
            return cls(**json.loads(_stamp_path(venv).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write(self, venv: Path) -> None:
        """Replace the stamp of `venv` in one step."""
        partial = _stamp_path(venv).with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        os.replace(partial, _stamp_path(venv))


def _stamp_path(venv: Path) -> Path:
    return venv / "temper-setup.json"


def fingerprint(root: Path) -> str:
    """Hash of the packages wanted: pyproject's packaging tables and the constraints files.

    Lint and test options are left out, so that editing them installs nothing again.
    """
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    tool = {"setuptools": project["tool"]["setuptools"]}
    wanted = {"project": project["project"], "build": project["build-system"], "tool": tool}
    digest = hashlib.sha256(json.dumps(wanted, sort_keys=True).encode())
    for path in sorted((root / CONSTRAINTS).iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@contextmanager
def exclusive(root: Path) -> Iterator[int]:
    """Hold the set-up lock of this checkout; yields its file descriptor.

    The descriptor is handed to every child, so that an installer which outlives a killed set-up
    keeps the lock until it is done, and the next call does not write beside it.
    """
    path = root / ".cache" / "setup.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another set-up of this checkout is at work, waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


def wanted_stamp(root: Path, held: Stamp | None, hardware: str | None, this_python: bool) -> Stamp:
    """What `.venv` should hold.

    Args:
        root: the checkout.
        held: what it holds now.
        hardware: "cpu", "gpu", or None to keep what is there, else to look for a GPU.
        this_python: the user named the interpreter; otherwise a venv of the other supported
            version is kept as it is.
    """
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    usable = held is not None and held.root == str(root)
    python = held.python if held is not None and usable and not this_python else here
    if hardware is None:
        hardware = held.hardware if held is not None and usable else steps.detect_hardware()
    return Stamp("ready", hardware, python, str(root), fingerprint(root))


def prepare_venv(run: steps.Runner, venv: Path, held: Stamp | None, wanted: Stamp) -> None:
    """Leave a venv of the wanted kind at `venv`: kept, mended after a kill, or made anew."""
    building = replace(wanted, state="building")
    same_kind = held is not None and (held.hardware, held.python, held.root) == (
        wanted.hardware,
        wanted.python,
        wanted.root,
    )
    if held is None and steps.works(run, venv, wanted.python):
        print("setup: .venv was not made by this set-up; installing into it")
    elif (
        held is None
        or held.state == "creating"
        or not same_kind
        or not steps.works(run, venv, wanted.python)
    ):
        if venv.exists():
            print(f"setup: making .venv anew for Python {wanted.python}, {wanted.hardware}")
            shutil.rmtree(venv)
        venv.mkdir()
        replace(wanted, state="creating").write(venv)
        steps.create_venv(run, venv)
    building.write(venv)
    if held is None or held.state != "ready":
        steps.discard_half_installed(venv)


def set_up(root: Path, *, hardware: str | None, this_python: bool, test_tools: bool) -> None:
    """Make `.venv` ready; returns at once when it is.

    Args:
        root: the checkout.
        hardware: "cpu", "gpu" or None (see `wanted_stamp`).
        this_python: build the venv with the running interpreter's version.
        test_tools: also look for what only the tests need: a browser, bubblewrap.

    Raises:
        PlatformError: a step failed, with the step and the way out.
    """
    venv = root / ".venv"
    if Stamp.read(venv) != wanted_stamp(root, Stamp.read(venv), hardware, this_python):
        with exclusive(root) as lock:
            held = Stamp.read(venv)
            wanted = wanted_stamp(root, held, hardware, this_python)
            if held != wanted:
                run = steps.Runner(root, lock)
                print(f"setup: {wanted.hardware} stack, Python {wanted.python}, into .venv")
                prepare_venv(run, venv, held, wanted)
                steps.install(run, venv, wanted.hardware)
                wanted.write(venv)
                print("setup: ready")
    if test_tools and (missing := steps.missing_test_tools()):
        with exclusive(root) as lock:
            steps.install_test_tools(steps.Runner(root, lock), venv, missing)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `python -m launch.bootstrap`."""
    parser = argparse.ArgumentParser(prog="python -m launch.bootstrap", description="Set up .venv.")
    parser.add_argument("--hardware", choices=("cpu", "gpu"), help="default: what is there")
    parser.add_argument("--this-python", action="store_true", help="rebuild for this interpreter")
    parser.add_argument(
        "--test-tools", action="store_true", help="also install what only tests need"
    )
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_TERMINATED))
    with boundary():
        if sys.version_info[:2] not in SUPPORTED:
            raise PlatformError(
                f"Python {sys.version.split()[0]} is not supported, 3.11 or 3.12 is needed",
                "make setup PYTHON=/path/to/python3.12",
            )
        root = Path(__file__).resolve().parent.parent
        set_up(
            root, hardware=args.hardware, this_python=args.this_python, test_tools=args.test_tools
        )


if __name__ == "__main__":
    main()
