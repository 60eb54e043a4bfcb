"""The `code` reward: does the response's program pass the row's tests?

In: a response and the row's tests. Out: a `Verdict`: `correct` or `wrong`, `unparseable` without a
program, `timeout` when the program passed its limits, `gold_error` when the tests cannot be read or
the row's own reference fails them, `verifier_error` when the sandbox failed twice. Safe in threads;
programs run at once are bounded by the sandbox's slots. Only the sandbox runs model code.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, Final, Literal

from conf.errors import SandboxError
from rewards.breaker import LEDGER
from rewards.code.compare import MODES, Mode
from rewards.code.extract import extract_code
from rewards.code.run import Backend, Plan, Result, reference_values, run_suite
from rewards.code.suite import Suite, read_suite
from rewards.sandbox.client import Sandbox
from rewards.sandbox.limits import MIB, Limits
from rewards.sandbox.remote import RemoteSandbox
from rewards.verdict import Verdict, gold_error, unparseable, verifier_error

Score = Literal["binary", "fraction"]
SHARE: Final = "tests_passed"
_WHERE: Final = frozenset({"tier", "allow_unsafe", "slots", "packages", "remote"})
_lock = threading.Lock()
_sandboxes: dict[tuple[Any, ...], Sandbox | RemoteSandbox] = {}


def sandbox(
    tier: str = "auto",
    allow_unsafe: bool = False,
    slots: int | None = None,
    packages: Sequence[str] = (),
    remote: str = "",
) -> Sandbox | RemoteSandbox:
    """This process's sandbox for these options; made once."""
    key = (tier, allow_unsafe, slots, tuple(packages), remote)
    with _lock:
        if key not in _sandboxes:
            _sandboxes[key] = (
                RemoteSandbox(remote, slots=slots)
                if remote
                else Sandbox(
                    tier=tier, allow_unsafe=allow_unsafe, slots=slots, packages=tuple(packages)
                )
            )
        return _sandboxes[key]


def active_tier(**options: Any) -> str:
    """The isolation in use, for logs and metrics: a name of `tiers.TIERS`, or `remote`.

    Raises:
        SandboxError: this machine has none, and `allow_unsafe` is not set.
    """
    return sandbox(**options).tier


def grade_code(
    response: str,
    gold: Any,
    *,
    score: Score = "binary",
    compare: Mode = "lines",
    atol: float | None = None,
    timeout_s: float = 6.0,
    wall_s: float | None = None,
    total_s: float = 60.0,
    memory_mb: int = 1024,
    output_mb: float = 8.0,
    max_tests: int | None = None,
    require_fence: bool = True,
    check_reference: bool = True,
    tier: str = "auto",
    allow_unsafe: bool = False,
    slots: int | None = None,
    packages: Sequence[str] = (),
    remote: str = "",
) -> Verdict:
    """Judge one response.

    Args:
        response: the model's text.
        gold: the row's tests; shapes in `suite`.
        score: `binary`: all tests or nothing, ending at the first failure; `fraction`: the share
            of tests that pass.
        compare: how standard output is compared: `lines`, `tokens` or `exact`.
        atol: tolerance of numbers; None: exact for text, 1e-6 for floats that a call returns.
        timeout_s: CPU seconds of one test.
        wall_s: wall seconds of one test; None is twice `timeout_s`.
        total_s: wall seconds of all tests of the response.
        memory_mb: address space of the program.
        output_mb: most output of one test.
        max_tests: run the first so many tests only.
        require_fence: False also takes a response that is nothing but code.
        check_reference: when a response fails, make sure once per row that the row's reference
            solution passes; if not, the row is to blame.
        tier: isolation tier; `auto` is the strongest there is.
        allow_unsafe: run even without isolation from the host's files.
        slots: programs at once on this machine; None is one for each core.
        packages: folders that programs may import from.
        remote: URL of a server that speaks SandboxFusion's protocol, instead of the local sandbox.

    Raises:
        ValueError: an option has a value that does not exist.
        SandboxError: this machine has no isolation.
    """
    if score not in ("binary", "fraction") or compare not in MODES:
        raise ValueError(f"score={score!r} (binary, fraction), compare={compare!r} (of {MODES})")
    try:
        suite = _suite(gold if isinstance(gold, str) else _canonical(gold))
    except (ValueError, RecursionError) as error:
        return gold_error(str(error))
    if max_tests is not None:
        suite = replace(suite, cases=suite.cases[:max_tests], tests=suite.tests[:max_tests])
    code = extract_code(response, suite.names, require_fence=require_fence)
    if code is None:
        none = unparseable("no fenced Python program")
        return replace(none, components={SHARE: 0.0})
    limits = Limits(
        cpu_s=timeout_s,
        wall_s=wall_s or 2 * timeout_s,
        total_s=total_s,
        memory_bytes=memory_mb * MIB,
        output_bytes=int(output_mb * MIB),
    )
    backend = sandbox(tier, allow_unsafe, slots, packages, remote)
    # A machine without isolation is refused here, not retried.
    LEDGER.state(f"sandbox/{backend.tier}")
    plan = Plan(limits, score == "binary", compare, atol)
    said = "the sandbox was not asked"
    for _ in range(2):
        try:
            return _judge(suite, code, backend, plan, check_reference)
        except SandboxError as error:
            said = str(error)
    return verifier_error(said)


