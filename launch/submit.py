"""Ray Jobs: run a job on a Ray cluster, and look after it.

    python -m launch.submit grpo|ppo|sft +recipe=NAME [key=value …] [--address URL] [--follow]
    python -m launch.submit status|logs|stop ID [--address URL] [--follow]
    python -m launch.submit list [--address URL]

In: the same overrides as the entry points'. The command is checked here, then on the cluster's
nodes; only then is it submitted, with this version of the code. Out: with `--follow` the job's log
and its exit code; 130 after Ctrl-C (the job goes on), 143 for a job that was stopped, 5 for a
failed preflight, 8 for a cluster that does not answer.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from conf.errors import boundary

JOBS = ("grpo", "ppo", "sft")
ASKED = ("status", "logs", "stop")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m launch.submit",
        description="Run a job on a Ray cluster; ask for it, read its log, stop it.",
        epilog="Address: --address, else RAY_API_SERVER_ADDRESS, RAY_DASHBOARD_ADDRESS or "
        "RAY_ADDRESS, else http://127.0.0.1:8265. Secrets such as WANDB_API_KEY and HF_TOKEN come "
        "from the environment of the cluster's nodes. run.root must lie on storage that all nodes "
        "share.",
    )
    made.add_argument("what", choices=(*JOBS, *ASKED, "list"))
    made.add_argument("words", nargs="*", metavar="key=value|ID", help="overrides, or a job's id")
    made.add_argument("--address", metavar="URL", help="the dashboard of the cluster")
    made.add_argument(
        "--follow", action="store_true", help="show the log, exit with the job's code"
    )
    made.add_argument("--working-dir", metavar="DIR", type=Path, help="upload your modules too")
    made.add_argument("--debug", action="store_true", help="tracebacks")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    made = parser()
    arguments = made.parse_intermixed_args(sys.argv[1:] if argv is None else argv)
    if arguments.what in ASKED and len(arguments.words) != 1:
        made.error(f"{arguments.what} needs the id of one job; `list` shows them")
    if arguments.what == "list" and arguments.words:
        made.error("list takes no id")
    with boundary(debug=arguments.debug):
        from launch.jobs import commands

        if arguments.what in JOBS:
            return commands.submit(
                arguments.what,
                arguments.words,
                address=arguments.address,
                follow=arguments.follow,
                working_dir=arguments.working_dir,
            )
        if arguments.what == "list":
            return commands.show_all(arguments.address)
        (job_id,) = arguments.words
        if arguments.what == "logs":
            return commands.logs(job_id, arguments.address, follow=arguments.follow)
        one = commands.stop if arguments.what == "stop" else commands.status
        return one(job_id, arguments.address)


if __name__ == "__main__":
    sys.exit(main())
