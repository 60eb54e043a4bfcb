"""The official JSON Schema test suite, drafts 7 and 2020-12, through the `json_schema` reward.

Every required test gets the suite's verdict, but for schemas that need another document, which the
reward refuses as a gold_error, and one test of a custom vocabulary.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from rewards.json_schema import grade_json_schema

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "json_schema"
DRAFT7 = {"$schema": "http://json-schema.org/draft-07/schema#"}
# Groups whose schema refers to a document that is served beside the suite.
ELSEWHERE = {"refRemote.json": None, "dynamicRef.json": 5, "vocabulary.json": 1}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data beside the checkout")


@pytest.mark.parametrize(("draft", "agreed"), [("draft7", 904), ("draft2020-12", 1254)])
def test_required_tests(draft: str, agreed: int) -> None:
    text = gzip.decompress((DATA / f"{draft}.jsonl.gz").read_bytes()).decode()
    same = 0
    other: list[tuple[str, str, str]] = []
    for group in map(json.loads, text.split("\n")[:-1]):
        if "/optional/" in group["file"]:
            continue
        schema: Any = group["schema"]
        if draft == "draft7" and isinstance(schema, dict):
            schema = DRAFT7 | schema
        for test in group["tests"]:
            verdict = grade_json_schema(json.dumps(test["data"]), schema, where="whole")
            if verdict.status == ("correct" if test["valid"] else "wrong"):
                same += 1
            else:
                file = group["file"].rpartition("/")[2]
                other.append((file, group["description"], verdict.status))
    assert same == agreed
    assert {file for file, _, _ in other} <= ELSEWHERE.keys()
    groups = Counter(file for file, _ in {(file, name) for file, name, _ in other})
    assert all(ELSEWHERE[file] in (None, count) for file, count in groups.items()), groups
    assert {status for file, _, status in other if file != "vocabulary.json"} == {"gold_error"}
