"""The isolation tiers: their names and order, how a server is started in one, which one is there.

In: nothing but the machine. Out: a running server, or the reason why a tier cannot be had. A probe
is the real thing: the server starts in the tier, confines a child and tries what must fail. Order:
`namespaces` (user, PID, mount, network, IPC, UTS namespaces, a private root, seccomp, Landlock
where the kernel has it, rlimits), `bubblewrap` (the same walls around the server, made by bwrap,
shared by its programs), `landlock` (Landlock, seccomp, rlimits), `unsafe` (seccomp and rlimits: a
program can read the host's files).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from conf.errors import SandboxError
from rewards.sandbox import root

TIERS: Final = ("namespaces", "bubblewrap", "landlock", "unsafe")
FIRST_UID: Final = 60706  # a range that no distribution hands out
UIDS: Final = 256
_HARNESS: Final = "/harness"
_START_S: Final = 20


@dataclass(frozen=True, slots=True)
class Setting:
    """What a server needs to know beside its tier.

    Attributes:
        packages: folders that programs may import from.
    """

    packages: tuple[str, ...] = ()


def _open_to_all(path: str) -> bool:
    """Whether any user may reach a folder."""
    return all(
        os.stat(part).st_mode & stat.S_IXOTH for part in (path, *map(str, Path(path).parents))
    )


def _mapped(first: int, count: int) -> bool:
    """Whether this (possibly container-)namespace has these uids."""
    try:
        rows = Path("/proc/self/uid_map").read_text().splitlines()
    except OSError:
        return False
    spans = [(int(row.split()[0]), int(row.split()[2])) for row in rows]
    return any(low <= first and first + count <= low + size for low, size in spans)


def _uids() -> tuple[int, int]:
    """The uids of sessions, as root; an empty range for anybody else."""
    if os.geteuid():
        return (0, 0)
    first = FIRST_UID if _mapped(FIRST_UID, UIDS) else 65534
    return (first, first + (UIDS if first == FIRST_UID else 1))


def _bubblewrap(command: list[str], folders: list[str], python: str) -> list[str]:
    """The command inside walls made by bwrap."""
    found = shutil.which("bwrap")
    if found is None:
        raise SandboxError("bwrap is not on PATH", fix="install bubblewrap")
    words = [found, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    if os.geteuid():
        words += ["--unshare-user"]
    else:
        # As real root, with the right to change to a session's uid and no other.
        words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        words += ["--cap-add", "CAP_KILL", "--cap-add", "CAP_SYS_RESOURCE"]
    shown = [*folders, "/dev/null", _HARNESS + "/python"]
    parents = {str(parent) for path in shown for parent in Path(path).parents} - {"/"}
    for parent in sorted(parents):
        words += ["--dir", parent]  # made in passing, they would be closed to other users
    for name in root.DEVICES:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for folder in folders:
        words += ["--ro-bind", os.path.realpath(folder), folder]
    words += ["--ro-bind", str(Path(__file__).parent), f"{_HARNESS}/sandbox"]
    words += ["--ro-bind", os.path.realpath(python), f"{_HARNESS}/python"]
    words += ["--dir", "/tmp", "--remount-ro", "/", "--new-session", "--chdir", "/", "--"]
    return [*words, f"{_HARNESS}/python", *command[1:]]


def start(setting: Setting, tier: str) -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start a server in a tier.

    Returns:
        The process and the control socket.

    Raises:
        SandboxError: the tier cannot be had here, with the reason.
    """
    if not sys.platform.startswith("linux"):
        raise SandboxError(f"no sandbox on {sys.platform}", fix="Linux, or a remote back end")
    stdlib = sysconfig.get_paths()["stdlib"]
    python = getattr(sys, "_base_executable", sys.executable)
    own = str(Path(__file__).parent.parent)
    inside = _HARNESS if tier == "bubblewrap" else own
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client = os.pidfd_open(os.getpid())
    what: dict[str, Any] = {
        "tier": tier,
        "control": theirs.fileno(),
        "client": client,
        "prefix": sys.base_prefix,
        "stdlib": stdlib,
        "packages": list(setting.packages),
        "library_open": _open_to_all(stdlib),
        "uids": _uids(),
        "own_path": inside,
    }
    # Appended: this folder's neighbours bear names of the standard library (`numbers`).
    code = (
        f"import sys; sys.path.append({inside!r}); import sandbox.server as s; s.main(sys.argv[1])"
    )
    command = [python, "-S", "-s", "-P", "-B", "-c", code, json.dumps(what)]
    errors = os.memfd_create("errors")
    clean = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PATH": "/usr/bin:/bin", "HOME": "/tmp"}
    if python != sys.executable:
        clean["PYTHONHOME"] = sys.base_prefix
    try:
        if tier == "bubblewrap":
            folders = root.shown(sys.base_prefix, stdlib, setting.packages)
            clean["PYTHONHOME"] = sys.base_prefix
            command = _bubblewrap(command, folders, python)
        process = subprocess.Popen(
            command,
            env=clean,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,  # a file, so that nobody needs to read it
            pass_fds=(theirs.fileno(), client),
            start_new_session=True,
        )
    except OSError as error:
        ours.close()
        raise SandboxError(f"cannot start a server: {error}", fix="see the message") from None
    finally:
        theirs.close()
        os.close(client)
    ours.settimeout(_START_S)
    try:
        said = json.loads(ours.recv(1 << 16) or b"{}")
    except (OSError, ValueError):
        said = {}
    if "ready" not in said:
        ours.close()
        process.kill()
        process.wait()
        written = os.pread(errors, 1 << 16, 0).decode(errors="replace").strip()
        os.close(errors)
        reason = said.get("error") or written[-300:] or "no answer"
        raise SandboxError(f"tier {tier!r} is not available: {reason}", fix="try tier=auto")
    ours.settimeout(None)
    os.close(errors)
    return process, ours


@cache
def probe(tier: str, setting: Setting) -> str:
    """Why a tier is not available; "" when it is."""
    try:
        process, control = start(setting, tier)
    except SandboxError as error:
        return error.message
    control.close()
    process.wait(10)
    return ""


def choose(wanted: str, setting: Setting, allow_unsafe: bool) -> str:
    """The tier to use.

    Args:
        wanted: a name of `TIERS`, or `auto`.
        setting: see `Setting`.
        allow_unsafe: whether `unsafe` may be chosen.

    Raises:
        SandboxError: the tier, or any tier, is not available.
    """
    if wanted not in ("auto", *TIERS):
        raise SandboxError(f"no sandbox tier {wanted!r}", fix=f"tier=auto, or {', '.join(TIERS)}")
    reasons = []
    for tier in TIERS if wanted == "auto" else (wanted,):
        if tier == "unsafe" and not allow_unsafe:
            reasons.append("unsafe: needs allow_unsafe=true")
            continue
        reason = probe(tier, setting)
        if not reason:
            return tier
        reasons.append(f"{tier}: {reason}")
    raise SandboxError(
        f"no isolation for model code on this machine ({'; '.join(reasons)})",
        fix="allow user namespaces, install bubblewrap, use Landlock (Linux ≥ 5.13), a remote "
        "back end, or accept the risk with allow_unsafe=true",
    )
