"""What verl loads through the entry-point group `verl.plugins`: registers platform `cpu`.

In: the environment variable `VERL_PLATFORM`. Out: the platform class in verl's registry, and, only
where `VERL_PLATFORM=cpu`, the patches. verl swallows a plugin's import error (logged at DEBUG);
it stays loud all the same, since verl then knows no platform `cpu` and refuses the name, and
`device_check` stops a run whose workers report another device.
"""

from __future__ import annotations

import os

from verl.plugin.platform.platform_manager import PlatformRegistry

from launch.cpu_platform import DEVICE
from launch.cpu_platform.cpu import CpuPlatform

if os.environ.get("VERL_PLATFORM", "").strip().lower() == DEVICE:
    from launch.cpu_platform import patches

    patches.apply()

# Last, so that a patch that fails leaves verl without the platform, rather than with half of it.
PlatformRegistry.register(DEVICE)(CpuPlatform)
