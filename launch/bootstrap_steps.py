"""The steps of set-up: make a venv, find half-installed packages, install torch and the rest.

In: a checkout, its `.venv`, the stack wanted. Out: packages in `.venv`, one printed line a step,
everything the installers said in `.cache/setup.log`. What has to be done, and in which order, is
decided in `launch.bootstrap`. Standard library only. No package index is named here: pip and uv
ask wherever they are set up to look.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from conf.errors import PlatformError

MINUTE = 60
Command = Sequence[str | Path]
# What only the tests need, as packages of Debian's and the programs that will do.
TEST_TOOLS = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "bubblewrap": ("bwrap",),
}


class Runner:
    """Runs one command after the other, each with a time limit, and keeps what they say."""

    def __init__(self, root: Path, lock: int) -> None:
        """Open the log of this checkout; `lock` is held by every child as long as it lives."""
        self.root = root
        self.lock = lock
        self.log = root / ".cache" / "setup.log"
        self.log.parent.mkdir(exist_ok=True)
        # The venv must not see packages from outside, nor pip be told to install elsewhere.
        ours = {
            "PYTHONNOUSERSITE": "1",
            "PIP_USER": "0",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "DEBIAN_FRONTEND": "noninteractive",
        }
        outside = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX"}
        self.env = {k: v for k, v in os.environ.items() if k not in outside} | ours

    def __call__(self, what: str, command: Command, limit: float) -> bool:
        """Run a command and print its outcome in one line; an empty `what` prints nothing.

        Args:
            what: the step in words.
            command: program and arguments.
            limit: seconds after which the command and its children are killed.

        Returns:
            Whether it exited with 0 in time.
        """
        began = time.monotonic()
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(map(str, command))}\n".encode())
            log.flush()
            try:
                process = subprocess.Popen(
                    list(map(str, command)),
                    cwd=self.root,
                    env=self.env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self.lock,),
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{error}\n".encode())
                outcome = f"does not start: {error.strerror}"
            else:
                outcome = self._wait(process, limit)
        if what:
            took = time.monotonic() - began
            print(f"setup: {what}: {outcome or 'done'} ({took:.0f} s)")
        return not outcome

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], limit: float) -> str:
        """Wait for the end of a process; what went wrong, or an empty string."""
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"not done after {limit:.0f} s, stopped"
        except BaseException:  # Ctrl-C: the child has its own session and did not hear it
            os.killpg(process.pid, signal.SIGKILL)
            raise
        return f"failed with exit code {code}" if code else ""

    def require(self, what: str, command: Command, limit: float) -> None:
        """Run a command that has to succeed.

        Raises:
            PlatformError: it failed; the last line it wrote is in the message.
        """
        if not self(what, command, limit):
            said = self.log.read_text(encoding="utf-8", errors="replace").split()
            last = " ".join(said)[-300:]
            raise PlatformError(
                f"set-up stopped at “{what}”; the end of {self.log.relative_to(self.root)}: {last}",
                "mend that and run the same command again: it goes on where it stopped",
            )


def detect_hardware() -> str:
    """The stack for this host: "gpu" where nvidia-smi lists a GPU, else "cpu"."""
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "cpu"
    return "gpu" if listed.returncode == 0 and "GPU" in listed.stdout else "cpu"


def python_of(venv: Path) -> Path:
    """The interpreter of a venv."""
    return venv / "bin" / "python"


def works(run: Runner, venv: Path, version: str) -> bool:
    """Whether `venv` has an interpreter of this version ("3.11") and a pip that starts."""
    check = "import sys, pip._internal.cli.main; sys.exit('{}.{}'.format(*sys.version_info) != "
    return run("", [python_of(venv), "-c", f"{check}'{version}')"], MINUTE)


def create_venv(run: Runner, venv: Path) -> None:
    """Make an empty venv with pip, owned by the running interpreter.

    Raises:
        PlatformError: this Python cannot make one.
    """
    if not run("new venv", [sys.executable, "-m", "venv", venv], 5 * MINUTE):
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        raise PlatformError(
            f"{sys.executable} cannot make a venv with pip (see .cache/setup.log)",
            f"apt-get install python{version}-venv, or PYTHON=/path/to/another/python{version}",
        )


def half_installed(site: Path) -> list[Path]:
    """The `.dist-info` folders below `site` whose package is not wholly there.

    An installer killed in the middle leaves a package that counts as installed although files of
    it are missing or cut short. RECORD names each file with its size.
    """
    broken = []
    for info in sorted(site.glob("*.dist-info")):
        if not all((info / name).is_file() for name in ("METADATA", "RECORD", "INSTALLER")):
            broken.append(info)
            continue
        with (info / "RECORD").open(newline="", encoding="utf-8") as record:
            if not all(_is_whole(site, row) for row in csv.reader(record) if row):
                broken.append(info)
    return broken


def _is_whole(site: Path, row: Sequence[str]) -> bool:
    """Whether one line of a RECORD (path, hash, size) is true; bytecode may be missing."""
    path, _, size = (*row, "", "")[:3]
    if path.endswith(".pyc"):
        return True
    try:
        found = os.stat(site / path).st_size
    except OSError:
        return False
    return not size or found == int(size)


def discard_half_installed(venv: Path) -> None:
    """Let half-installed packages count as missing, so that the installers write them again."""
    for site in venv.glob("lib/python3.*/site-packages"):
        for info in half_installed(site):
            print(f"setup: {info.name.removesuffix('.dist-info')} is half-installed, again")
            shutil.rmtree(info)


def pinned(constraints: Path, name: str) -> str:
    """The requirement `name==version` from a constraints file.

    Raises:
        PlatformError: the file does not pin it.
    """
    for line in constraints.read_text(encoding="utf-8").splitlines():
        if re.match(rf"{re.escape(name)}==", line, re.IGNORECASE):
            return line.strip()
    raise PlatformError(f"{constraints.name} does not pin {name}", f"add a line {name}==VERSION")


def install(run: Runner, venv: Path, hardware: str) -> None:
    """Install the stack for `hardware` and the project itself into `venv`.

    Raises:
        PlatformError: a step failed.
    """
    python = python_of(venv)
    constraints = run.root / "conf" / "constraints" / f"{hardware}.txt"
    # Both compile what they install: where Python may write no bytecode, each process of a run
    # would otherwise compile torch and vLLM again, for 6 s.
    pip: Command = [python, "-m", "pip", "install", "--quiet"]
    if not run("", [python, "-c", "import pip._internal.cli.main"], MINUTE):
        run.require("pip, again", [python, "-m", "ensurepip"], 5 * MINUTE)
    run.require("uv", [*pip, pinned(constraints, "uv")], 10 * MINUTE)
    options = ["--no-progress", "--compile-bytecode"]
    uv: Command = [venv / "bin" / "uv", "pip", "install", "--python", python, *options]
    extra: Command = []
    if hardware == "cpu":
        install_cpu_torch(run, venv, constraints, pip, uv)
        extra = ["--overrides", constraints.with_name("cpu-overrides.txt")]
    packages: Command = ["-r", "pyproject.toml", "--extra", hardware, "--extra", "dev"]
    run.require(
        "packages",
        [*uv, *packages, "--constraints", constraints, *extra],
        60 * MINUTE,
    )
    run.require(
        "temper, editable",
        [*uv, "--no-deps", "--no-build-isolation", "--editable", run.root],
        5 * MINUTE,
    )


def install_cpu_torch(
    run: Runner, venv: Path, constraints: Path, pip: Command, uv: Command
) -> None:
    """Install torch without CUDA where one can be had, from three places in turn.

    pip as this machine has it set up, asked for the CPU build; then uv, which knows where torch
    keeps its CPU builds; then the ordinary wheel, which works but is large.

    Raises:
        PlatformError: none of the three gave torch.
    """
    wanted = pinned(constraints, "torch")
    version = wanted.partition("==")[2]
    if any(venv.glob(f"lib/python3.*/site-packages/torch-{version}*.dist-info")):
        return
    if run(f"torch {version}+cpu by pip", [*pip, f"{wanted}+cpu"], 20 * MINUTE):
        return
    if run(f"torch {version} by uv, CPU build", [*uv, "--torch-backend=cpu", wanted], 20 * MINUTE):
        return
    run.require(f"torch {version}, ordinary wheel", [*uv, wanted], 40 * MINUTE)


def missing_test_tools() -> list[str]:
    """Packages that the tests want and of which no program is on PATH."""
    return [
        package
        for package, programs in TEST_TOOLS.items()
        if not any(shutil.which(program) for program in programs)
    ]


def install_test_tools(run: Runner, venv: Path, packages: Sequence[str]) -> None:
    """Install packages where apt-get can do it; otherwise say how. Tried once for each venv."""
    tried = venv / "temper-test-tools-tried"
    if tried.exists():
        return
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    what = f"{' and '.join(packages)} by apt-get"
    done = False
    if os.geteuid() == 0 and shutil.which("apt-get"):
        done = run(what, install, 3 * MINUTE) or (
            run("apt-get update", ["apt-get", "update"], 2 * MINUTE)
            and run(what, install, 3 * MINUTE)
        )
    if not done:
        print(
            f"setup: no {' and no '.join(packages)}: tests of pages need a browser, those of a "
            f"sandbox tier bwrap → {' '.join(install)} (as root), or put them on PATH"
        )
    tried.touch()
