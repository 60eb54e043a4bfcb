"""Near-duplicates against datatrove on the same texts: documents a second, and recall.

20,000 texts of 60 words, a tenth of them edited copies. Both sides are one process and get the
texts in memory. datatrove's stages one to three are called without its executor, as it ships, and
once more with white space in place of its word tokenizer, which shows how much of its time is that
tokenizer's (the texts are plain words, so nothing is lost). Recall is of pairs whose 5-word runs
have an exact Jaccard similarity of at least 0.7, and 0.8; to datatrove every pair within one
cluster counts as found. Times are CPU seconds. Needs datatrove with spaCy, and xxhash below 4,
which temper does not install.
"""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_prep.duplicates.near import NearDuplicates
from data_prep.filters.base import concatenate

pytestmark = [pytest.mark.bench, pytest.mark.timeout(1200)]
DOCUMENTS, WORDS, BATCH = 20_000, 60, 1_000
Pair = tuple[int, int]
NEEDS = (
    "pip install --target FOLDER 'datatrove[processing]==0.10.1' spacy 'xxhash<4', then put FOLDER "
    "on PYTHONPATH"
)


def corpus(count: int, words: int, seed: int) -> list[str]:
    """Texts; every tenth is a copy of one shortly before, with a few of its words replaced."""
    draw = random.Random(seed)
    known = [
        "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(2, 9)))
        for _ in range(20_000)
    ]
    texts: list[str] = []
    for number in range(count):
        if number % 10 == 9:
            copy = texts[number - draw.randint(1, 8)].split()
            for _ in range(draw.randint(1, max(2, words // 20))):
                copy[draw.randrange(len(copy))] = draw.choice(known)
            texts.append(" ".join(copy))
        else:
            texts.append(" ".join(draw.choices(known, k=words)))
    return texts


def true_pairs(texts: list[str]) -> dict[Pair, float]:
    """Pairs that share a run of 5 words, with their exact similarity."""
    sets = [
        {tuple(words[i : i + 5]) for i in range(len(words) - 4)} for words in map(str.split, texts)
    ]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for position, grams in enumerate(sets):
        for gram in grams:
            holders[gram].append(position)
    pairs = {pair for held in holders.values() for pair in combinations(held, 2)}
    return {(a, b): len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs}


def ours(texts: list[str]) -> tuple[float, set[Pair]]:
    """CPU seconds and pairs of temper's step."""
    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "assistant", "content": text}], "id": str(i)}
        for i, text in enumerate(texts)
    ]
    step = NearDuplicates(numbers="any")
    began = time.process_time()
    made = [step.signatures(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)]
    found = step.similar(concatenate(made), lambda at: [rows[i] for i in at])
    pairs = {(min(a, b), max(a, b)) for a, b, _ in found}
    return time.process_time() - began, pairs


def theirs(texts: list[str], folder: Path, tokenizer: object | None) -> tuple[float, set[Pair]]:
    """CPU seconds and pairs of datatrove's stages one to three."""
    from datatrove.data import Document
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    config = MinhashConfig()
    documents = [Document(text=text, id=str(i)) for i, text in enumerate(texts)]
    signatures, buckets, clusters = (str(folder / name) for name in ("s", "b", "c"))
    first = MinhashDedupSignature(signatures, config)
    if tokenizer is not None:
        first.word_tokenizer = tokenizer
    first.word_tokenizer.word_tokenize("load it before the clock runs")
    began = time.process_time()
    first.run(iter(documents))
    for bucket in range(config.num_buckets):
        step = MinhashDedupBuckets(signatures, buckets, config=config)
        step.run(None, bucket, config.num_buckets)
    MinhashDedupCluster(buckets, clusters, config, save_cluster_id=True).run(None, 0, 1)
    spent = time.process_time() - began
    numbers = np.fromfile(Path(clusters) / "000000.clusters", dtype="<u4").reshape(-1, 2)
    members: dict[int, list[int]] = defaultdict(list)
    for document, cluster in numbers.tolist():
        members[cluster].append(document)
    return spent, {pair for held in members.values() for pair in combinations(sorted(held), 2)}


class Whitespace:
    """The fastest tokenizer there is."""

    @staticmethod
    def word_tokenize(text: str) -> list[str]:
        return text.split()


def recall(pairs: Iterable[Pair], exact: dict[Pair, float], least: float) -> float:
    wanted = {pair for pair, value in exact.items() if value >= least}
    return len(wanted & set(pairs)) / len(wanted)


def test_near_duplicates_against_datatrove(tmp_path: Path, aims: Any) -> None:
    for name in ("datatrove", "spacy"):
        pytest.importorskip(name, reason=f"{name} is not installed; {NEEDS}")
    texts = corpus(DOCUMENTS, WORDS, seed=1)
    exact = true_pairs(texts)
    ours(texts[:BATCH])  # tables are made once
    mine, my_pairs = ours(texts)
    bare, bare_pairs = theirs(texts, tmp_path / "bare", Whitespace())
    full, full_pairs = theirs(texts, tmp_path / "full", None)
    result = {
        "what": f"near-duplicates among {DOCUMENTS} texts of {WORDS} words, against datatrove",
        "ours_docs_per_s": round(DOCUMENTS / mine),
        "datatrove_docs_per_s": round(DOCUMENTS / full),
        "datatrove_whitespace_docs_per_s": round(DOCUMENTS / bare),
        "ratio": round(full / mine, 1),
        "ratio_whitespace": round(bare / mine, 1),
        "pairs_over_0.7": sum(value >= 0.7 for value in exact.values()),
    }
    for least in (0.7, 0.8):
        result[f"ours_recall_{least}"] = round(recall(my_pairs, exact, least), 4)
        result[f"datatrove_recall_{least}"] = round(recall(full_pairs, exact, least), 4)
        assert recall(my_pairs, exact, least) >= recall(full_pairs, exact, least)
        assert recall(my_pairs, exact, least) >= recall(bare_pairs, exact, least)
    print("\nBENCH " + json.dumps(result))
    assert all(exact[pair] >= 0.7 for pair in my_pairs)
    aims.ratio("near-duplicates, documents a second of datatrove's", full / mine, least=10)
