"""The progress line: its numbers, and how often it is written."""

from __future__ import annotations

import io

from eval.generation.progress import Progress


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_rate_and_time_left_count_generation_of_this_attempt() -> None:
    progress = Progress("after", 500, 100, io.StringIO(), _Clock())
    assert progress.line() == "after: 100/500 items"
    for _ in range(100):
        progress.add(tokens=20, seconds=0.1)
    assert progress.line() == "after: 200/500 items, 200 tok/s, 30 s left"
    for _ in range(300):
        progress.add(tokens=20, seconds=0.1)
    assert progress.line() == "after: 500/500 items, 200 tok/s"


def test_a_log_gets_a_line_every_few_seconds_and_the_end() -> None:
    stream, clock = io.StringIO(), _Clock()
    progress = Progress("a", 12, 0, stream, clock)
    clock.now = 60.0  # the engine started
    for _ in range(12):
        clock.now += 1.0
        progress.add(1, 1.0)
    progress.close()
    assert [line.split()[1] for line in stream.getvalue().splitlines()] == [
        "6/12",
        "11/12",
        "12/12",
    ]


def test_a_terminal_gets_one_line_that_is_rewritten() -> None:
    stream, clock = _Terminal(), _Clock()
    progress = Progress("a", 2, 0, stream, clock)
    for _ in range(2):
        clock.now += 1.0
        progress.add(1, 1.0)
    progress.close()
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().count("\r\033[K") == 2
