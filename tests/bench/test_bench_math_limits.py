"""By how much hostile mathematics delays a batch beyond its deadline: the aim is one second.

A batch of good answers and of all responses of `golden/hostile/mathematics.py` (10⁹!, 9^9^9^9,
100 kB, nested LaTeX, algebra without an end) is graded from 16 threads under a deadline; each round
has another gold answer, so that no cache helps. The largest overrun of the rounds is reported: it
is seconds of this machine, so it fails nothing.
"""

from __future__ import annotations

import importlib.util
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rewards.math.grade import grade_math

pytestmark = [pytest.mark.bench, pytest.mark.timeout(300)]
HOSTILE = Path(__file__).parents[1] / "golden" / "hostile" / "mathematics.py"
DEADLINE_S, THREADS = 5.0, 16
GOLDS = ("42", "43", "44")  # a round each


def test_what_a_deadline_is_overrun_by(aims: Any) -> None:
    spec = importlib.util.spec_from_file_location("hostile_mathematics", HOSTILE)
    assert spec is not None and spec.loader is not None
    hostile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hostile)
    # Workers that are there: their start is no part of a deadline.
    assert grade_math(r"\boxed{\int_0^1 2x dx}", "1", timeout=60.0).status == "correct"
    overrun = []
    for gold in GOLDS:
        good = [(rf"\boxed{{{n}}}", str(n)) for n in range(40)]
        batch = good[:20] + [(text, gold) for text in hostile.RESPONSES.values()] + good[20:]
        began = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as threads:
            verdicts = list(threads.map(lambda one: grade_math(*one, timeout=DEADLINE_S), batch))
        overrun.append(time.perf_counter() - began - DEADLINE_S)
        assert sum(verdict.score for verdict in verdicts) == len(good)
        # Else the deadline was not needed, and nothing was measured.
        assert sum(verdict.status == "timeout" for verdict in verdicts) >= len(hostile.LATE)
    shown = {"what": "hostile mathematics", "responses": len(hostile.RESPONSES)}
    shown |= {"deadline_s": DEADLINE_S, "overrun_s": [round(x, 2) for x in overrun]}
    print("\nBENCH " + json.dumps(shown))
    what = f"a batch of hostile mathematics, over its deadline of {DEADLINE_S:g} s"
    aims.report(what, max(overrun), most=1, unit="s")
