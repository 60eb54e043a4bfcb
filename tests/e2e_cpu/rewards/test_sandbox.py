"""The sandbox as a caller sees it: what programs give back, limits, threads, forks, deaths.

Runs in the strongest tier of this machine; where there is none, that refusal is what is tested.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conf.errors import SandboxError
from launch.processes import all_processes, descendants, read_process
from rewards.sandbox import tiers
from rewards.sandbox.client import Outcome, Sandbox
from rewards.sandbox.limits import Limits
from rewards.sandbox.slots import Slots

HERE = [tier for tier in tiers.TIERS[:3] if not tiers.probe(tier, tiers.Setting())]
isolated = pytest.mark.skipif(not HERE, reason="this machine has no isolation tier")
LIMITS = Limits(cpu_s=5, wall_s=20)  # generous: a busy machine fails nobody


@pytest.fixture(scope="module")
def box() -> Iterator[Sandbox]:
    box = Sandbox(slots=2)
    yield box
    box.close()


def run(box: Sandbox, source: str, stdin: bytes = b"", limits: Limits = LIMITS) -> Outcome:
    with box.session(source, limits) as session:
        return session.run(stdin)


@isolated
def test_a_program_reads_and_prints(box: Sandbox) -> None:
    said = run(box, "import sys\nprint(sum(map(int, sys.stdin)))\n", b"1\n2\n3\n")
    assert (said.kind, said.status, said.output) == ("exit", 0, b"6\n")


@isolated
@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("raise SystemExit(3)", 3),
        ("import sys; sys.exit('no')", 1),
        ("1/0", 1),
        ("def f(:", 1),
        ("import os; os._exit(7)", 7),
        ("import atexit; atexit.register(print, 'x'); print('y')", 0),
        ("import ctypes; ctypes.string_at(0)", -signal.SIGSEGV),
    ],
)
def test_an_exit_code_is_the_program_s(box: Sandbox, source: str, status: int) -> None:
    assert run(box, source).status == status


@isolated
def test_each_run_is_a_process_of_its_own(box: Sandbox) -> None:
    with box.session("import json\nprint(hasattr(json, 'seen'))\njson.seen = 1", LIMITS) as session:
        assert [session.run(b"").output for _ in range(2)] == [b"False\n"] * 2


@isolated
def test_what_programs_need_is_there(box: Sandbox) -> None:
    source = (
        "import asyncio, threading, sqlite3, decimal, random, sys\n"
        "async def main(): await asyncio.sleep(0); print('async')\n"
        "asyncio.run(main())\n"
        "t = threading.Thread(target=print, args=('thread',)); t.start(); t.join()\n"
        "sys.setrecursionlimit(10**5)\n"
        "def down(n): return 0 if n == 0 else 1 + down(n - 1)\n"
        "print(down(20000), random.random() == random.Random(0).random())\n"
    )
    said = run(box, source)
    assert said.output.decode().split() == ["async", "thread", "20000", "True"], said.error


@isolated
def test_large_input_and_output_do_not_block_each_other(box: Sandbox) -> None:
    given = b"x" * 3_000_000
    said = run(box, "import sys\nsys.stdout.write(sys.stdin.read())", given)
    assert said.output == given


@isolated
@pytest.mark.parametrize(
    ("source", "wall_s", "kind"),
    [
        ("while True: pass", 0.6, "timeout"),
        ("while True: pass", 30, "timeout"),
        ("import time; time.sleep(100)", 0.6, "timeout"),
        ("while True: print('x' * 1000)", 30, "overflow"),
    ],
)
def test_limits_end_a_program_in_time(box: Sandbox, source: str, wall_s: float, kind: str) -> None:
    limits = Limits(cpu_s=1, wall_s=wall_s, output_bytes=100_000)
    begun = time.monotonic()
    assert run(box, source, limits=limits).kind == kind
    assert time.monotonic() - begun < 60


@isolated
def test_memory_is_bounded(box: Sandbox) -> None:
    limits = Limits(memory_bytes=200 << 20)
    said = run(box, "x = bytearray(300 << 20)", limits=limits)
    assert (said.status, "MemoryError" in said.error) == (1, True)


@isolated
def test_calls_share_a_process_and_return_plain_values(box: Sandbox) -> None:
    source = "seen = []\ndef f(*a):\n    seen.append(a)\n    return {'n': len(seen)}, a"
    with box.session(source, LIMITS) as session:
        assert session.start().kind == "value"
        assert session.call("f", [1, [2]]).value == ({"n": 1}, (1, [2]))
        assert session.execute("x = f(3)").kind == "value"
        assert session.evaluate("x[0]['n'] + 1").value == 3
        assert session.call("g", []).error.startswith("NameError")
        assert session.evaluate("1/0").error == "ZeroDivisionError: division by zero"


@isolated
def test_a_test_runs_beside_the_program_and_not_in_it(box: Sandbox) -> None:
    source = (
        "class Node:\n    def __init__(self, v): self.v = v\n    def up(self): return self.v + 1\n"
        "def f(x):\n    if x < 0: raise ValueError('negative')\n    return x * 2\n"
    )
    test = (
        "assert f(2) == 4\nn = Node(3)\nassert n.up() == 4 and n.v == 3\nassert n != 3\n"
        "try:\n    f(-1)\nexcept ValueError as error:\n    assert str(error) == 'negative'\n"
        "else:\n    raise AssertionError\nassert math.sqrt(f(8)) == 4\nassert helper(2) == 3\n"
    )
    with box.session(source, Limits(cpu_s=1, wall_s=20)) as session:
        session.start()
        said = session.check(test, ["def helper(x): return x + 1"], ["f"])
        assert (said.kind, said.passed) == ("checked", True), said.error
        assert not session.check("assert f(2) == 5", [], ["f"]).passed
        assert session.call("f", [2]).value == 4
        assert session.check("while True: f(1)", [], ["f"]).kind == "timeout"
    with box.session("def f(x):\n    while True: pass\n", Limits(cpu_s=1, wall_s=20)) as session:
        session.start()
        # It is the program that runs out of time, and the test that notices.
        assert session.check("assert f(2) == 4", [], ["f"]).kind == "timeout"
        assert session.call("f", [2]).kind == "died"  # it may be in the middle of a reply


@isolated
def test_a_session_that_has_seen_a_test_starts_no_program(box: Sandbox) -> None:
    with box.session("def f(x): return x", LIMITS) as session:
        session.start()
        session.check("assert f(2) == 2", [], ["f"])
        with pytest.raises(SandboxError, match="has run a test"):
            session.start()


@isolated
def test_a_function_cannot_be_handed_over(box: Sandbox) -> None:
    with box.session("def f(g): return g(1)", LIMITS) as session:
        session.start()
        assert session.check("assert f(lambda x: x) == 1", [], ["f"]).fault == "test"


@isolated
def test_threads_and_event_loops_share_one_sandbox(box: Sandbox) -> None:
    def one(n: int) -> int:
        return int(run(box, f"print({n} ** 2)").output)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(one, range(12))) == [n * n for n in range(12)]

    async def many() -> list[int]:
        return await asyncio.gather(*(box.in_thread(lambda n=n: one(n)) for n in range(6)))

    assert asyncio.run(many()) == [n * n for n in range(6)]


@isolated
@pytest.mark.parametrize("tier", HERE)
def test_each_tier_runs_programs_whatever_descriptors_the_caller_holds(tier: str) -> None:
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(2)]  # moves the numbers of the next
    try:
        for _ in range(4):
            box = Sandbox(tier=tier, slots=2)
            held += [os.open(os.devnull, os.O_RDONLY)]
            said = run(box, "import sqlite3, fractions, email\nprint(sqlite3.sqlite_version)")
            box.close()
            assert (said.status, said.output[:2]) == (0, b"3."), said.error
    finally:
        for fd in held:
            os.close(fd)


@isolated
def test_a_server_that_died_is_started_again(box: Sandbox) -> None:
    run(box, "pass")
    assert box._server is not None
    pid = box._server.process.pid
    os.kill(pid, signal.SIGKILL)
    box._server.process.wait()
    assert run(box, "print(1)").output == b"1\n"
    assert box._server.process.pid != pid


@isolated
def test_a_server_killed_in_the_middle_takes_its_programs_along() -> None:
    own, running = Sandbox(slots=2), set()

    def kill() -> None:
        assert own._server is not None
        server = read_process(own._server.process.pid)
        assert server is not None
        until = time.monotonic() + LIMITS.wall_s / 2
        while len(running) < 3 and time.monotonic() < until:
            time.sleep(1.0)
            running.update({server, *descendants([server.pid])})
        os.kill(server.pid, signal.SIGKILL)

    with own.session("import time; time.sleep(100)", LIMITS) as session:
        threading.Thread(target=kill).start()
        with pytest.raises(SandboxError, match="no answer"):
            session.run(b"")
    assert len(running) >= 3  # the server, the session, the program
    until = time.monotonic() + 30
    while (left := running & set(all_processes())) and time.monotonic() < until:
        time.sleep(0.05)
    assert not left


@isolated
def test_a_forked_caller_gets_its_own_server(box: Sandbox) -> None:
    run(box, "pass")
    child = os.fork()
    if child == 0:
        said = run(box, "print(2)")
        box.close()
        os._exit(0 if said.output == b"2\n" else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert run(box, "print(3)").output == b"3\n"


@isolated
def test_a_caller_that_is_killed_leaves_nothing(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        own = Sandbox(slots=2)
        with own.session("import time; time.sleep(100)", LIMITS) as session:
            assert own._server is not None
            (tmp_path / "pid").write_text(str(own._server.process.pid))
            threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
            session.run(b"")
        os._exit(1)
    os.waitpid(child, 0)
    server = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 30
    while read_process(server) and time.monotonic() < until:
        time.sleep(0.05)
    assert not read_process(server), "the server outlived its caller by 30 s"


def test_slots_are_shared_by_all_and_waiting_ends() -> None:
    name = f"test-{os.getpid()}"
    first, second = Slots(1, name), Slots(1, name)
    held = first.take(1)
    with pytest.raises(SandboxError, match="came free"):
        second.take(0.05)
    first.give(held)
    second.give(second.take(1))


def test_a_machine_without_isolation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        tiers, "probe", lambda tier, setting: "" if tier == "unsafe" else "not here"
    )
    with pytest.raises(SandboxError, match=r"no isolation.*not here.*allow_unsafe=true"):
        tiers.choose("auto", tiers.Setting(), False)
    assert tiers.choose("auto", tiers.Setting(), True) == "unsafe"


def test_an_unknown_tier_is_refused() -> None:
    with pytest.raises(SandboxError, match="no sandbox tier"):
        tiers.choose("docker", tiers.Setting(), True)


@pytest.mark.parametrize("name", ["cpu_s", "memory_bytes", "output_bytes"])
def test_a_limit_is_positive(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Limits(**{name: 0})