async def grade_code_async(response: str, gold: Any, **options: Any) -> Verdict:
    """`grade_code` for an event loop; as many at once as there are slots, the others wait."""
    where = {k: v for k, v in options.items() if k in _WHERE}
    box = sandbox(**where)
    work = partial(grade_code, response, gold, **options)
    if isinstance(box, RemoteSandbox):
        return await asyncio.to_thread(work)
    return await box.in_thread(work)


def _judge(suite: Suite, code: str, backend: Backend, plan: Plan, check_reference: bool) -> Verdict:
    try:
        expected = _outputs(suite, backend, plan) if suite.outputs_from_reference else None
    except ValueError as error:
        return gold_error(str(error))
    results = run_suite(suite, code, backend, plan, expected)
    fault = next((r.why for r in results if r.kind == "fault"), "")
    if fault:
        return gold_error(fault)
    verdict = _verdict(results, suite.size, code, binary=plan.early_stop)
    if verdict.status != "correct" and check_reference and suite.reference:
        if suite.outputs_from_reference:
            return verdict
        reason = _reference_fault(suite, backend, replace(plan, early_stop=True))
        if reason:
            return gold_error(reason)
    return verdict


def _verdict(results: list[Result], size: int, code: str, *, binary: bool) -> Verdict:
    passed = sum(result.passed for result in results)
    share = passed / size
    pred = hashlib.sha256(code.encode(errors="replace")).hexdigest()[:16]
    parts = {SHARE: share}
    if passed == size:
        return Verdict(1.0, 1.0, "correct", pred, parts, f"{size} tests")
    at, first = next((i, r) for i, r in enumerate(results, 1) if not r.passed)
    detail = f"test {at} of {size}: {first.kind}: {first.why}"
    score = 0.0 if binary else share
    late = first.kind == "timeout" and score == 0.0
    return Verdict(score, 0.0, "timeout" if late else "wrong", pred, parts, detail)


def _canonical(gold: Any) -> str:
    """A gold that is no text, as JSON: the key under which its suite is kept."""
    try:
        return json.dumps(gold, default=_jsonable)
    except (TypeError, ValueError) as error:
        raise ValueError(f"gold is not plain data: {error}") from None


def _jsonable(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "items"):
        return dict(value.items())
    raise TypeError(type(value).__name__)


@lru_cache(maxsize=512)
def _suite(gold: str) -> Suite:
    return read_suite(gold)


_references: dict[str, Any] = {}
_MOST_REFERENCES: Final = 4096


def _once(kind: str, suite: Suite, plan: Plan, make: Any) -> Any:
    """What was found out of a row's reference, once for each row and limits."""
    key = hashlib.sha256(repr((kind, suite, plan)).encode(errors="replace")).hexdigest()
    if key not in _references:
        found = make()
        with _lock:
            if len(_references) >= _MOST_REFERENCES:
                _references.pop(next(iter(_references)))
            _references[key] = found
        return found
    return _references[key]


def _outputs(suite: Suite, backend: Backend, plan: Plan) -> list[Any]:
    values: list[Any] = _once(
        "outputs", suite, plan, lambda: reference_values(suite, backend, plan.limits)
    )
    return values


def _reference_fault(suite: Suite, backend: Backend, plan: Plan) -> str:
    def look() -> str:
        results = run_suite(suite, suite.reference, backend, plan)
        failed = next((r for r in results if not r.passed), None)
        return f"the row's own reference fails: {failed.why}" if failed else ""

    reason: str = _once("fault", suite, plan, look)
    return reason
