"""`hardware=auto`: look at what is there, choose a hardware option, say what and why.

In: nvidia-smi and CUDA_VISIBLE_DEVICES. Out: a `Choice`. It takes milliseconds on a host without
GPUs and imports no torch; preflight then holds the choice against `torch.cuda.device_count()`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

NAMED = (1, 2, 4, 8)


@dataclass(frozen=True)
class Choice:
    """What `hardware=auto` settled on.

    Attributes:
        gpus: CUDA devices that the driver lists and the environment lets through.
        reason: one line for the user.
    """

    gpus: int
    reason: str

    def overrides(self, given: Mapping[str, str]) -> list[str]:
        """The Hydra overrides that this choice stands for, leaving the user's own alone."""
        if self.gpus == 0:
            return ["hardware=cpu"]
        if self.gpus in NAMED:
            return [f"hardware=gpu{self.gpus}"]
        ranks = [] if "hardware.ranks" in given else [f"hardware.ranks={self.gpus}"]
        return ["hardware=gpu", *ranks]


def detect() -> Choice:
    """Count the GPUs of this host as the driver lists them."""
    smi = shutil.which("nvidia-smi")
    if smi is None:
        return Choice(0, "no nvidia-smi on this host")
    try:
        listing = subprocess.run([smi, "-L"], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Choice(0, f"nvidia-smi does not answer ({type(error).__name__})")
    listed = sum(line.startswith("GPU ") for line in listing.stdout.splitlines())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return Choice(listed, f"nvidia-smi lists {listed} GPU(s)")
    allowed = len([item for item in visible.split(",") if item.strip() not in ("", "-1")])
    count = min(listed, allowed)
    return Choice(count, f"nvidia-smi lists {listed} GPU(s), CUDA_VISIBLE_DEVICES={visible!r}")
