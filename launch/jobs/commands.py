"""What `python -m launch.submit` does, one function a command.

In: what the command line says. Out: an exit code; results on stdout, the course of things on
stderr. The parts are elsewhere: the plan, the upload, the preflight, the follower, Ray's client.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from conf.duration import duration
from conf.errors import ClusterError, ConfigError
from launch.jobs import plan as jobs_plan
from launch.jobs.client import Jobs, JobState, address_of, is_this_host
from launch.jobs.follow import Follower
from launch.jobs.package import stage
from launch.jobs.preflight import ask, report
from launch.preflight import Report
from launch.progress import say
from launch.recipes import find_recipe
from launch.redact import Redactor

STAGE = "submit"


def submit(
    job: str,
    arguments: Sequence[str],
    *,
    address: str | None,
    follow: bool,
    working_dir: Path | None,
) -> int:
    """Check here, check there, upload, start, and follow if asked.

    Raises:
        ConfigError: the command line is wrong, or holds a secret.
        ClusterError: no Ray answers, or it refuses the job.
        PreflightError: a check on the cluster failed; nothing of the run was started.
    """
    url = address_of(address)
    if working_dir is not None and not working_dir.is_dir():
        raise ConfigError(f"--working-dir {working_dir} is no folder", "a folder of your modules")
    plan = jobs_plan.plan(job, arguments, this_host=is_this_host(url), working_dir=working_dir)
    jobs = Jobs(url)
    with tempfile.TemporaryDirectory(prefix="temper-upload-") as folder:
        homes = find_recipe(str(plan.recipe)).folders
        package = stage(Path(folder), recipes=homes, files=plan.files, working_dir=working_dir)
        say(STAGE, f"temper {package.version} ({package.fingerprint[:12]}) → {url}")
        cluster = ask(jobs, plan, package)
        guess, plan = plan, jobs_plan.with_hardware(plan, cluster.gpus)
        if plan.config.hardware != guess.config.hardware:  # what was checked was another plan
            cluster = ask(jobs, plan, package)
        for note in plan.notes:
            say(STAGE, note)
        if plan.config.preflight.enable:
            _check(report(cluster, plan, package))
        job_id = f"{plan.recipe.name}-{plan.config.run.name}-{secrets.token_hex(4)}"
        jobs.submit(
            plan.entrypoint,
            package.folder,
            submission_id=job_id,
            metadata={
                "temper": package.version,
                "code": package.fingerprint,
                "job": job,
                "run": str(plan.run_dir),
            },
            node_id=cluster.launcher_node(
                str(plan.config.hardware.device), int(plan.config.hardware.ranks)
            ),
        )
    say(STAGE, f"{job_id} is submitted; run folder: {plan.run_dir}")
    follower = Follower(jobs, job_id, Redactor(os.environ))
    if follow:
        return _followed(follower)
    print(job_id)
    say(STAGE, f"its log: {follower.command('logs')} --follow")
    return 0


def logs(job_id: str, address: str | None, *, follow: bool) -> int:
    """Print a job's log, to its end if asked; then its exit code is ours."""
    jobs = Jobs(address_of(address))
    redactor = Redactor(os.environ)
    if follow:
        jobs.state(job_id)  # a wrong id is said at once, not after a minute of retries
        return _followed(Follower(jobs, job_id, redactor))
    sys.stdout.write(redactor.text(jobs.logs(job_id)))
    return 0


def status(job_id: str, address: str | None) -> int:
    """Print a job's state, one fact a line."""
    state = Jobs(address_of(address)).state(job_id)
    redactor = Redactor(os.environ)
    facts = {
        "job": state.id,
        "status": state.status,
        "exit code": "" if state.exit_code is None else str(state.exit_code),
        "took": _took(state),
        **dict(state.metadata),
        "command": state.entrypoint,
        "message": _last_line(state.message) if state.status == "FAILED" else "",
    }
    for name, value in facts.items():
        if value:
            print(f"{name:<10} {redactor.text(value)}")
    return 0


def stop(job_id: str, address: str | None) -> int:
    """Stop a job; returns when it has ended."""
    jobs = Jobs(address_of(address))
    before = jobs.state(job_id)
    state = before if before.over else jobs.stop(job_id)
    how = f"had ended {state.status} already" if before.over else f"is {state.status}"
    say(STAGE, f"{job_id} {how}")
    return 0


def show_all(address: str | None) -> int:
    """Print the cluster's jobs, a line each."""
    redactor = Redactor(os.environ)
    found = Jobs(address_of(address)).list()
    for state in found:
        what = state.metadata.get("run") or state.entrypoint
        line = f"{state.id}  {state.status:<9}  {_took(state):>8}  {redactor.text(what)}"
        print(line)
    if not found:
        say(STAGE, "no jobs")
    return 0


def _check(found: Report) -> None:
    """Show what is not a pass, and stop at a failure.

    Raises:
        PreflightError: a check failed.
    """
    if found.failures or found.warnings:
        width = os.get_terminal_size(2).columns if sys.stderr.isatty() else 100
        print(found.render(width=width, color=sys.stderr.isatty()), file=sys.stderr)
    found.raise_for_failures()
    say("check", f"{len(found.lines)} checks passed on the cluster")


def _followed(follower: Follower) -> int:
    state = follower.run()
    if state.status == "FAILED" and state.exit_code is None:
        raise ClusterError(
            f"Ray could not run {state.id}: {_last_line(state.message)}", follower.command("logs")
        )
    say(STAGE, f"{state.id} {state.status}" + (f" after {_took(state)}" if state.ended else ""))
    return state.our_exit_code


def _took(state: JobState) -> str:
    if not state.started:
        return ""
    return duration((state.ended or time.time()) - state.started)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
