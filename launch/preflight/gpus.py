"""What GPUs there are: by the driver, by CUDA_VISIBLE_DEVICES, and by torch in a child process.

In: the host and its environment. Out: `DriverGpus`, `Visible` and `TorchGpus`, plain values. torch
is never imported here: asking it in this process would cost seconds, and touching `torch.cuda`
before CUDA_VISIBLE_DEVICES is final caches a wrong count. Judges nothing (`checks_gpu` does).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

VISIBLE = "CUDA_VISIBLE_DEVICES"
SMI_SECONDS = 2.5
TORCH_SECONDS = 13.0
GPU_LINE = re.compile(r"^GPU (\d+): (.+?) \(UUID: (GPU-[0-9a-fA-F\-]+)\)")
MIG_LINE = re.compile(r"^\s+MIG .*\(UUID: (MIG-[^)]+)\)")
# Prints one JSON object; what torch itself prints while it is imported must not mix with it.
TORCH_SCRIPT = """
import json, torch
try:
    count, error = torch.cuda.device_count(), ""
    if count:
        torch.cuda.init()
    names = [torch.cuda.get_device_name(i) for i in range(count)]
except Exception as e:
    count, names, error = torch.cuda.device_count(), [], f"{type(e).__name__}: {e}"
print("\\n" + json.dumps({"torch": torch.__version__, "cuda": torch.version.cuda or "",
    "hip": torch.version.hip or "", "count": count, "names": names, "error": error}))
"""


@dataclass(frozen=True)
class DriverGpus:
    """What `nvidia-smi -L` lists.

    Attributes:
        names: of the GPUs, by index.
        uuids: of the GPUs and of their MIG slices.
        slices: MIG slices.
        problem: why nothing is listed, empty when something is.
    """

    names: tuple[str, ...] = ()
    uuids: tuple[str, ...] = ()
    slices: int = 0
    problem: str = ""

    @property
    def count(self) -> int:
        """GPUs of the host, whatever is visible."""
        return len(self.names)


@dataclass(frozen=True)
class Visible:
    """What CUDA_VISIBLE_DEVICES leaves of the host's GPUs.

    Attributes:
        value: the variable; None when it is not set.
        count: devices that CUDA will see.
        problem: what is wrong with the value, empty when nothing is.
    """

    value: str | None
    count: int
    problem: str = ""


@dataclass(frozen=True)
class TorchGpus:
    """What torch said in a child process.

    Attributes:
        count: `torch.cuda.device_count()`; None when torch did not answer.
        torch: its version.
        cuda: the CUDA version it was built for, empty for a CPU build.
        names: of the devices it sees.
        problem: why it did not answer, or what CUDA said when it was initialised.
        slow: it had not answered when the time was up.
    """

    count: int | None = None
    torch: str = ""
    cuda: str = ""
    names: tuple[str, ...] = ()
    problem: str = ""
    slow: bool = False


def parse_listing(text: str) -> DriverGpus:
    """Read the output of `nvidia-smi -L`."""
    names: list[str] = []
    uuids: list[str] = []
    slices = 0
    for line in text.splitlines():
        if gpu := GPU_LINE.match(line):
            names.append(gpu[2])
            uuids.append(gpu[3])
        elif mig := MIG_LINE.match(line):
            slices += 1
            uuids.append(mig[1])
    problem = "" if names else "nvidia-smi lists no GPU"
    return DriverGpus(tuple(names), tuple(uuids), slices, problem)


def ask_driver(program: str = "nvidia-smi") -> DriverGpus:
    """Ask the driver.

    Args:
        program: name or path of nvidia-smi.
    """
    smi = shutil.which(program)
    if smi is None:
        return DriverGpus(problem="there is no nvidia-smi")
    try:
        done = subprocess.run(
            [smi, "-L"], capture_output=True, text=True, timeout=SMI_SECONDS, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return DriverGpus(problem=f"nvidia-smi did not answer within {SMI_SECONDS:g} s")
    except OSError as error:
        return DriverGpus(problem=f"nvidia-smi does not start ({error.strerror})")
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or [""]
        return DriverGpus(problem=f"nvidia-smi failed ({said[0][:100]})")
    return parse_listing(done.stdout)


def read_visible(value: str | None, driver: DriverGpus) -> Visible:
    """Read CUDA_VISIBLE_DEVICES as CUDA does: it stops at the first entry that names nothing.

    Args:
        value: the variable; None when it is not set.
        driver: what the driver lists.
    """
    if value is None:
        return Visible(None, driver.slices or driver.count)
    entries = [entry.strip() for entry in value.split(",")]
    if not value.strip() or entries[0] == "-1":
        return Visible(value, 0, "hides every GPU")
    seen: list[str] = []
    for entry in entries:
        problem = _entry_problem(entry, seen, driver)
        if problem:
            # CUDA takes a duplicate for an error of the whole value.
            return Visible(value, 0 if "twice" in problem else len(seen), problem)
        seen.append(_identity(entry, driver))
    return Visible(value, len(seen))


def _entry_problem(entry: str, seen: list[str], driver: DriverGpus) -> str:
    identity = _identity(entry, driver)
    if identity in seen:
        return f"names GPU {entry} twice"
    if re.fullmatch(r"\d+", entry):
        if driver.count and int(entry) >= driver.count:
            return f"names GPU {entry}, and the driver lists 0 to {driver.count - 1}"
        return ""
    if entry.startswith(("GPU-", "MIG-")):
        known = any(uuid.startswith(entry) for uuid in driver.uuids)
        return "" if known or not driver.uuids else f"names {entry}, which the driver does not list"
    return f"has an entry that is neither an index nor a UUID ({entry!r})"


def _identity(entry: str, driver: DriverGpus) -> str:
    """One name for a device that can be named by index or by UUID."""
    if re.fullmatch(r"\d+", entry) and int(entry) < driver.count:
        whole = [uuid for uuid in driver.uuids if uuid.startswith("GPU-")]
        return whole[int(entry)]
    return next((uuid for uuid in driver.uuids if uuid.startswith(entry)), entry)


def ask_torch(
    environment: Mapping[str, str] | None = None, seconds: float = TORCH_SECONDS
) -> TorchGpus:
    """Ask torch in a child process of its own.

    Args:
        environment: of the child; None: this process's.
        seconds: how long it may take.
    """
    command = [sys.executable, "-c", TORCH_SCRIPT]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=dict(os.environ if environment is None else environment),
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        return TorchGpus(problem=f"importing torch took longer than {seconds:g} s", slow=True)
    except OSError as error:
        return TorchGpus(problem=f"no child process ({error.strerror})")
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
        return TorchGpus(
            count=int(said["count"]),
            torch=str(said["torch"]),
            cuda=str(said["cuda"]),
            names=tuple(map(str, said["names"])),
            problem=" ".join(str(said["error"]).split())[:160],
        )
    except (IndexError, ValueError, KeyError, TypeError):
        lines = done.stderr.strip().splitlines() or ["no output"]
        return TorchGpus(problem=f"torch does not import ({lines[-1][:160]})")
