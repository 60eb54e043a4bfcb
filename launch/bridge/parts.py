"""Wait for a run on Ray, and end it when one of its parts has crashed.

In: the reference of the run's result. Out: that result's exception, or a `TrainingError` that names
the actor that died. verl sends prompts to its agent loop workers and polls for what becomes of
them; of a worker that is gone nothing ever comes, and without this the run would wait for ever.
"""

from __future__ import annotations

from typing import Any

from conf.errors import TrainingError

LOOK_S = 1.0
"""Seconds between two looks at the actors."""
MERCY_S = 5.0
"""Seconds the run has to fail by itself once an actor died: its own error says more."""


def wait_for(result: Any) -> None:
    """Return when the run has ended well.

    Args:
        result: the object reference of the run's last task.

    Raises:
        TrainingError: an actor of this job died, and the run did not notice.
        ray.exceptions.RayError: whatever ended the run.
    """
    import ray

    while not ray.wait([result], timeout=LOOK_S)[0]:
        dead = crashed()
        if dead and not ray.wait([result], timeout=MERCY_S)[0]:
            names = ", ".join(dead)
            raise TrainingError(f"crashed in mid run: {names}", "the same command resumes")
    ray.get(result)


def crashed() -> list[str]:
    """The actors of this job whose process or node died, which nobody meant to end."""
    import ray
    from ray._private import state

    job = ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    table = state.actors(job_id=job, actor_state_name="DEAD")
    return [
        f"{actor['ActorClassName']} (process {actor['Pid']})"
        for actor in table.values()
        if _is_crash(actor["DeathCause"])
    ]


def _is_crash(cause: Any) -> bool:
    if cause.HasField("oom_context"):
        return True
    died = cause.actor_died_error_context
    unwanted = died.Reason.Value("WORKER_DIED"), died.Reason.Value("NODE_DIED")
    # An actor that leaves by ray.actor.exit_actor() is reported as died too.
    return died.reason in unwanted and "INTENDED" not in died.error_message
