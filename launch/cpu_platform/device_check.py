"""The loud check: this process, every worker and every rollout server report the planned device.

In: the planned device, Ray actor handles. Out: nothing, or a `PlatformError` that says who differs
and why. verl swallows what goes wrong in loading a plugin; without this check a platform that is
missing would show up as an unrelated error, or as a slow wrong run.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.metadata import entry_points
from typing import Any

from conf.errors import PlatformError
from launch.cpu_platform import DEVICE, PLUGIN

POLICY = "VERL_USE_EXTERNAL_PLUGINS"  # verl's: auto, none, or names of entry points
REINSTALL = (
    "reinstall temper in the workers' environment (pip install -e .): verl finds the platform by "
    f"the entry point verl.plugins → {PLUGIN}"
)


def require_here(expected: str) -> None:
    """Check this process before it builds anything on verl.

    Only the CPU platform is held to its name: a driver of a GPU run may well see no GPU.

    Args:
        expected: the planned device type, `hardware.device`.

    Raises:
        PlatformError: verl does not know our platform here, or takes another one.
    """
    if expected != DEVICE:
        return
    try:
        reported = reported_device(None)
    except ValueError as error:  # "Unknown platform …": our plugin was not loaded
        why, fix = _why_not_loaded()
        raise PlatformError(f"verl knows no platform {expected!r} here: {why}", fix) from error
    if reported != expected:
        raise PlatformError(
            f"verl takes {reported!r} here; hardware asks for {expected}", REINSTALL
        )


def missing_platform(error: BaseException) -> PlatformError | None:
    """What verl's own error means when a worker, on a node of its own, lacks the platform."""
    if f"Unknown platform '{DEVICE}'" not in str(error):
        return None
    return PlatformError(f"a worker's verl knows no platform {DEVICE!r}", REINSTALL)


def _why_not_loaded() -> tuple[str, str]:
    """(reason, way out), asked again because verl logs it at DEBUG alone."""
    asked = os.environ.get("VERL_PLATFORM", "")
    if asked.strip().lower() != DEVICE:
        return f"VERL_PLATFORM={asked} asks for another", "unset VERL_PLATFORM"
    registered = [e for e in entry_points(group="verl.plugins") if e.value == PLUGIN]
    if not registered:
        return "the installed metadata do not name it", REINSTALL
    policy = os.environ.get(POLICY, "auto").strip().lower()
    if policy != "auto" and registered[0].name not in map(str.strip, policy.split(",")):
        return f"{POLICY}={policy} hides it", f"unset {POLICY}"
    try:
        registered[0].load()
    except Exception as error:
        return f"its plugin does not load: {type(error).__name__}: {error}", REINSTALL
    return "its plugin loads now, but did not when verl was imported", REINSTALL


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
            f"{what} report device {', '.join(wrong)}; hardware asks for {expected}", REINSTALL
        )
