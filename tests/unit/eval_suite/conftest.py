"""A stub of an OpenAI-compatible server in a process of its own, and rows to ask it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from eval.suite.spec import SuiteSpec, parse_suite

SERVER = Path(__file__).with_name("stub_server.py")


@dataclass
class Stub:
    """A running server."""

    url: str
    process: subprocess.Popen[str]

    @property
    def asked(self) -> int:
        """Requests answered so far."""
        with urllib.request.urlopen(f"{self.url}/asked", timeout=10) as reply:
            return int(json.load(reply)["asked"])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Stub]]:
    """Starts servers that answer from a mapping; they are stopped at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(answers: dict[str, str], delay: float = 0.0) -> Stub:
        path = tmp_path / f"answers-{len(started)}.json"
        path.write_text(json.dumps(answers))
        command = [sys.executable, str(SERVER), str(path), str(delay)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return Stub(f"http://127.0.0.1:{int(process.stdout.readline())}/v1", process)

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def sums(tmp_path: Path) -> Path:
    """A user's own task in one file, with twelve sums beside it; two kinds, three to a text."""
    folder = tmp_path / "own"
    folder.mkdir()
    rows = [
        {"q": f"{i}+{i}=", "a": 2 * i, "kind": "low" if i < 4 else "high", "text": f"t{i // 3}"}
        for i in range(12)
    ]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = folder / "sums.yaml"
    task.write_text(
        "about: doubles\n"
        "source: {files: {test: sums.jsonl}, prompt: q, answer: a}\n"
        "grader: math\nmax_tokens: 32\nstrata: kind\ncluster: text\nextra: {kind: kind}\n"
    )
    return task


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., SuiteSpec]:
    """An evaluation of a served model in a new folder."""

    def make(url: str, suite: str, *words: str, out: str = "out", **more: Any) -> SuiteSpec:
        return parse_suite(
            [
                "model=served",
                f"suite=[{suite}]",
                f"out={tmp_path / out}",
                f"endpoint.base_url={url}",
                *words,
                *(f"{key}={value}" for key, value in more.items()),
            ]
        )

    return make
