"""The verdicts of the `code` reward, each status for its own cause."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from conf.errors import SandboxError
from rewards.code import grade
from rewards.code.grade import active_tier, grade_code, grade_code_async
from rewards.registry import load_reward
from rewards.sandbox import tiers
from rewards.sandbox.client import Sandbox
from rewards.sandbox.limits import Limits
from rewards.verdict import Verdict

HERE = [tier for tier in tiers.TIERS[:3] if not tiers.probe(tier, tiers.Setting())]
pytestmark = pytest.mark.skipif(not HERE, reason="this machine has no isolation tier")
DOUBLE = {"fn_name": "f", "inputs": [[1], [2], [3]], "outputs": [2, 4, 6]}
PRINT = {"inputs": ["1\n", "2\n"], "outputs": ["2\n", "4\n"]}


def judge(code: str, gold: Any, **options: Any) -> Verdict:
    return grade_code(
        f"So:\n```python\n{code}\n```", gold, **{"timeout_s": 5.0, "wall_s": 20.0, **options}
    )


@pytest.mark.parametrize(
    ("code", "gold"),
    [
        ("def f(x): return 2 * x", DOUBLE),
        ("class Solution:\n    def f(self, x: List[int]): return 2 * x", DOUBLE),
        ("print(2 * int(input()))", PRINT),
        ("def f(x): return 2 * x", {"test_list": ["assert f(1) == 2", "assert not f(0)"]}),
        ("def f(x): return 2 * x", json.dumps({"test_list": ["assert f(1) == 2"]})),
        ("def f(x): return 2 * x", "assert f(1) == 2"),
        ("def f(x): return {1: (x, x)}", {"test_list": ["assert f(1) == {1: (1, 1)}"]}),
        (
            "class N:\n    v = 3\ndef f(n): return n.v",
            {"test_list": ["assert f(n) == 3"], "test_setup_code": "n = N()"},
        ),
        (
            "def f(x): return x / 3",
            {
                "test_list": ["assert math.isclose(f(1), 1/3, rel_tol=1e-9)"],
                "test_imports": ["import math"],
            },
        ),
        ("def f(x): return [x]", {"fn_name": "f", "inputs": [[1]], "outputs": [[[1]]]}),
        ("def f(x): return x", {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[1], [2]]}),
    ],
)
def test_right_programs(code: str, gold: Any) -> None:
    verdict = judge(code, gold)
    assert (verdict.status, verdict.score, verdict.acc) == ("correct", 1.0, 1.0), verdict.detail
    assert verdict.components == {"tests_passed": 1.0}


@pytest.mark.parametrize(
    ("code", "gold", "status"),
    [
        ("def f(x): return x", DOUBLE, "wrong"),
        ("def f(x): return None", DOUBLE, "wrong"),
        ("def f(x:", DOUBLE, "wrong"),
        ("x = 1", DOUBLE, "wrong"),
        ("def f(x): return (2 * x, 0)[0] if x < 3 else 0", DOUBLE, "wrong"),
        ("print(2)", PRINT, "wrong"),
        ("print(2 * int(input()))\nraise SystemExit(1)", PRINT, "wrong"),
        ("def f(x): return (1, 2)", {"test_list": ["assert f(1) == [1, 2]"]}, "wrong"),
        ("def f(x):\n    while True: pass", DOUBLE, "timeout"),
        ("import time\ntime.sleep(99)", PRINT, "timeout"),
        ("while True: pass", {"test_list": ["assert f(1)"]}, "timeout"),
        ("def f(x):\n    while True: pass", {"test_list": ["assert f(1)"]}, "timeout"),
    ],
)
def test_wrong_programs(code: str, gold: Any, status: str) -> None:
    verdict = judge(code, gold, wall_s=0.5 if status == "timeout" else 20.0)
    assert (verdict.status, verdict.score, verdict.acc) == (status, 0.0, 0.0), verdict.detail


def test_no_program_is_unparseable_and_has_the_same_components() -> None:
    verdict = grade_code("I cannot.", DOUBLE)
    assert (verdict.status, verdict.score) == ("unparseable", 0.0)
    assert verdict.components == {"tests_passed": 0.0}


def test_a_fraction_counts_tests_and_goes_on_after_one_that_hangs() -> None:
    code = "def f(x):\n    while x == 2: pass\n    return 2 * x"
    verdict = judge(code, DOUBLE, score="fraction", timeout_s=1.0)
    assert verdict.score == pytest.approx(2 / 3)
    assert (verdict.acc, verdict.status) == (0.0, "wrong")
    assert "test 2 of 3: timeout" in verdict.detail


def test_max_tests() -> None:
    assert judge("def f(x): return 2", DOUBLE, max_tests=1).status == "correct"


@pytest.mark.parametrize("gold", ["", "42", {"inputs": []}, {"test_list": ["f(1)"]}, None])
def test_tests_that_cannot_be_read_are_a_gold_error(gold: Any) -> None:
    assert judge("def f(x): return x", gold).status == "gold_error"


def test_tests_that_their_own_reference_fails_are_a_gold_error() -> None:
    row = {"test_list": ["assert f(1) == 3"], "reference": "def f(x): return 2 * x"}
    verdict = judge("def f(x): return 2 * x", row)
    assert (verdict.status, "own reference fails" in verdict.detail) == ("gold_error", True)
    assert judge("def f(x): return 3", row).status == "correct"
    assert judge("def f(x): return 0", row, check_reference=False).status == "wrong"


def test_a_sound_reference_leaves_a_wrong_answer_wrong() -> None:
    row = {"test_list": ["assert f(1) == 2"], "reference": "def f(x): return 2 * x"}
    assert judge("def f(x): return 0", row).status == "wrong"


def test_a_test_that_hands_over_a_function_is_a_gold_error() -> None:
    row = {"test_list": ["g = len\nassert f(lambda x: x) == 1"]}
    assert judge("def f(g): return g(1)", row).status == "gold_error"


def test_outputs_of_a_reference() -> None:
    row = {"entry_point": "f", "inputs": [[1], [0.1]], "reference": "def f(x): return x * 3"}
    assert judge("def f(x): return x + x + x", row).status == "correct"
    assert judge("def f(x): return 3", row).status == "wrong"
    broken = {**row, "inputs": [["a"], [None]]}
    assert judge("def f(x): return x", broken).status == "gold_error"


class _Failing:
    tier = "namespaces"

    def __init__(self, failures: int) -> None:
        self.left = failures

    def session(self, *arguments: Any, **named: Any) -> Any:
        if self.left:
            self.left -= 1
            raise SandboxError("gone")
        return Sandbox().session(*arguments, **named)


@pytest.mark.parametrize(("failures", "status"), [(1, "correct"), (2, "verifier_error")])
def test_a_sandbox_that_fails_is_asked_once_more(
    failures: int, status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = _Failing(failures)
    monkeypatch.setattr(grade, "sandbox", lambda *a, **k: failing)
    assert judge("def f(x): return 2 * x", DOUBLE).status == status


def test_options_that_do_not_exist_are_refused() -> None:
    with pytest.raises(ValueError, match="score='most'"):
        judge("x", DOUBLE, score="most")
    with pytest.raises(ValueError, match="cpu_s"):
        judge("x", DOUBLE, timeout_s=0)


def test_the_registry_knows_it_and_the_tier_is_told() -> None:
    reward = load_reward("code", {"timeout_s": 2})
    assert reward.judge("```python\nprint(2 * int(input()))\n```", PRINT, {}).score == 1.0
    assert active_tier() == HERE[0]


def test_an_event_loop() -> None:
    async def many() -> list[Verdict]:
        answer = "```python\ndef f(x): return 2 * x\n```"
        return await asyncio.gather(*(grade_code_async(answer, DOUBLE) for _ in range(5)))

    assert [v.status for v in asyncio.run(many())] == ["correct"] * 5


class _Fusion(BaseHTTPRequestHandler):
    """SandboxFusion's `/run_code`, over our own sandbox."""

    box: Sandbox
    busy = 0
    bodies: list[str] = []  # noqa: RUF012 - one server, one test

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append(text.decode())
        if type(self).busy:
            type(self).busy -= 1
            self.send_response(503)
            self.end_headers()
            return
        body = json.loads(text)
        with self.box.session(body["code"], Limits(cpu_s=5, wall_s=body["run_timeout"])) as session:
            said = session.run(body["stdin"].encode())
        late = said.kind == "timeout"
        result = {
            "status": "TimeLimitExceeded" if late else "Finished",
            "return_code": None if late else said.status,
            "stdout": said.output.decode(),
            "stderr": said.error,
        }
        good = not late and said.status == 0
        reply = {"status": "Success" if good else "Failed", "run_result": result}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(reply).encode())

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def fusion() -> Iterator[str]:
    _Fusion.box, _Fusion.busy = Sandbox(slots=2), 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Fusion)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    _Fusion.box.close()


