"""`engine=ray` on a cluster of two local nodes writes what `engine=local` writes.

1. The same files, byte for byte, manifest included, with filters, a corpus step and a mix.
2. Both nodes worked.
3. An error of ours comes back as itself, in one line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conf.errors import DataError
from data_prep.prepare import prepare

SOURCE = """
def rows(spec):
    for split, n in (("train", 4000), ("test", 50)):
        for i in range(n):
            text = f"{split} {i % 3850} of {i % 7} and {i % 11}"
            gold = str(i % 3850)
            yield {"split": split, "prompt": text, "gold": gold, "answer": f"#### {gold}"}
"""
FILTER = """
import os
from pathlib import Path
import ray
from conf.errors import DataError
from data_prep.filters.base import RowFilter, text_of

class Odd(RowFilter):
    name = "odd"
    reasons = {"odd": "its number is odd"}
    seen: str

    def judge(self, rows):
        if ray.is_initialized():
            node = ray.get_runtime_context().get_node_id()
            (Path(self.seen) / node).touch()
        return super().judge(rows)

    def judge_row(self, row):
        number = int(text_of(row, "prompt").split()[1])
        if number == 3849 and Path(self.seen, "broken").exists():
            raise DataError("planted", "none")
        return self.found("odd") if number % 2 else None
"""

pytestmark = pytest.mark.timeout(280)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one CPU each, on this machine."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    nodes = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=nodes)
    made.add_node(num_cpus=1, object_store_memory=100 * 2**20)
    ray.init(address=made.address, log_to_driver=False, logging_level=40)
    yield made
    ray.shutdown()
    made.shutdown()


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


def test_two_nodes_write_what_one_process_writes(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "odd.py").write_text(FILTER)
    seen = tmp_path / "seen"
    seen.mkdir()
    monkeypatch.setattr("data_prep.parts.PART_ROWS", 256)
    monkeypatch.setattr("data_prep.parts.FIRST_ROWS", 256)
    spec = {
        "source": f"{tmp_path / 'mine.py'}:rows",
        "filters": {f"{tmp_path / 'odd.py'}:Odd": {"seen": str(seen)}, "exact_duplicates": {}},
        "mix": {"total": 1500},
        "decontaminate": False,
        "shard_rows": 400,
        "jsonl": True,
    }
    local, _ = prepare({**spec, "out": tmp_path / "local"})
    far, _ = prepare({**spec, "engine": "ray", "out": tmp_path / "ray"})
    assert local.dropped["duplicate_exact"] > 0 and far == local
    assert digests(tmp_path / "local") == digests(tmp_path / "ray")
    assert len(digests(tmp_path / "ray")) == 2 * (4 + 1) * 2 + 2  # shards and lines of two kinds
    assert len(list(seen.iterdir())) == 2

    (seen / "broken").touch()
    with pytest.raises(DataError, match=r"^planted"):
        prepare({**spec, "engine": "ray", "seed": 2, "out": tmp_path / "broken"})
    assert not (tmp_path / "broken").exists()
