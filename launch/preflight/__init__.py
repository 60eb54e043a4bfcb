"""Checks before Ray starts: each a pass, a warning or a failure with the override that mends it.

In: a composed configuration (grpo, ppo or sft), and a cluster's description where there is one.
Out: a `Report`. It starts no Ray, imports neither torch nor verl, downloads nothing, and leaves no
file behind.
"""

from __future__ import annotations

from launch.preflight.cluster import ClusterInfo, NodeInfo
from launch.preflight.lines import Line, Report, Status
from launch.preflight.probe import compare_nodes, probe
from launch.preflight.run import preflight
from launch.preflight.settings import Settings

__all__ = [
    "ClusterInfo",
    "Line",
    "NodeInfo",
    "Report",
    "Settings",
    "Status",
    "compare_nodes",
    "preflight",
    "probe",
]
