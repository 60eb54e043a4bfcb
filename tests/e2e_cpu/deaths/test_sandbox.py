"""A sandbox's server that no longer hears, in each tier: alone, since it holds a slot meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from conf.errors import SandboxError
from launch.processes import all_processes, descendants, read_process
from rewards.sandbox import tiers
from rewards.sandbox.client import Sandbox
from rewards.sandbox.limits import Limits

HERE = [tier for tier in tiers.TIERS[:3] if not tiers.probe(tier, tiers.Setting())]
LIMITS = Limits(cpu_s=5, wall_s=20)  # generous: a busy machine fails nobody


@pytest.mark.full
@pytest.mark.parametrize("tier", HERE)
def test_a_server_that_hears_nothing_is_killed_with_its_programs(tier: str) -> None:
    own, running = Sandbox(tier=tier, slots=2), set()

    def stop() -> None:
        assert own._server is not None
        pid = own._server.process.pid
        until = time.monotonic() + LIMITS.wall_s / 2
        while len(running) < 3 and time.monotonic() < until:
            time.sleep(1.0)
            running.update(filter(None, [read_process(pid), *descendants([pid])]))
        for process in running:
            os.kill(process.pid, signal.SIGSTOP)

    with own.session("import time; time.sleep(100)", LIMITS) as session:
        threading.Thread(target=stop).start()
        with pytest.raises(SandboxError, match="no answer"):
            session.run(b"")
    assert len(running) >= 3
    until = time.monotonic() + 30
    while (left := running & set(all_processes())) and time.monotonic() < until:
        time.sleep(0.05)
    for process in left:
        os.kill(process.pid, signal.SIGKILL)  # stopped, they would stay for ever
    assert not left
