"""Responses by vLLM: the one module of `eval` that loads a model.

In: a model folder and chats. Out: an iterator of `Generation`, each as soon as it is finished, so
that the caller can record it. Greedy, through the model's own chat template (the tokenizer's, as
verl applies it in training). Nothing heavy is imported before it is needed; nothing is graded.

On a CPU the engine runs in this process, with neither EngineCore nor worker process beside it:
each of those imports torch and vLLM again, 20-30 s on 2 cores, while a further engine in a process
that has them starts in half a second. So several models are evaluated one after the other in one
process, each with an engine of its own. Reloading weights into a running engine would save that
half second, and on a CPU it does not carry tied embeddings over. Elsewhere the engine has its own
process, whose end gives the memory back for sure.

`VLLM_CPU_KVCACHE_SPACE`, where a launcher sets it, wins over `kv_cache_gb` on a CPU.
"""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conf.errors import EvaluationError

Chat = list[dict[str, str]]
SMALL_MODEL_BYTES = 100_000_000  # below, a second thread costs more in waiting than it computes
CPU_KV_CACHE_GB = 1.0
HUB_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How vLLM runs; meanings and defaults are those of `eval.spec.EvalSpec`."""

    device: str
    dtype: str
    max_num_seqs: int
    kv_cache_gb: float | None
    gpu_memory_utilization: float
    enforce_eager: bool
    threads: int | None


@dataclass(frozen=True, slots=True)
class Generation:
    """One finished response.

    Attributes:
        position: place of its chat in the input.
        response: the text, special tokens removed.
        tokens: generated tokens, the end token included.
        prompt_tokens: tokens of the rendered chat.
        finish_reason: `stop`, or `length` when it was cut at `max_tokens`.
        seconds: its share of the wall time: the time since the last responses were finished,
            divided among those that finished together. The shares add up to the whole.
    """

    position: int
    response: str
    tokens: int
    prompt_tokens: int
    finish_reason: str
    seconds: float


def resolve_model(name: str) -> Path:
    """The folder of a model: the one that is named, or the hub's, downloaded where needed.

    Raises:
        EvaluationError: no such folder, or neither the hub nor its cache gives it, or it is no
            model with weights.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name)
    if not (folder / "config.json").is_file():
        inside = [p.parent for p in sorted(folder.glob("**/config.json"))[:1]]
        raise EvaluationError(
            f"{name} is not a model folder: it has no config.json",
            f"try {inside[0]}" if inside else "give a folder in Hugging Face's format",
        )
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise EvaluationError(
            f"{name} has a config.json and no weights (*.safetensors)",
            "save them with the checkpoint (checkpoint.save_contents with hf_model), or merge its "
            "shards: python -m verl.model_merger merge --help",
        )
    return folder


