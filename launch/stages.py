"""The stages around training, each a command of its own: data, policy, checks, evaluation, report.

In: a resolved configuration. Out: files where the next stage reads them. `launch` reaches the other
packages by command, never by import, so that each stage can be run alone, again, or elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

import conf.errors
from conf.atomic import write_json
from conf.errors import EvaluationError, PreflightError, TemperError
from conf.runs import Attempt, RunFolder
from launch.failure import raise_for
from launch.plan import choosing_rows_of, policy_folder
from launch.preflight import preflight as check
from launch.preflight import probe
from launch.processes import end_with_parent
from launch.progress import say
from launch.redact import Redactor
from launch.supervise import run_attempt


def environment() -> dict[str, str]:
    """What every stage's process starts with: the user's environment, our packages importable."""
    values = dict(os.environ)
    # A clone that was never installed works too, and so does a recipe beside the working folder.
    here = str(Path(__file__).resolve().parent.parent)
    values["PYTHONPATH"] = os.pathsep.join(filter(None, [here, values.get("PYTHONPATH")]))
    return values


def prepare_data(config: DictConfig) -> None:
    """Make the Parquet files of the recipe, unless they are there.

    Raises:
        TemperError: whatever `data_prep.prepare` said, with its exit code.
    """
    spec = OmegaConf.to_container(config.data_prep, resolve=True)
    _command("prepare", ["data_prep.prepare", "--spec", "/dev/stdin"], given=json.dumps(spec))


def build_policy(config: DictConfig) -> None:
    """Build the policy on the spot where the configuration says how and it is not there yet."""
    if config.policy.build == "tiny" and not Path(config.policy.path).exists():
        path = Path(config.policy.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        _command("policy", ["launch.bridge.tiny_policy", str(path), str(config.run.seed)])
        say("policy", f"built {path}")


def preflight(config: DictConfig, *, ahead: bool = False) -> dict[str, Any]:
    """Check everything that can be checked before Ray starts; print what is not a pass.

    Args:
        config: resolved.
        ahead: of a job that comes later, and is checked again then: only a failure is printed.

    Raises:
        PreflightError: a check failed.
    """
    if not config.preflight.enable:
        return {"enabled": False}
    redactor = Redactor(environment())
    report = check(config)
    if report.failures or (report.warnings and not ahead):
        width = os.get_terminal_size(2).columns if sys.stderr.isatty() else 100
        table = report.render(width=width, color=sys.stderr.isatty())
        print(redactor.text(table), file=sys.stderr)
    try:
        report.raise_for_failures()
    except PreflightError as error:
        raise PreflightError(redactor.text(error.message), redactor.text(error.fix)) from None
    if not ahead:
        say("check", f"{len(report.lines)} checks passed in {report.seconds:.1f} s")
    return report.to_json()


def environment_record() -> dict[str, Any]:
    """What environment.json holds: versions, plugins, devices of this host."""
    return probe(with_torch=False)


def choose(run: RunFolder, config: DictConfig) -> None:
    """Say which checkpoint is the best, by what metric, and how sure that is."""
    _command(config.job, ["eval.best", str(run.path)])


def evaluate(run: RunFolder, config: DictConfig) -> None:
    """Held-out greedy evaluation of the starting and the trained model, in one process.

    Raises:
        EvaluationError: it failed; its log says more.
    """
    chosen = str(config.selection.checkpoint)
    models = {"before": config.policy.path, "after": str(policy_folder(run.path, chosen))}
    held_out = Path(config.data_prep.out) / "test.parquet"
    arguments = [
        f"out={run.eval_dir}",
        f"data={held_out}",
        *(f"models.{label}={path}" for label, path in models.items()),
        f"reward={config.reward_fn.name}",
        f"reward_options={json.dumps(OmegaConf.to_container(config.reward_fn.options))}",
        f"n={config.evaluation.n}",
        f"max_tokens={config.evaluation.max_tokens}",
        f"device={config.hardware.device}",
    ]
    log = Attempt(run.eval_dir / "process")
    log.path.mkdir(parents=True, exist_ok=True)
    if chosen == "best" and (choosing := choosing_rows_of(config, held_out)):
        write_json(run.eval_dir / "chosen_on.json", choosing)
        arguments.append(f"leave_out={run.eval_dir / 'chosen_on.json'}")
    values = environment()
    outcome = run_attempt(
        [sys.executable, "-m", "eval.run", *arguments],
        attempt=log,
        env=values,
        redactor=Redactor(values),
        on_line=lambda line: say("eval", line) if _worth_showing(line) else None,
    )
    if outcome.reason == "failed":
        raise EvaluationError(
            f"the evaluation failed: {outcome.summary()}", f"read {log.stdout_log}"
        )
    if outcome.reason != "finished":
        raise_for(outcome, log)


def report(run: RunFolder, config: DictConfig) -> None:
    """Write report.html of the run, with the SFT that warmed it up where there was one."""
    arguments = ["eval.report", str(run.path)]
    warm = Path(config.policy.path).parent.parent.parent
    if config.policy.warm_start and (warm / "config.yaml").is_file():
        arguments += ["--sft", str(warm)]
    _command("report", arguments)


def _worth_showing(line: str) -> bool:
    return line.startswith(("model ", "before", "after", "warning", "verdict"))


def _command(stage: str, arguments: Sequence[str], given: str = "") -> None:
    """Run `python -m …`, show what it says under the stage's name, raise what it reports."""
    values = environment()
    redactor = Redactor(values)
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=values,
        preexec_fn=end_with_parent,  # no guard stands behind these: they are short, and alone
        input=given,
        capture_output=True,
        text=True,
    )
    # The stage's own word comes last; before it a reward may have printed a line for each row.
    for line in done.stdout.splitlines()[-1:]:
        say(stage, redactor.text(line))
    if done.returncode:
        raise _error(stage, done.returncode, redactor.text(done.stderr))


def _error(stage: str, code: int, stderr: str) -> TemperError:
    """The error that a stage's command printed, as its own type by the exit code."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    message, _, fix = (lines[-1] if lines else f"{stage} failed").partition(" → ")
    for kind in vars(conf.errors).values():
        if isinstance(kind, type) and issubclass(kind, TemperError) and kind.exit_code == code:
            return kind(message.removeprefix("error: "), fix)
    return TemperError(f"{stage}: {message}", fix)
