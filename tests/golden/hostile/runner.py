"""Runs the hostile programs of this folder in one tier and says what any of them achieved.

In: a tier's name. Out: one line for each program that scored, outlived its deadline, broke the
verifier or changed the host; none when the tier holds. Needs the standard library and `rewards`
alone, so that any interpreter on the machine can run it as any user.

    python runner.py namespaces

`forge.txt`: must not score where the answer is a number that the program cannot know.
`exhaust.txt`: must end in time. `escape.txt`: `act()` must not succeed; it
is right by returning anything true.
"""

from __future__ import annotations

import json
import os
import random
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
LIMIT_S = 0.7  # wall seconds of one test
LATE_S = 4.0  # over the limit: what a loaded machine may add before "outlived" is said
OPTIONS: dict[str, Any] = {
    "score": "fraction",
    "timeout_s": LIMIT_S,
    "wall_s": LIMIT_S,
    "total_s": 5.0,
    "memory_mb": 256,
    "output_mb": 1.0,
    "slots": 4,
    "allow_unsafe": True,  # no matter: the tier is named
}
ESCAPE = """
def solve(x):
    try:
        return "LEAK" if act() else "held"
    except BaseException as error:
        return "held " + type(error).__name__
print(solve(0))
"""


class Program(NamedTuple):
    """One hostile program."""

    family: str
    name: str
    source: str


def programs() -> Iterator[Program]:
    """All programs, in the order of the files."""
    for family in ("forge", "exhaust", "escape"):
        text = (HERE / f"{family}.txt").read_text(encoding="utf-8")
        for block in text.split("#: ")[1:]:
            title, _, source = block.partition("\n")
            yield Program(family, title.split(" — ")[0], source)


class Host:
    """Things of the host that a program would like to reach, and how they looked before."""

    def __init__(self, folder: Path) -> None:
        """Lay them out, open to every user, so that it is the sandbox that protects them."""
        self.folder = folder
        folder.chmod(0o777)
        (folder / "secret").write_text("the secret")
        (folder / "victim").write_text("here")
        for name in ("secret", "victim"):
            (folder / name).chmod(0o666)
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(folder / "socket"))
        self.unix.listen()
        self.name = f"temper-hostile-{os.getpid()}"
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.name)
        self.abstract.listen()
        os.chmod(folder / "socket", 0o777)
        self.before = self.state()

    def fill(self, source: str) -> str:
        """A program with the host's names put in."""
        names = {
            "secret": self.folder / "secret",
            "outside": self.folder,
            "checkout": ROOT,
            "client": os.getpid(),
            "port": self.tcp.getsockname()[1],
            "unix": self.folder / "socket",
            "abstract": self.name,
        }
        for name, value in names.items():
            source = source.replace("{" + name + "}", str(value))
        return source

    def state(self) -> dict[str, Any]:
        """What must be the same afterwards."""
        seen: dict[str, Any] = {}
        for path in sorted(self.folder.iterdir()):
            about = path.stat()
            text = path.read_text() if path.is_file() else ""
            seen[path.name] = (about.st_mode, about.st_mtime_ns, about.st_size, text)
        for place in ("/dev/shm", "/dev/mqueue"):
            if os.path.isdir(place):
                seen[place] = sorted(n for n in os.listdir(place) if "temper" in n or "sem." in n)
        for kind in ("shm", "msg", "sem"):
            seen[kind] = Path(f"/proc/sysvipc/{kind}").read_text().count("\n")
        return seen


def below(roots: set[int], parents: dict[int, int]) -> set[int]:
    """All processes below some; the roots themselves are not counted."""
    found, more = set[int](), roots
    while more:
        more = {pid for pid, parent in parents.items() if parent in more}
        found |= more
    return found


def all_parents() -> dict[int, int]:
    """Each process's parent."""
    parents = {}
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue  # it ended meanwhile
        parents[pid] = int(re.findall(r"^PPid:\s*(\d+)", status, re.MULTILINE)[0])
    return parents


