"""Leftovers: what still runs of a run whose launcher and guard were both killed.

In: a run folder, held under its lock. Out: the processes named by the attempts' pid.json (by id and
start time, on this boot and in this pid namespace), what descends from them and what lives in their
sessions, ended; and one line for the user. Nothing is looked up by name.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

from conf.atomic import write_json
from conf.errors import RunFolderError
from conf.runs import Attempt, RunFolder
from launch.processes import (
    Process,
    all_processes,
    descendants,
    end_all,
    is_alive,
    machine_identity,
    read_process,
)

GUARD_WAIT_S = 10.0
"""A living guard whose launcher died is cleaning up; it gets this many seconds to finish."""
POLITE_S = 2.0
LIMIT_S = 6.0


def end_leftovers(run: RunFolder) -> list[str]:
    """End what earlier attempts left running, and give each an exit.json that has none.

    Args:
        run: the folder; the caller holds its lock, so no living launcher trains in it.

    Returns:
        One line for each attempt that had leftovers; empty when all is clean.

    Raises:
        RunFolderError: a process could not be ended, or an earlier launcher still runs here.
    """
    lines = []
    for attempt in run.attempts():
        record = _read_pids(attempt)
        if record is None:
            continue
        _await_guard(run, record)
        count, survivors = _end(record)
        if survivors:
            raise RunFolderError(
                f"processes of attempt {attempt.number} of {run.path} cannot be ended: {survivors}",
                "end them by hand, or use a folder of its own: run.name=NAME",
            )
        if count:
            lines.append(
                f"attempt {attempt.number} had left {count} process{'es' * (count > 1)} running "
                "(its launcher and guard were killed): ended"
            )
        attempt.reserve_file.unlink(missing_ok=True)
        if not attempt.exit_file.exists():
            write_json(
                attempt.exit_file,
                {"code": None, "signal": None, "reason": "launcher_died", "found_later": True},
            )
    return lines


def _read_pids(attempt: Attempt) -> dict[str, Any] | None:
    """The attempt's pid.json when its ids mean anything here and now, else None."""
    try:
        record = json.loads(attempt.pid_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    here = machine_identity()
    if not isinstance(record, dict) or any(record.get(key) != here[key] for key in here):
        return None  # another machine, container or boot: those ids belong to others now
    return record


def _process(entry: dict[str, int] | None) -> Process | None:
    if entry is None:
        return None
    return Process(entry["pid"], entry["start"], parent=0, session=entry["session"])


def _await_guard(run: RunFolder, record: dict[str, Any]) -> None:
    guard, launcher = _process(record["guard"]), _process(record["launcher"])
    if guard is None or not is_alive(guard):
        return
    if launcher is not None and is_alive(launcher) and launcher.pid != os.getpid():
        raise RunFolderError(
            f"{run.path} is in use by process {launcher.pid}, though its lock is free",
            "wait for it, stop it, or use a folder of its own: run.name=NAME",
        )
    deadline = time.monotonic() + GUARD_WAIT_S
    while is_alive(guard) and time.monotonic() < deadline:
        time.sleep(0.05)


def _end(record: dict[str, Any]) -> tuple[int, list[int]]:
    """End the guard and the tree; returns how many ended and the ids of who did not."""
    trainer = _process(record["trainer"])
    named = [_process(entry) for entry in [record["guard"], record["trainer"], *record["tree"]]]
    known = {process for process in named if process is not None}
    oldest = trainer.start if trainer is not None else 0

    def find() -> list[Process]:
        table = all_processes()
        alive = {process.pid: process for process in table}
        mine = {process for process in table if process in known}
        mine |= {process for process in table if _in_session(process, known, alive, oldest)}
        mine |= set(descendants([process.pid for process in mine], table=table))
        known.update(mine)
        return [process for process in mine if process.pid != os.getpid()]

    if not find():
        return 0, []
    result = end_all(find, polite_s=POLITE_S, limit_s=LIMIT_S)
    return result.count, result.survivors


def _in_session(
    process: Process, known: set[Process], alive: dict[int, Process], oldest: int
) -> bool:
    """Whether it lives in a session that the trainer or one of its descendants led.

    The session's leader is dead or the very process that we know; a living stranger under that id
    means that the id was used again.
    """
    leaders = {one.pid: one for one in known if one.session == one.pid}
    if process.session not in leaders or process.start < oldest:
        return False
    leader = alive.get(process.session, read_process(process.session))
    return leader is None or leader == leaders[process.session]