def test_a_remote_back_end_judges_alike_and_never_sees_what_is_expected(fusion: str) -> None:
    secret = {"fn_name": "f", "inputs": [[1]], "outputs": [987654321]}
    assert judge("def f(x): return 2 * x", DOUBLE, remote=fusion).status == "correct"
    assert judge("def f(x): return 987654321 * x", secret, remote=fusion).status == "correct"
    assert judge("def f(x): return 0", secret, remote=fusion).status == "wrong"
    assert judge("print(2 * int(input()))", PRINT, remote=fusion).status == "correct"
    late = judge("while True: pass", PRINT, remote=fusion, wall_s=0.5)
    assert late.status == "timeout"
    asked = [b for b in _Fusion.bodies if "987654321 *" not in b]
    assert not any("987654321" in body for body in asked)
    assert active_tier(remote=fusion) == "remote"


def test_a_remote_back_end_that_is_busy_is_asked_again_and_a_dead_one_is_an_error(
    fusion: str,
) -> None:
    _Fusion.busy = 1
    assert judge("def f(x): return 2 * x", DOUBLE, remote=fusion, max_tests=1).status == "correct"
    assert judge("def f(x): return 1", "assert not f(1) == 2", remote=fusion).status == (
        "verifier_error"
    )


def test_a_fraction_of_tests_that_cannot_be_split() -> None:
    tests = [f"assert abs(f({n}) - {n}) < {n % 2}" for n in range(1, 9)]  # even ones must fail
    verdict = judge("def f(x): return x", {"test_list": tests}, score="fraction")
    assert verdict.score == 0.5
