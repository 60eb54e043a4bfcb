"""Start or join Ray for one run.

In: the resolved configuration and the workers' environment. Out: an initialised Ray client. Under
a Ray job, or with `hardware.ray_address`, it joins, and wardens end what the run leaves there; else
it starts a local Ray that the guard ends.
"""

from __future__ import annotations

import os
import secrets
import sys
from typing import Any

from omegaconf import DictConfig, OmegaConf

from conf.errors import ClusterError
from launch.warden import COOKIE

SLOW_START = "timed out during startup"
# Whose last reference is gone when this process is: the wardens' actors live as long.
_posts: list[Any] = []


def _init(options: dict[str, Any]) -> None:
    """`ray.init`, again when a busy machine took longer than the 30 s that Ray gives its node."""
    import ray

    for last in (False, False, True):
        try:
            ray.init(**options)
            return
        except Exception as error:  # Ray raises no type of its own here
            if last or SLOW_START not in str(error):
                raise
            print(f"Ray did not start in time, again: {error}", file=sys.stderr)
            ray.shutdown()


def start(config: DictConfig, environment: dict[str, str]) -> None:
    """Initialise Ray so that verl's trainers find it running.

    Args:
        config: the resolved configuration; `hardware.ray_address` null starts a local Ray.
        environment: variables for every worker process.

    Raises:
        ClusterError: the address does not answer.
    """
    address = config.hardware.ray_address or os.environ.get("RAY_ADDRESS")
    cookie = secrets.token_hex(16)
    # SPT_NOENV: a process that sets its title must not write it over its environment in /proc.
    marked = {**environment, COOKIE: cookie, "SPT_NOENV": "1"} if address else environment
    options: dict[str, Any] = {"runtime_env": {"env_vars": marked}, "log_to_driver": True}
    if address:
        options["address"] = address
    elif config.job == "sft":
        options |= {"num_cpus": config.hardware.ray_cpus, "include_dashboard": False}
        if config.hardware.device == "cpu":
            options["num_gpus"] = config.hardware.ranks
    else:
        given = OmegaConf.to_container(config.ray_kwargs.ray_init, resolve=True)
        assert isinstance(given, dict)
        given.pop("runtime_env", None)
        options |= {str(key): value for key, value in given.items()}
    try:
        _init(options)
    except (ConnectionError, TimeoutError, ValueError) as error:
        if not address:
            raise
        raise ClusterError(
            f"no Ray answers at {address}: {str(error).splitlines()[0]}",
            "hardware.ray_address=null starts one here; `ray status` shows a running one",
        ) from error
    if address:
        from launch.bridge.wardens import post

        _posts.extend(post(cookie))
