"""Semantic duplicates over vectors that are chosen here, by a fake embedding server."""

from __future__ import annotations

import numpy as np
import pytest

from conf.errors import DataError
from data_prep.duplicates import semantic
from data_prep.duplicates.semantic import SemanticDuplicates, alike, clusters

VECTORS = {
    "red car": [1.0, 0.0, 0.0],
    "a car that is red": [0.99, 0.141, 0.0],
    "blue sky": [0.0, 2.0, 0.0],
    "take 3 apples": [0.0, 0.0, 1.0],
    "take three of the apples": [0.0, 0.01, 1.0],
    "take 4 apples": [0.0, 0.02, 1.0],
}


def answer(path: str, body: dict) -> tuple[int, object]:
    assert path == "/v1/embeddings" and body["model"] == "m"
    data = [{"index": i, "embedding": VECTORS[t]} for i, t in enumerate(body["input"])]
    return 200, {"data": data[::-1]}


def test_close_vectors_with_equal_numbers_are_duplicates(make, serve) -> None:
    step = SemanticDuplicates(model="m", server=serve(answer), threshold=0.98, batch=4)
    rows = [make.rl(text, id=text) for text in VECTORS]
    found = step.resolve(step.signatures(rows), list(VECTORS))
    assert {k: v.evidence["kept"] for k, v in found.items()} == {
        "a car that is red": "red car",
        "take three of the apples": "take 3 apples",
    }
    assert found["a car that is red"].evidence["cosine"] == pytest.approx(0.99, abs=0.001)


def test_numbers_may_be_ignored(make, serve) -> None:
    step = SemanticDuplicates(model="m", server=serve(answer), threshold=0.98, numbers="any")
    rows = [make.rl(text, id=text) for text in VECTORS]
    assert "take 4 apples" in step.resolve(step.signatures(rows), list(VECTORS))


def test_a_server_that_refuses_is_named(make, serve) -> None:
    step = SemanticDuplicates(model="m", server=serve(lambda *_: (404, {"error": "no model m"})))
    with pytest.raises(DataError, match=r"embeddings does not answer \(HTTP 404: .*no model m"):
        step.signatures([make.rl("red car")])


def test_a_busy_server_is_asked_again(make, serve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def busy(path: str, body: dict) -> tuple[int, object]:
        asked.append(path)
        return (503, {}) if len(asked) == 1 else answer(path, body)

    monkeypatch.setattr("time.sleep", lambda seconds: None)
    step = SemanticDuplicates(model="m", server=serve(busy))
    vectors = step.signatures([make.rl("blue sky")])["semantic_vectors"]
    assert len(asked) == 2 and vectors.tolist() == [[0.0, 1.0, 0.0]]


def test_clusters_find_what_comparing_all_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(5)
    centres = draw.normal(size=(6, 32))
    vectors = np.repeat(centres, 100, axis=0) + 0.3 * draw.normal(size=(600, 32))
    vectors[1::10] = vectors[0::10] + 0.01 * draw.normal(size=(60, 32))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    whole = {(a, b) for a, b, _ in alike(vectors, 0.995, 1)}
    assert len(whole) == 60 and all(b == a + 1 for a, b in whole)
    monkeypatch.setattr(semantic, "CLUSTER_ROWS", 100)
    parted = {(a, b) for a, b, _ in alike(vectors, 0.995, 1, whole=10)}
    assert parted <= whole and len(parted) >= 58
    assert parted == {(a, b) for a, b, _ in alike(vectors, 0.995, 1, whole=10)}
    assert len(np.unique(clusters(vectors, 6, 1))) == 6
