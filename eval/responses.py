"""One task's records: what is recorded already is used, what is missing is generated and graded.

In: a `Job` (items, sampling, grader, model) and a records file; a back end that is asked for only
when something is missing. Out: records in the items' order. Grading goes on beside generating, and
a record is written as soon as its response is graded: a kill loses what is being generated and at
most one batch that waits for its grader. Which model and which tasks is `eval.evaluate`'s matter.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

from conf.errors import EvaluationError
from eval.generation.backend import (
    Backend,
    Generation,
    Plan,
    Prompt,
    Request,
    Sampling,
    open_backend,
)
from eval.generation.progress import Progress
from eval.items import Item
from eval.records import Record, RecordFile, read_records, record_key
from eval.score import grade
from rewards.registry import Reward

GRADERS = max(os.cpu_count() or 1, 4)  # threads; a sandboxed program bounds itself by its slots
PART = "\n\n"  # between the turns of a prompt that is plain text


@dataclass(frozen=True, slots=True)
class Job:
    """One task for one model.

    Attributes:
        task: its name; None: that of each item's `data_source`.
        label: the model's.
        fingerprint: the model's.
        items: the questions.
        sampling: how responses are drawn; its seed is the evaluation's, each response has its own.
        identity: what else decides a response (data type, options of the chat template).
        samples: responses to each question.
        text: as plain text instead of a chat.
        reward: the grader.
        graded_by: its name and options.
        batch: most responses that wait for their grader.
    """

    task: str | None
    label: str
    fingerprint: str
    items: Sequence[Item]
    sampling: Sampling
    identity: Mapping[str, Any]
    samples: int
    text: bool
    reward: Reward
    graded_by: Mapping[str, Any]
    batch: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One response that the task asks for: its key, its request, and whose it is."""

    key: str
    item: Item
    sample: int
    request: Request
    sampling: Mapping[str, Any]


def slots(job: Job, items: Sequence[Item]) -> list[Slot]:
    """What is asked for these items, all samples of an item together."""
    found = []
    for item in items:
        prompt: Prompt = item.prompt
        if job.text:
            prompt = PART.join(turn["content"] for turn in item.prompt)
        room = _room(job, item)
        for sample in range(job.samples):
            how = job.sampling
            if how.temperature > 0:
                how = replace(how, seed=seed_of(how.seed or 0, item.index, sample))
            else:
                how = replace(how, seed=None)
            told = {**_shown(how), **job.identity}
            key = record_key(job.fingerprint, prompt, told, item.index, sample)
            found.append(Slot(key, item, sample, Request(prompt, how, room), told))
    return found


def _shown(how: Sampling) -> dict[str, Any]:
    """The sampling as a record has it; what is at its default decides nothing and is left out."""
    told: dict[str, Any] = {"temperature": how.temperature, "max_tokens": how.max_tokens}
    if how.top_p != 1.0:
        told["top_p"] = how.top_p
    if how.top_k != -1:
        told["top_k"] = how.top_k
    if how.stop:
        told["stop"] = list(how.stop)
    if how.seed is not None:
        told["seed"] = how.seed
    return told


