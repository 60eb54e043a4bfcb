"""The rewards package is light: importing all of it, and scoring, loads no heavy library.

Asked in a child process, since this one may have loaded them for another test. `verl_manager` alone
is left out: it exists to reach verl.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "verl", "ray", "vllm", "transformers", "tensordict", "pandas")
CODE = """
import importlib, json, pkgutil, sys
import rewards
from rewards.registry import BUILT_IN
from rewards.verl_entry import compute_score

HEAVY = {heavy!r}
found, imported, scored = {{}}, [], []

def look(what):
    there = [name for name in HEAVY if name in sys.modules]
    if there and not found:
        found[what] = there

for module in pkgutil.walk_packages(rewards.__path__, "rewards."):
    if module.name == "rewards.verl_manager" or module.name.endswith("__main__"):
        continue
    importlib.import_module(module.name)
    imported.append(module.name)
    look(module.name)
SAMPLES = [
    ("#### 4", "4"),
    ("The answer is \\\\boxed{{\\\\frac{{1}}{{2}}}}.", "0.5"),
    ("I think it is (B).", "B"),
    ("```python\\ndef f(x):\\n    return x + 1\\n```", '{{"tests": ["assert f(1) == 2"]}}'),
]
for name in BUILT_IN:
    for response, gold in SAMPLES:
        info = {{"id": "1", "response_tokens": 9, "truncated": False, "max_response_tokens": 99}}
        try:
            compute_score("test", response, gold, info, reward=name)
        except Exception as error:
            assert type(error).__name__ == "RewardError", (name, error)
    scored.append(name)
    look(name)
print(json.dumps({{"found": found, "imported": imported, "scored": scored}}))
"""


def test_importing_and_scoring_load_no_heavy_library(repo: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(heavy=HEAVY)],
        cwd=repo,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["found"] == {}
    assert len(said["imported"]) > 15 and "rewards.oracles" in said["imported"]
    assert {"math", "exact", "constant", "random"} <= set(said["scored"])
