"""Where a model of data preparation runs.

In: nothing. Out: the machine's accelerator as torch names it, or the CPU. Decides nothing about
training.
"""

from __future__ import annotations

from typing import Any


def device() -> Any:
    """The accelerator that torch finds, whatever its make; the CPU where there is none."""
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return torch.device("cpu") if found is None else found