def seed_of(seed: int, *parts: object) -> int:
    """A seed for one response, the same for the same response, another for any other."""
    text = "\0".join(map(str, (seed, *parts)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def _room(job: Job, item: Item) -> int:
    """Tokens that the turns after an item's own may take, at most: a character is one at least."""
    later = (item.turns or ())[_turn(item) + 1 :]
    return sum(len(text) + 64 + job.sampling.max_tokens for text in later)


def _turn(item: Item) -> int:
    """Which turn of its conversation an item asks, from 0."""
    if item.turns is None:
        return 0
    return sum(turn["role"] == "user" for turn in item.prompt) - 1


def next_turn(item: Item, response: str) -> Item | None:
    """The item that asks the next turn, after a response to this one; None after the last.

    The turns of one item have `index`, `index + 1`, …: its own index leaves room for them.
    """
    at = _turn(item) + 1
    if item.turns is None or at >= len(item.turns):
        return None
    said = [
        {"role": "assistant", "content": response},
        {"role": "user", "content": item.turns[at]},
    ]
    base = item.id.rsplit("#", 1)[0]
    return replace(
        item,
        index=item.index + 1,
        id=f"{base}#{at + 1}",
        prompt=[*item.prompt, *said],
        ground_truth=item.golds[at] if item.golds else item.ground_truth,
    )


class Pending:
    """A task whose records file is open, and what it still asks for.

    Use as a context manager; the file is this process's alone meanwhile.
    """

    def __init__(self, job: Job, path: Path, stream: TextIO) -> None:
        self.job, self.stream = job, stream
        known = {record.get("key"): record for record in read_records(path)}
        rounds = [slots(job, job.items)]
        while following := _following(job, rounds[-1], known):
            rounds.append(following)
        wanted = [slot.key for one in rounds for slot in one]
        self.file = RecordFile(path, wanted)
        self.first = rounds[0]
        if self.file.moved_to is not None:
            stream.write(f"{self.name}: records of something else moved to {self.file.moved_to}\n")

    @property
    def name(self) -> str:
        """What progress calls it."""
        job = self.job
        return job.label if job.task is None else f"{job.label} {job.task}"

    @property
    def open_slots(self) -> list[Slot]:
        """What is not recorded yet, of all turns whose prompts are known."""
        found: list[Slot] = []
        current = self.first
        while current:
            found += [slot for slot in current if slot.key not in self.file.kept]
            current = _following(self.job, current, self.file.kept)
        return found

    def complete(self, backend: Callable[[], Backend]) -> list[Record]:
        """All records, in the items' order; those of an older grader are graded anew.

        Args:
            backend: gives the back end; called only when something is missing.

        Raises:
            EvaluationError: the back end failed; what it finished is recorded.
        """
        current, ordered, items = self.first, [], []
        while current:
            missing = [slot for slot in current if slot.key not in self.file.kept]
            if missing:
                self._generate(missing, len(current), backend)
            ordered += [self.file.kept[slot.key] for slot in current]
            items += [slot.item for slot in current]
            current = _following(self.job, current, self.file.kept)
        if self.job.items[0].turns is not None:
            both = sorted(zip(ordered, items, strict=True), key=lambda pair: pair[0]["index"])
            ordered, items = [pair[0] for pair in both], [pair[1] for pair in both]
        graded_by = dict(self.job.graded_by)
        if any(record["reward"] != graded_by for record in ordered):
            ordered = regraded(ordered, items, self.job.reward, graded_by)
            self.file.replace(ordered)
        return ordered

    def _generate(
        self, missing: Sequence[Slot], total: int, backend: Callable[[], Backend]
    ) -> None:
        progress = Progress(self.name, total, total - len(missing), self.stream)
        progress.say(f"{len(missing)} of {total} items to generate")
        requests = [slot.request for slot in missing]
        with ThreadPoolExecutor(GRADERS) as pool:
            waiting: deque[Future[Record]] = deque()
            try:
                for one in backend().generate(requests):
                    waiting.append(pool.submit(self._record, missing[one.position], one))
                    while waiting and (waiting[0].done() or len(waiting) > self.job.batch):
                        self._write(waiting.popleft().result())
                    progress.add(one.tokens, one.seconds)
            finally:
                while waiting:  # also after an error: they are generated, and paid for
                    self._write(waiting.popleft().result())
        progress.close()
        lost = [slot for slot in missing if slot.key not in self.file.kept]
        if lost:
            raise EvaluationError(
                f"{self.name}: {len(lost)} of {len(missing)} requests got no response",
                "run the same command again",
            )

    def _record(self, slot: Slot, one: Generation) -> Record:
        item = slot.item
        told: Record = {
            "key": slot.key,
            "task": self.job.task or item.data_source,
            "label": self.job.label,
            "index": item.index,
            "id": item.id,
            "sample": slot.sample,
            "data_source": item.data_source,
            "prompt": slot.request.prompt,
            "ground_truth": item.ground_truth,
            "response": one.response,
            "tokens": one.tokens,
            "prompt_tokens": one.prompt_tokens,
            "finish_reason": one.finish_reason,
            "seconds": one.seconds,
            "latency": one.latency,
            "sampling": dict(slot.sampling),
            "stratum": item.stratum,
            "cluster": item.cluster,
            "extra": dict(item.extra),
            "reward": dict(self.job.graded_by),
        }
        return {**told, "verdict": grade(item, one.response, self.job.reward)}

    def _write(self, record: Record) -> None:
        self.file.append(record)
        self.file.kept[record["key"]] = record

    def __enter__(self) -> Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.__exit__()


def complete(pending: Sequence[Pending], plan: Plan) -> list[list[Record]]:
    """The records of each task; the back end is opened when one asks, and once for all of them.

    Raises:
        EvaluationError: the back end does not start, or failed; what it finished is recorded.
    """
    with ExitStack() as stack:
        opened: list[Backend] = []

        def backend() -> Backend:
            if not opened:
                first = [slot.request for one in pending for slot in one.open_slots]
                opened.append(stack.enter_context(open_backend(plan, first)))
            return opened[0]

        return [one.complete(backend) for one in pending]


def _following(job: Job, current: Sequence[Slot], known: Mapping[Any, Record]) -> list[Slot]:
    """The next turns of the slots whose responses are known."""
    if not current or current[0].item.turns is None:
        return []
    items: Iterator[Item | None] = (
        next_turn(slot.item, known[slot.key]["response"]) for slot in current if slot.key in known
    )
    return slots(job, [item for item in items if item is not None])


def regraded(
    records: Sequence[Record], items: Sequence[Item], reward: Reward, graded_by: Mapping[str, Any]
) -> list[Record]:
    """The records, those that another grader graded graded anew, in threads."""

    def one(pair: tuple[Record, Item]) -> Record:
        record, item = pair
        if record["reward"] == graded_by:
            return record
        verdict = grade(item, record["response"], reward)
        return {**record, "reward": dict(graded_by), "verdict": verdict}

    with ThreadPoolExecutor(GRADERS) as pool:
        return list(pool.map(one, zip(records, items, strict=True)))
