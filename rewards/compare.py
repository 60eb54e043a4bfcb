"""`python -m rewards.compare BATTERY.jsonl`: our grader of mathematics beside its peers.

In: a file of labelled pairs, a JSON object a line with `response`, `gold`, `label` (true where a
mathematician accepts the response) and, where there is one, `convention`. Out: a table with each
grader's false positives, false negatives, pairs without a verdict, grades a second and latency.
Every grader runs in a child of its own with a limit for each pair; one that is not installed is
said to be so. Names no grader the best: the numbers do. Read the file before you compare with
verl_prime_math, which passes its text through `eval`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from conf.errors import DataError, RewardError, boundary
from rewards.peers import GRADERS

ROOT: Final = Path(__file__).resolve().parent.parent
DEADLINE_S: Final = 20.0  # a pair; math-verify's own limits add up to about 10
START_S: Final = 120.0  # verl's package imports torch first
# The data source by which a row's convention is known to a grader.
SOURCES: Final[Mapping[str, str]] = {
    "gsm8k": "openai/gsm8k",
    "math": "DigitalLearningGmbH/MATH-lighteval",
    "dapo": "math_dapo",
    "plain": "plain",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """A response with what is known of it.

    Attributes:
        id: its name in the battery.
        response: the model's text.
        gold: the row's answer.
        label: whether a mathematician accepts the response.
        row: the row's other fields, for graders that read them.
    """

    id: str
    response: str
    gold: str
    label: bool
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one grader said of one pair.

    Attributes:
        pair: the pair.
        right: its verdict; None when there was none.
        seconds: what the verdict took inside the child; the limit where it ran out.
        said: why there was no verdict.
    """

    pair: Pair
    right: bool | None
    seconds: float
    said: str = ""


