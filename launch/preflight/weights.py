"""A model folder's weights by their headers: complete, and how many parameters.

In: a Hugging Face folder and its `config.json`. Out: `Weights`. Only headers and file sizes are
read, so that a 70B model takes milliseconds; a truncated download and a Git LFS pointer show by
their size. Loads no tensor and judges no architecture.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SINGLES = ("model.safetensors", "pytorch_model.bin")
HEADER_LIMIT = 100 * 2**20  # bytes; the format's own bound
LFS_MARK = b"version https://git-lfs"


@dataclass(frozen=True)
class Weights:
    """What the files of a folder hold.

    Attributes:
        files: weight files found, by name.
        parameters: their number; None when the headers do not say (`.bin`).
        problem: what is wrong, empty when nothing is.
    """

    files: tuple[str, ...] = ()
    parameters: int | None = None
    problem: str = ""


def read_weights(folder: Path) -> Weights:
    """Find a folder's weights and hold their headers against their sizes."""
    for name in INDEXES:
        if (folder / name).is_file():
            return _indexed(folder, name)
    for name in SINGLES:
        if (folder / name).is_file():
            return _read(folder, (name,))
    return Weights(problem=f"no weights ({' or '.join(SINGLES)}, or their index)")


def _indexed(folder: Path, index: str) -> Weights:
    try:
        content = json.loads((folder / index).read_text(encoding="utf-8"))
        shards = tuple(sorted(set(content["weight_map"].values())))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        return Weights(problem=f"{index} is not readable ({type(error).__name__})")
    missing = [name for name in shards if not (folder / name).is_file()]
    if missing:
        text = f"{len(missing)} of {len(shards)} weight files are missing, {missing[0]} first"
        return Weights(shards, problem=text)
    return _read(folder, shards)


def _read(folder: Path, names: tuple[str, ...]) -> Weights:
    total: int | None = 0
    for name in names:
        path = folder / name
        if not name.endswith(".safetensors"):
            if path.stat().st_size < 1024 and path.read_bytes().startswith(LFS_MARK):
                return Weights(names, problem=f"{name} is a Git LFS pointer, not the weights")
            total = None
            continue
        count, problem = _header(path)
        if problem:
            return Weights(names, problem=f"{name} {problem}")
        total = None if total is None else total + count
    return Weights(names, total)


def _header(path: Path) -> tuple[int, str]:
    """Parameters of one safetensors file, and what is wrong with it.

    The format: 8 bytes little-endian length, that many bytes of JSON, then the tensors.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(len(LFS_MARK))
        if start == LFS_MARK:
            return 0, "is a Git LFS pointer, not the weights"
        if len(start) < 8:
            return 0, f"is cut short ({size} bytes)"
        (length,) = struct.unpack("<Q", start[:8])
        if length > min(HEADER_LIMIT, size - 8):
            return 0, "is cut short or no safetensors file"
        file.seek(8)
        raw = file.read(length)
    try:
        header: Mapping[str, Any] = json.loads(raw)
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((entry["data_offsets"][1] for entry in tensors), default=0)
        count = sum(math.prod(entry["shape"]) for entry in tensors)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        return 0, f"has an unreadable header ({type(error).__name__})"
    if 8 + length + end > size:
        return 0, f"is cut short ({size} of {8 + length + end} bytes)"
    return count, ""


def parameters_by_config(config: Mapping[str, Any]) -> int | None:
    """Parameters of a Llama-like dense model by its `config.json`; None when it does not say.

    V·h embeddings (twice when untied), and L layers of h·h(1 + 2·kv/heads) + h·heads·d attention
    and 3·h·f MLP weights. Norms and biases are left out (below 1%).
    """
    try:
        hidden, layers = int(config["hidden_size"]), int(config["num_hidden_layers"])
        vocabulary, inner = int(config["vocab_size"]), int(config["intermediate_size"])
        heads = int(config["num_attention_heads"])
    except (KeyError, TypeError, ValueError):
        return None
    kv_heads = int(config.get("num_key_value_heads") or heads)
    head = int(config.get("head_dim") or hidden // heads)
    attention = 2 * hidden * heads * head + 2 * hidden * kv_heads * head
    embeddings = vocabulary * hidden * (1 if config.get("tie_word_embeddings") else 2)
    return embeddings + layers * (attention + 3 * hidden * inner)
