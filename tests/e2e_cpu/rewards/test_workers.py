"""The pool of killable workers, on a target of its own.

1. Answers, errors, hangs, floods of memory and deaths come back as what they are, in time.
2. After each of them the pool serves the next call.
3. The bound on workers holds, from threads and from asyncio.
4. Nothing outlives the process that started it, however it ends.
5. A target that cannot be imported is reported.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from launch.processes import read_process
from rewards.workers import Pool

TARGET = """
import os, sys, time
def steps():
    yield "first"
    yield "second"
    while True: pass
def run(request):
    what = request["do"]
    if what == "hang":
        while True: pass
    if what == "c":
        9 ** 9 ** 9  # holds the interpreter within one instruction
    if what == "memory":
        return len("x" * (1 << 40))
    if what == "die":
        os._exit(3)
    if what == "raise":
        raise KeyError("no such thing")
    if what == "steps":
        return steps()
    if what == "sleep":
        time.sleep(request["s"])
    return {"pid": os.getpid(), "loaded": [m for m in ("torch", "verl", "ray") if m in sys.modules]}
"""


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    folder = tmp_path_factory.mktemp("target")
    (folder / "pool_target.py").write_text(TARGET)
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{folder}{os.pathsep}{before}" if before else str(folder)
    made = Pool("pool_target:run", size=2, memory_mb=256)
    made.call({"do": "ok"}, 5.0)
    yield made
    made.close()
    if before is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = before


def test_an_answer(pool: Pool) -> None:
    reply = pool.call({"do": "ok"}, 5.0)
    assert reply.kind == "ok"
    assert reply.value["loaded"] == []
    assert reply.value["pid"] != os.getpid()
    assert pool.call({"do": "ok"}, 5.0).value == reply.value  # the same worker serves again


@pytest.mark.parametrize(
    ("what", "kind", "detail"),
    [
        ("hang", "timeout", "0.4"),
        ("c", "timeout", "0.4"),
        ("memory", "memory", "memory"),
        ("die", "crash", "3"),
        ("raise", "error", "KeyError"),
    ],
)
def test_failures_come_back_in_time(pool: Pool, what: str, kind: str, detail: str) -> None:
    start = time.monotonic()
    reply = pool.call({"do": what}, 0.4 if kind == "timeout" else 20.0)
    assert (reply.kind, detail in reply.detail) == (kind, True)
    assert time.monotonic() - start < 30
    assert pool.call({"do": "ok"}, 5.0).kind == "ok"


def test_steps_on_the_way_are_kept(pool: Pool) -> None:
    reply = pool.call({"do": "steps"}, 2.0)
    assert (reply.kind, reply.value) == ("timeout", "second")


def test_a_worker_killed_from_outside_is_replaced(pool: Pool) -> None:
    pid = pool.call({"do": "ok"}, 5.0).value["pid"]
    os.kill(pid, signal.SIGKILL)
    kinds = [pool.call({"do": "ok"}, 5.0).kind for _ in range(3)]
    assert kinds.count("crash") <= 1 and kinds[-1] == "ok"


def test_a_helper_killed_from_outside_is_replaced(pool: Pool) -> None:
    os.kill(pool.pids()[0], signal.SIGKILL)
    pool.call({"do": "die"}, 5.0)
    assert pool.call({"do": "ok"}, 5.0).kind == "ok"


def test_the_bound_holds_in_threads(pool: Pool) -> None:
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(pool.call, {"do": "sleep", "s": 0.02}, 5.0) for _ in range(24)]
        replies = [call.result() for call in calls]
    assert {reply.kind for reply in replies} == {"ok"}
    assert len({reply.value["pid"] for reply in replies}) <= 2


def test_asyncio(pool: Pool) -> None:
    async def several() -> list[str]:
        limits = {"ok": 20.0, "hang": 0.5, "die": 20.0}
        calls = [pool.acall({"do": do}, limits[do]) for do in ("ok", "hang", "ok", "die")]
        return [reply.kind for reply in await asyncio.gather(*calls)]

    assert asyncio.run(several()) == ["ok", "timeout", "ok", "crash"]


def test_a_worker_is_replaced_after_its_share(pool: Pool) -> None:
    short = Pool(pool.target, size=1, memory_mb=256, recycle=3)
    pids = [short.call({"do": "ok"}, 5.0).value["pid"] for _ in range(6)]
    short.close()
    assert pids[0] == pids[2] != pids[3] == pids[5]


def test_close_ends_everything(pool: Pool) -> None:
    own = Pool(pool.target, size=1, memory_mb=256)
    own.call({"do": "ok"}, 5.0)
    pids = own.pids()
    assert len(pids) == 2 and all(map(psutil.pid_exists, pids))
    own.close()
    wait_until_gone(pids)


def test_what_cannot_be_imported_is_said() -> None:
    reply = Pool("rewards.no_such_module:run").call(1, 1.0)
    assert reply.kind == "crash"
    assert "no_such_module" in reply.detail


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 30.0
    while time.monotonic() < end:
        alive = [pid for pid in pids if read_process(pid)]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(f"still there: {alive}")


@pytest.mark.parametrize("busy", [False, True])
def test_nothing_outlives_a_killed_parent(pool: Pool, repo: Path, busy: bool) -> None:
    script = f"""
        import threading, time
        from rewards.workers import Pool
        pool = Pool({pool.target!r}, size=1, memory_mb=256)
        pid = pool.call({{"do": "ok"}}, 5.0).value["pid"]
        print(*{{*pool.pids(), pid}}, flush=True)
        if {busy}:
            pool.call({{"do": "hang"}}, 60.0)
        time.sleep(60)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=repo, text=True
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    time.sleep(0.2)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until_gone(pids)
