"""The loud check: every training worker and rollout server must report the planned device.

In: Ray actor handles. Out: nothing, or a `PlatformError` that names the actors that differ.
Without it a plugin that failed to load would show up as an unrelated error, or as a slow wrong run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from conf.errors import PlatformError


def reported_device(_actor: Any) -> str:
    """What verl believes the device to be, asked inside the actor's own process."""
    from verl.utils.device import get_device_name

    return str(get_device_name())


def require_device(actors: Sequence[Any], expected: str, what: str) -> None:
    """Ask each actor for its device.

    Args:
        actors: Ray actor handles (training workers or rollout servers).
        expected: the planned device type, `hardware.device`.
        what: what the actors are, for the message.

    Raises:
        PlatformError: if any reports another device.
    """
    import ray

    reports = ray.get([actor.__ray_call__.remote(reported_device) for actor in actors])
    wrong = sorted({report for report in reports if report != expected})
    if wrong:
        raise PlatformError(
            f"{what} report device {', '.join(wrong)}; hardware asks for {expected}",
            "reinstall temper in the workers' environment (pip install -e .): verl finds the "
            "platform by the entry point verl.plugins → launch.cpu_platform.plugin",
        )