def _from_hub(name: str) -> Path:
    if name.startswith(("/", ".", "~")) or name.count("/") != 1:
        raise EvaluationError(
            f"no such model folder: {name}", "models.LABEL=FOLDER, or a hub id such as org/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except GatedRepoError as error:
        raise EvaluationError(
            f"model {name} is gated", "accept its terms on the hub and set HF_TOKEN"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise EvaluationError(
            f"model {name} is neither a folder nor available from the hub "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            "check the name and the network, or give the folder of a downloaded model",
        ) from error


def generate(
    folder: Path, chats: Sequence[Chat], max_tokens: int, options: EngineOptions
) -> Iterator[Generation]:
    """Answer each chat greedily; yields in the order of finishing.

    Args:
        folder: a model folder, from `resolve_model`.
        chats: chats up to the model's turn.
        max_tokens: most tokens of a response.
        options: how vLLM runs.

    Raises:
        EvaluationError: no chat template, a prompt too long for the model, another device than
            asked for, or an engine that does not start.
    """
    tokenizer, prompts = _render(folder, chats, max_tokens)
    with _engine(folder, max(map(len, prompts)) + max_tokens, options) as engine:
        from vllm import SamplingParams

        # Decoded below as verl does for its rewards; vLLM would drop a half character at the end.
        sampling = SamplingParams(temperature=0.0, max_tokens=max_tokens, detokenize=False)
        since = time.perf_counter()
        for position, tokens in enumerate(prompts):
            prompt = {"type": "token", "prompt_token_ids": tokens}  # rendered: vLLM adds nothing
            engine.add_request(str(position), prompt, sampling)
        while engine.has_unfinished_requests():
            finished = [output for output in engine.step() if output.finished]
            if not finished:
                continue
            share = (time.perf_counter() - since) / len(finished)
            since += share * len(finished)
            for output in finished:
                answer = output.outputs[0]
                position = int(output.request_id)
                yield Generation(
                    position=position,
                    response=tokenizer.decode(answer.token_ids, skip_special_tokens=True),
                    tokens=len(answer.token_ids),
                    prompt_tokens=len(prompts[position]),
                    finish_reason=str(answer.finish_reason),
                    seconds=share,
                )


def _render(folder: Path, chats: Sequence[Chat], max_tokens: int) -> tuple[Any, list[list[int]]]:
    """The tokenizer, and the token ids of each chat, up to where the model's turn begins."""
    from transformers import AutoConfig, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        config = AutoConfig.from_pretrained(folder).get_text_config()
    except (OSError, ValueError, KeyError) as error:
        raise EvaluationError(
            f"cannot load tokenizer and configuration of {folder}: {str(error).splitlines()[0]}",
            "give a folder that transformers can load",
        ) from error
    if not tokenizer.chat_template:
        raise EvaluationError(
            f"the tokenizer of {folder} has no chat template",
            "use an instruct model, or save a chat_template with the tokenizer",
        )
    prompts = [
        tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=False
        )
        for chat in chats
    ]
    longest, limit = max(map(len, prompts)), config.max_position_embeddings
    if longest + max_tokens > limit:
        raise EvaluationError(
            f"the longest prompt has {longest} tokens and max_tokens is {max_tokens}, but {folder} "
            f"reads {limit} in all",
            f"max_tokens={limit - longest}" if longest < limit else "leave long prompts out",
        )
    return tokenizer, prompts


@contextmanager
def _engine(folder: Path, max_model_len: int, options: EngineOptions) -> Iterator[Any]:
    """An engine, shut down at the end."""
    logging.disable(logging.WARNING)  # vLLM's 20 lines on what it could not find
    try:
        engine = _start(folder, max_model_len, options)
    except EvaluationError:
        raise
    except Exception as error:  # vLLM raises ValueError, RuntimeError, OSError, ImportError, …
        reason = " ".join(str(error).split())
        raise EvaluationError(
            f"vLLM does not start with {folder}: {type(error).__name__}: {reason:.400}",
            "kv_cache_gb=, gpu_memory_utilization= or max_num_seqs= bound its memory; --debug "
            "shows the traceback",
        ) from error
    finally:
        logging.disable(logging.NOTSET)
        logging.getLogger("vllm").setLevel(logging.WARNING)
    try:
        yield engine
    finally:
        engine.engine_core.shutdown()
        del engine
        gc.collect()  # frees the KV cache before the next model asks for its own


def _start(folder: Path, max_model_len: int, options: EngineOptions) -> Any:
    import torch
    from vllm.engine.arg_utils import EngineArgs
    from vllm.platforms import current_platform
    from vllm.v1.engine.llm_engine import LLMEngine
    from vllm.v1.executor.abstract import Executor
    from vllm.v1.executor.uniproc_executor import UniProcExecutor

    device = current_platform.device_type
    if options.device not in ("auto", device):
        raise EvaluationError(
            f"device={options.device} was asked for, and the installed vLLM runs on {device!r}",
            f"device={device}, or install the extra for the other one",
        )
    on_cpu = device == "cpu"
    kv_cache_gb = options.kv_cache_gb
    if on_cpu:
        kv_cache_gb = kv_cache_gb or CPU_KV_CACHE_GB
        threads = options.threads or (1 if _size(folder) < SMALL_MODEL_BYTES else None)
        if threads and torch.get_num_threads() != threads:
            torch.set_num_threads(threads)  # before the first engine, which fixes the number
    dtype = "float32" if on_cpu else "bfloat16"
    arguments = EngineArgs(
        model=str(folder),
        dtype=dtype if options.dtype == "auto" else options.dtype,
        max_model_len=max_model_len,
        max_num_seqs=options.max_num_seqs,
        kv_cache_memory_bytes=int(kv_cache_gb * 2**30) if kv_cache_gb else None,
        gpu_memory_utilization=options.gpu_memory_utilization,
        enforce_eager=options.enforce_eager,
        seed=0,
        disable_log_stats=True,
        use_tqdm_on_load=False,
        # By class: vLLM's CPU platform turns the name "uni" into the multi-process one.
        distributed_executor_backend=UniProcExecutor if on_cpu else None,
    )
    config = arguments.create_engine_config()
    return LLMEngine(
        vllm_config=config,
        executor_class=Executor.get_class(config),
        log_stats=False,
        multiprocess_mode=not on_cpu,
    )


def _size(folder: Path) -> int:
    """Bytes of the weights."""
    return sum(p.stat().st_size for p in (*folder.glob("*.safetensors"), *folder.glob("*.bin")))