@dataclass(frozen=True, slots=True)
class Tally:
    """One line of the table.

    Attributes:
        name: the grader.
        outcomes: one for each pair; none when it is missing.
        missing: why the grader could not be run, "" when it was.
    """

    name: str
    outcomes: Sequence[Outcome] = ()
    missing: str = ""

    def false_positives(self) -> list[Outcome]:
        """Wrong answers that were accepted."""
        return [o for o in self.outcomes if o.right is True and not o.pair.label]

    def false_negatives(self) -> list[Outcome]:
        """Right answers that were not; no verdict counts, since it pays nothing either."""
        return [o for o in self.outcomes if o.right is not True and o.pair.label]

    def no_verdicts(self) -> list[Outcome]:
        """Pairs on which the grader failed or ran out of time."""
        return [o for o in self.outcomes if o.right is None]

    def per_second(self) -> float:
        """Grades a second, one after the other."""
        return len(self.outcomes) / max(sum(o.seconds for o in self.outcomes), 1e-9)

    def quantile_ms(self, share: float) -> float:
        """The latency that a share of the pairs stayed within, in ms (nearest rank)."""
        ordered = sorted(o.seconds for o in self.outcomes)
        rank = max(0, min(len(ordered) - 1, -(-int(share * 1000) * len(ordered) // 1000) - 1))
        return 1000 * ordered[rank]


def read_battery(path: Path) -> list[Pair]:
    """The labelled pairs of a file.

    Raises:
        DataError: no such file, or a line is no labelled pair.
    """
    if not path.is_file():
        raise DataError(f"no battery at {path}", fix="give a file of labelled pairs")
    pairs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            if not isinstance(row["label"], bool):
                raise ValueError(f"label is {row['label']!r}")
            source = SOURCES[row.get("convention", "plain")]
            name = str(row.get("id", number))
            pairs.append(
                Pair(name, row["response"], row["gold"], row["label"], {"data_source": source})
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}:{number} is no labelled pair: {type(error).__name__}: {error}",
                fix='give {"response": …, "gold": …, "label": true|false} on each line',
            ) from error
    if not pairs:
        raise DataError(f"{path} holds no pair", fix="give a file of labelled pairs")
    return pairs


class _Child:
    """A grader's process; a pair that runs out of time costs it its life."""

    def __init__(self, command: Sequence[str], folder: str) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # its pools die with it
        )
        self._unread = b""  # answers come over a pipe in pieces
        hello = self._line(START_S)
        self.missing = "" if hello is None else str(hello.get("missing", ""))
        if hello is None:
            self.missing = f"did not start within {START_S:g} s"

    def _line(self, seconds: float) -> dict[str, Any] | None:
        """The next answer; None when it did not come in time or the child is gone."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([pipe], [], [], seconds)
            found = os.read(pipe, 1 << 16) if ready else b""
            if not found:
                return None
            self._unread += found
        line, self._unread = self._unread.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, pair: Pair, deadline: float) -> dict[str, Any] | None:
        """Its answer to a pair, None when there was none in time."""
        assert self._process.stdin is not None
        asked = {"response": pair.response, "gold": pair.gold, "row": dict(pair.row)}
        try:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._line(deadline)

    def close(self) -> None:
        """End it and everything that it started."""
        with contextlib.suppress(ProcessLookupError):  # it is gone already
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # what it did not read is lost with it
                if pipe is not None:
                    pipe.close()
        self._process.wait()


def tally(
    name: str,
    pairs: Iterable[Pair],
    deadline: float = DEADLINE_S,
    program: Sequence[str] = (sys.executable, "-m", "rewards.peers"),
) -> Tally:
    """Let one grader judge all pairs, one after the other.

    Args:
        name: one of `rewards.peers.GRADERS`.
        pairs: what it judges.
        deadline: seconds that it has for a pair, counted here.
        program: what answers as `rewards.peers` does, called with the name.
    """
    command = [*program, name]
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        child = _Child(command, folder)
        try:
            if child.missing:
                return Tally(name, missing=child.missing)
            for pair in pairs:
                answer = child.ask(pair, deadline)
                if answer is not None:
                    outcomes.append(
                        Outcome(pair, answer["right"], answer["seconds"], answer["said"])
                    )
                    continue
                child.close()
                outcomes.append(Outcome(pair, None, deadline, f"none within {deadline:g} s"))
                child = _Child(command, folder)
        finally:
            child.close()
    return Tally(name, outcomes)


def table(tallies: Sequence[Tally]) -> Iterator[str]:
    """The lines of the comparison."""
    head = ("grader", "pairs", "false +", "false -", "no verdict", "grades/s", "p50 ms", "p99 ms")
    form = "{:<17} {:>6} {:>8} {:>8} {:>11} {:>10} {:>9} {:>9}"
    yield form.format(*head)
    for one in tallies:
        if one.missing:
            yield f"{one.name:<17} not run: {one.missing}"
            continue
        yield form.format(
            one.name,
            len(one.outcomes),
            len(one.false_positives()),
            len(one.false_negatives()),
            len(one.no_verdicts()),
            f"{one.per_second():.0f}",
            f"{one.quantile_ms(0.5):.3f}",
            f"{one.quantile_ms(0.99):.3f}",
        )


def _shown(one: Tally) -> Iterator[str]:
    """The pairs on which a grader and the label disagree."""
    for title, found in (
        ("false positive", one.false_positives()),
        ("false negative", one.false_negatives()),
    ):
        for o in found:
            tail = o.pair.response[-90:]
            said = f" ({o.said})" if o.said else ""
            yield f"{one.name} {title} {o.pair.id}: gold {o.pair.gold!r}, got …{tail!r}{said}"


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m rewards.compare", description=__doc__)
    parser.add_argument("battery", type=Path, nargs="+", help="files of labelled pairs, JSONL")
    parser.add_argument("--graders", default=",".join(GRADERS), help="which, in order")
    parser.add_argument("--deadline", type=float, default=DEADLINE_S, help="seconds a pair")
    parser.add_argument("--show", default="", help="graders whose wrong verdicts are listed")
    parser.add_argument("--debug", action="store_true", help="tracebacks")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> None:
    """Read, run one grader after the other, print."""
    given = _arguments(words)
    with boundary(debug=given.debug):
        named, shown = given.graders.split(","), set(filter(None, given.show.split(",")))
        unknown = [name for name in [*named, *sorted(shown)] if name not in GRADERS]
        if unknown:
            raise RewardError(
                f"no grader {unknown[0]!r} to compare with", fix=f"there is: {', '.join(GRADERS)}"
            )
        pairs = [pair for path in given.battery for pair in read_battery(path)]
        wrong = sum(not pair.label for pair in pairs)
        print(f"{len(pairs)} pairs, {len(pairs) - wrong} right and {wrong} wrong answers")
        tallies = [tally(name, pairs, given.deadline) for name in named]
        print("\n".join(table(tallies)))
        for one in tallies:
            if one.name in shown:
                print("\n".join(_shown(one)))


if __name__ == "__main__":
    main()