def strangers() -> set[int]:
    """Processes of the uids that only sandboxes have, wherever they hang.

    An ordinary user's sandboxes have its own uid: there, those whose parent is gone.
    """
    from rewards.sandbox.tiers import FIRST_UID, UIDS

    own = os.geteuid()
    uids = range(FIRST_UID, FIRST_UID + UIDS) if own == 0 else (own,)
    orphans = {pid for pid, parent in all_parents().items() if parent == 1}
    found = set()
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            uid = os.stat(f"/proc/{name}").st_uid
        except OSError:
            continue
        if uid in uids and (own == 0 or int(name) in orphans):
            found.add(int(name))
    return found


def left_behind(before: set[int]) -> list[str]:
    """Processes that were not there before; what is just ending gets a moment to do so."""
    for _ in range(200):
        parents = all_parents()
        # Tests that run side by side have sandboxes of their own below our siblings.
        siblings = {pid for pid, parent in parents.items() if parent == os.getppid() != 1}
        ours = below({os.getpid()}, parents)
        theirs = below(siblings - {os.getpid()}, parents)
        found = (ours | strangers() - theirs) - before
        if not found:
            return []
        time.sleep(0.05)
    return [f"process {pid} was left behind" for pid in found]


def suites(family: str, draw: random.Random) -> Iterator[tuple[str, Any]]:
    """The same question in each form of test."""
    answer = "LEAK" if family == "escape" else int("77" + str(draw.randrange(10**9, 10**10)))
    yield "stdin", {"inputs": ["3\n"], "outputs": [f"{answer}\n"]}
    yield "calls", {"fn_name": "solve", "inputs": [[3]], "outputs": [answer]}
    if family == "forge":
        yield "direct", {"test_list": [f"assert solve(3) == {answer}"]}
        check = f"def check(candidate):\n    assert candidate(3) == {answer}\n"
        yield "general", {"test": check, "entry_point": "solve"}
        yield "loose", {"test_list": [f"assert abs(solve(3) - {answer}) < 0.5"]}


def attempt(program: Program, host: Host, tier: str) -> list[str]:
    """What is wrong after one program in all forms."""
    from rewards.code.grade import grade_code

    source = host.fill(program.source) + (ESCAPE if program.family == "escape" else "")
    wrong = []
    for form, gold in suites(program.family, random.Random(program.name)):
        started = time.monotonic()
        verdict = grade_code(f"```python\n{source}\n```", gold, tier=tier, **OPTIONS)
        took = time.monotonic() - started
        label = f"{program.family}/{program.name} ({form})"
        if verdict.status not in ("wrong", "timeout") or verdict.score != 0:
            wrong.append(f"{label}: {verdict.status} {verdict.score} {verdict.detail}")
        if took > LIMIT_S * (2 if form == "stdin" else 4) + LATE_S:
            wrong.append(f"{label}: ended after {took:.1f} s")
    return wrong


def hunt(tier: str, only: frozenset[str] = frozenset()) -> list[str]:
    """What must not be, after all programs, or those named."""
    from rewards.code.grade import grade_code, sandbox

    os.environ["TEMPER_HOSTILE_SECRET"] = "the secret"
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(folder))
        answer, gold = "```python\nprint(6)\n```", {"inputs": [""], "outputs": ["6"]}
        first = grade_code(answer, gold, **{**OPTIONS, "tier": tier, "wall_s": 20.0})
        assert first.status == "correct", first
        time.sleep(0.3)
        # The server, and bwrap around it.
        running = below({os.getpid()}, all_parents()) | strangers()
        chosen = [p for p in programs() if not only or p.name in only]
        with ThreadPoolExecutor(4) as pool:

            def one(program: Program) -> list[str]:
                return attempt(program, host, tier)

            wrong = [w for ws in pool.map(one, chosen) for w in ws]
        before, after = host.before, host.state()
        wrong += [
            f"host: {k} {before.get(k)} → {after.get(k)}"
            for k in before | after
            if before.get(k) != after.get(k)
        ]
        wrong += left_behind(running)
    box = sandbox(tier=tier, slots=OPTIONS["slots"], allow_unsafe=True)
    if box.tier != tier:
        wrong.append(f"ran in {box.tier}")
    return wrong


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    begun = time.monotonic()
    print(json.dumps({"wrong": hunt(sys.argv[1]), "s": round(time.monotonic() - begun, 1)}))
