"""One job from its configuration to its report: the order of the stages, and nothing else.

In: a composed configuration. Out: a run folder whose metrics, checkpoints and report are complete.
Each stage is a command of its own that reads files and leaves files; the stages are in
`launch.stages`, the trainer's process in `launch.bridge`, its supervision in `launch.supervise`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from conf.runs import RunFolder
from launch import compose, plan, stages
from launch.early_stopping import forget, stopped
from launch.failure import raise_for
from launch.leftovers import end_leftovers
from launch.progress import Progress, say
from launch.redact import Redactor
from launch.resume import newest_complete_checkpoint
from launch.run_metrics import check_metrics, merge_metrics
from launch.selection import abandon, consider_saved
from launch.supervise import run_attempt


def run(config: DictConfig) -> RunFolder:
    """Prepare, warm up, train, evaluate, report.

    Args:
        config: composed, interpolations not yet resolved.

    Returns:
        The finished run's folder.
    """
    config = compose.resolve(config)
    warm_start = plan.warm_start_config(config) if config.policy.warm_start else None
    stages.prepare_data(config)
    stages.build_policy(config)
    if warm_start is not None:
        # Run, or found finished: its checkpoint starts this job.
        done = train(plan.as_prepared(warm_start), then=config)
        start = plan.policy_folder(done.path, warm_start.selection.checkpoint)
    else:
        start = plan.policy_folder(Path(config.policy.path))
    config = plan.with_policy(config, str(start))
    run_folder = train(config)
    if config.evaluation.enable:
        stages.evaluate(run_folder, config)
        stages.report(run_folder, config)
    return run_folder


def train(config: DictConfig, then: DictConfig | None = None) -> RunFolder:
    """Check, then train in the run's folder until the planned step, resuming what is there.

    Args:
        config: resolved.
        then: the job that goes on from this one, resolved. What can be checked of it is checked
            first, so that nobody waits for a warm start to hear of a slip in what follows.

    Raises:
        PreflightError: a check failed; nothing was written.
        RunFolderError: the folder is another configuration's, busy, or not writable.
        TrainingError: the trainer failed, or left gaps in its metrics.
    """
    redactor = Redactor(stages.environment())
    folder = RunFolder.locate(config.run.root, config.run.recipe, config.run.name)
    steps = plan.planned_steps(config)
    documents: dict[str, Any] = {}
    if folder.exists():
        # A finished or foreign run is said before seconds go into checks.
        run_folder = RunFolder.prepare(
            config.run.root, config.run.recipe, config.run.name, config, redact=redactor.tree
        )
        if plan.is_finished(run_folder, config, steps):
            end = plan.last_step(run_folder, config, steps)
            say(config.job, f"{run_folder.path} is finished: step {end} of {steps}")
            _choose(run_folder, config)
            return run_folder
    if then is not None:
        plan.planned_steps(then)
        stages.preflight(then, ahead=True)
    documents["preflight"] = stages.preflight(config)
    run_folder = RunFolder.prepare(
        config.run.root,
        config.run.recipe,
        config.run.name,
        config,
        redact=redactor.tree,
        plan=plan.document(config, steps, sys.argv),
        environment=stages.environment_record(),
        **documents,
    )
    with run_folder.lock():
        for note in end_leftovers(run_folder):
            say(config.job, note)
        _attempt(run_folder, config, steps, redactor)
    return run_folder


def _attempt(run_folder: RunFolder, config: DictConfig, steps: int, redactor: Redactor) -> None:
    """One attempt, from the newest complete checkpoint to the planned step."""
    point = newest_complete_checkpoint(run_folder)
    for note in point.notes:
        say(config.job, note)
    forget(run_folder.path)
    for note in abandon(run_folder.path, after=point.step):
        say(config.job, note)
    if config.selection.checkpoint == "best":
        consider_saved(run_folder)
    attempt = run_folder.new_attempt(from_step=point.step)
    where = f"resumes at step {point.step}" if point.step else "starts"
    say(config.job, f"{where}; {steps} steps; log: {attempt.stdout_log}")
    with Progress(config.job, attempt.metrics_file, steps, first=point.step):
        outcome = run_attempt(
            [sys.executable, "-m", "launch.bridge", str(attempt.path)],
            attempt=attempt,
            env=stages.environment(),
            redactor=redactor,
        )
    merge_metrics(run_folder)
    if outcome.reason != "finished":
        raise_for(outcome, attempt)
    check_metrics(run_folder, plan.last_step(run_folder, config, steps))
    early = stopped(run_folder.path, config.get("early_stopping"))
    if early is not None:
        say(config.job, f"stopped early at step {early.step} of {steps}: {early.why}")
    _choose(run_folder, config)


def _choose(run_folder: RunFolder, config: DictConfig) -> None:
    """Say which checkpoint is the best, where one is asked for."""
    if config.selection.checkpoint == "best":
        consider_saved(run_folder)
        stages.choose(run_folder, config)
