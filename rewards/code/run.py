"""Run a suite's tests on a program: drive the sandbox, compare what comes back.

In: a suite, a program, a back end, options. Out: one `Result` for each test that was run. The
expected values stay in this process; only the tests that cannot be split go to a process of their
own in the sandbox, made after the program's. No verdict is made here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from rewards.code.asserts import Direct, General
from rewards.code.compare import Mode, same_output, same_value
from rewards.code.suite import Suite
from rewards.sandbox.client import Outcome
from rewards.sandbox.limits import Limits

FLOAT_ATOL = 1e-6
MAX_RESTARTS = 3


class SessionLike(Protocol):
    """What the local sandbox and a remote back end both offer."""

    def run(self, stdin: bytes) -> Outcome:
        """Run the program on one input."""

    def start(self) -> Outcome:
        """Start the program for calls."""

    def call(self, name: str, arguments: list[Any]) -> Outcome:
        """Call a function."""

    def evaluate(self, expression: str) -> Outcome:
        """Evaluate an expression."""

    def execute(self, source: str) -> Outcome:
        """Run set-up source."""

    def check(self, test: str, trusted: list[str], remote: list[str]) -> Outcome:
        """Run a test from another process."""


class Backend(Protocol):
    """Opens sessions."""

    @property
    def tier(self) -> str:
        """The isolation in use."""

    def session(
        self, source: str, limits: Limits, tests: int = 1
    ) -> AbstractContextManager[SessionLike]:
        """Open one."""


@dataclass(frozen=True, slots=True)
class Result:
    """One test.

    Attributes:
        kind: `passed`, `failed`, `timeout`, or `fault` when the test is to blame.
        why: one line.
        ended: the program's process has gone.
    """

    kind: str
    why: str = ""
    ended: bool = False

    @property
    def passed(self) -> bool:
        """Whether the program did what it should."""
        return self.kind == "passed"


PASSED = Result("passed")


@dataclass(frozen=True, slots=True)
class Plan:
    """How to run.

    Attributes:
        limits: of each test.
        early_stop: end at the first test that does not pass.
        mode: see `compare.same_output`.
        atol: tolerance; None: none for text, 1e-6 for floats.
    """

    limits: Limits
    early_stop: bool
    mode: Mode = "lines"
    atol: float | None = None


def _failure(outcome: Outcome) -> Result:
    """Why there is no value to compare."""
    if outcome.kind == "timeout":
        return Result("timeout", "past its time limit", ended=True)
    if outcome.kind == "overflow":
        return Result("failed", "wrote more than allowed", ended=True)
    last = outcome.error.strip().splitlines()[-1:] or [f"ended with status {outcome.status}"]
    return Result("failed", last[0][:200], ended=outcome.kind == "died")


def _stdin(suite: Suite, program: str, backend: Backend, plan: Plan) -> Iterator[Result]:
    atol = plan.atol or 0.0
    with backend.session(program, plan.limits, suite.size) as session:
        for case in suite.cases:
            outcome = session.run(case.given.encode(errors="replace"))
            if outcome.kind != "exit" or outcome.status:
                yield _failure(outcome)
            elif same_output(outcome.output, case.expected, plan.mode, atol):
                yield PASSED
            else:
                yield Result("failed", "wrong output")


Step = Callable[[SessionLike], Result]


def _steps(
    steps: list[Step], suite: Suite, program: str, backend: Backend, plan: Plan
) -> Iterator[Result]:
    """Tests that share one loaded program, in a new session after one that broke it."""
    done, until = 0, time.monotonic() + plan.limits.total_s
    for attempt in range(MAX_RESTARTS):
        if done == len(steps):
            return
        left = max(0.01, until - time.monotonic())
        limits = replace(plan.limits, total_s=left)
        with backend.session(program, limits, suite.size) as session:
            loaded = session.start()
            for source in (suite.imports, suite.setup):
                if loaded.kind == "value" and source:
                    loaded = session.execute(source)
            if loaded.kind != "value":
                failed = _failure(loaded)
                for _ in steps[done:]:
                    yield failed
                return
            while done < len(steps):
                result = steps[done](session)
                done += 1
                yield result
                if result.ended:
                    break
        if attempt == MAX_RESTARTS - 1:
            for _ in steps[done:]:
                yield Result("failed", "not run: earlier tests ended the program")
            return


def _compared(value: Any, same: Callable[[Any], bool]) -> Result:
    """A value that the program gave, compared; some values cannot even be compared or shown."""
    try:
        if same(value):
            return PASSED
        return Result("failed", f"wrong value {value!r:.80}")
    except (ArithmeticError, ValueError, TypeError, RecursionError) as error:
        return Result("failed", f"wrong value, {type(value).__name__} ({type(error).__name__})")


def _call_step(suite: Suite, given: list[Any], expected: Any, atol: float) -> Step:
    def step(session: SessionLike) -> Result:
        outcome = session.call(suite.entry, given)
        if outcome.kind != "value":
            return _failure(outcome)
        accepted = [expected, *(expected if suite.wrapped else ())]
        return _compared(
            outcome.value, lambda value: any(same_value(value, w, atol) for w in accepted)
        )

    return step


def _direct_step(test: Direct) -> Step:
    def step(session: SessionLike) -> Result:
        outcome = session.evaluate(test.expression)
        if outcome.kind != "value":
            return _failure(outcome)
        # Python's `==`, as the assert has it: True equals 1, a tuple does not equal a list.
        return _compared(outcome.value, lambda value: bool(value == test.expected))

    return step


def _general_step(suite: Suite, test: General) -> Step:
    trusted = [source for source in (suite.prompt, suite.imports, suite.setup) if source]
    remote = [suite.entry] if suite.entry else []

    def step(session: SessionLike) -> Result:
        outcome = session.check(test.source, trusted, remote)
        if outcome.kind != "checked":
            return _failure(outcome)
        if outcome.fault:
            return Result("fault", outcome.error)
        return PASSED if outcome.passed else Result("failed", outcome.error[:200])

    return step


def reference_values(suite: Suite, backend: Backend, limits: Limits) -> list[Any]:
    """What the reference returns for each input.

    Raises:
        ValueError: it does not load, fails or returns something that is not plain.
    """
    values = []
    with backend.session(suite.program(suite.reference), limits, suite.size) as session:
        loaded = session.start()
        if loaded.kind != "value":
            raise ValueError(f"the reference does not load: {_failure(loaded).why}")
        for case in suite.cases:
            outcome = session.call(suite.entry, case.given)
            if outcome.kind != "value":
                raise ValueError(f"the reference fails on an input: {_failure(outcome).why}")
            values.append(outcome.value)
    return values


def run_suite(
    suite: Suite, code: str, backend: Backend, plan: Plan, expected: list[Any] | None = None
) -> list[Result]:
    """Run the tests.

    Args:
        suite: the row's.
        code: the response's program.
        backend: where to run it.
        plan: limits and how to compare.
        expected: outputs that a reference gave, for a suite without its own.

    Returns:
        A result for each test, up to the first that did not pass with `early_stop`.
    """
    program = suite.program(code)
    if suite.kind == "stdin":
        running = _stdin(suite, program, backend, plan)
    else:
        steps = _suite_steps(suite, plan, expected)
        running = _steps(steps, suite, program, backend, plan)
    results: list[Result] = []
    try:
        for result in running:
            results.append(result)
            if plan.early_stop and not result.passed:
                break
    finally:
        running.close()  # type: ignore[attr-defined]
    return results


def _suite_steps(suite: Suite, plan: Plan, expected: list[Any] | None) -> list[Step]:
    if suite.kind == "calls":
        atol = next((a for a in (plan.atol, suite.atol) if a), FLOAT_ATOL)
        values = expected if expected is not None else [case.expected for case in suite.cases]
        return [
            _call_step(suite, case.given, value, atol)
            for case, value in zip(suite.cases, values, strict=True)
        ]
    return [
        _direct_step(test) if isinstance(test, Direct) else _general_step(suite, test)
        for test in suite.tests
    ]
