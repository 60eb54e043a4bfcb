"""Responses by vLLM in this process: the one module of `eval` that loads a model.

In: a model folder and requests. Out: an iterator of `Generation`, each as soon as it is finished,
so that the caller can record it. Prompts are rendered by `render`. Nothing heavy is
imported before it is needed; nothing is graded.

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
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conf.errors import EvaluationError
from eval.generation.backend import EngineOptions, Generation, Request, Sampling
from eval.generation.render import Renderer

# Below, more threads wait for each other; a second one gave 15% at 1.4 MB, 24% at 21 MB.
SMALL_MODEL_BYTES = 100_000_000
FEW_THREADS = 2
CPU_KV_CACHE_GB = 1.0


@contextmanager
def open_vllm(
    folder: Path,
    options: EngineOptions,
    first: Sequence[Request],
    template_options: Mapping[str, Any],
) -> Iterator[Vllm]:
    """An engine for a model, shut down at the end.

    Args:
        folder: a model folder, from `resolve_model`.
        options: how vLLM runs.
        first: requests that are to come; they decide how long a text may grow.
        template_options: handed to the chat template.

    Raises:
        EvaluationError: no chat template, a prompt too long for the model, another device than
            asked for, or an engine that does not start.
    """
    renderer = Renderer(folder, template_options)
    with _engine(folder, renderer.longest(first), options) as engine:
        yield Vllm(engine, renderer)


class Vllm:
    """A running engine."""

    def __init__(self, engine: Any, renderer: Renderer) -> None:
        self._engine, self._renderer = engine, renderer
        self._asked = 0  # ids are never used twice, whatever an abandoned iteration left behind

    def generate(self, requests: Sequence[Request]) -> Iterator[Generation]:
        """Answer each request; yields in the order of finishing.

        Raises:
            EvaluationError: the engine died.
        """
        base, self._asked = self._asked, self._asked + len(requests)
        since = start = time.perf_counter()
        lengths = []
        for position, request in enumerate(requests):
            tokens = self._renderer.tokens(request.prompt)
            lengths.append(len(tokens))
            prompt = {"type": "token", "prompt_token_ids": tokens}  # rendered: vLLM adds nothing
            self._engine.add_request(str(base + position), prompt, _parameters(request.sampling))
        while self._engine.has_unfinished_requests():
            finished = [output for output in self._step() if output.finished]
            if not finished:
                continue
            now = time.perf_counter()
            share, since = (now - since) / len(finished), now
            for output in finished:
                answer = output.outputs[0]
                position = int(output.request_id) - base
                if position < 0:
                    continue  # of an iteration that was abandoned
                stop = requests[position].sampling.stop
                yield Generation(
                    position=position,
                    # Decoded as verl does for its rewards; vLLM drops a half character at the end,
                    # and cuts at a stopping text, which tokens do not.
                    response=answer.text if stop else self._renderer.text(answer.token_ids),
                    tokens=len(answer.token_ids),
                    prompt_tokens=lengths[position],
                    finish_reason=str(answer.finish_reason),
                    seconds=share,
                    latency=now - start,
                )

    def _step(self) -> Any:
        try:
            return self._engine.step()
        except Exception as error:  # its own process died, out of memory, a kernel's failure …
            reason = " ".join(str(error).split())
            raise EvaluationError(
                f"vLLM failed while generating: {type(error).__name__}: {reason:.300}",
                "what was finished is recorded; the same command goes on from there, perhaps with "
                "a smaller max_num_seqs=",
            ) from error


def _parameters(sampling: Sampling) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        max_tokens=sampling.max_tokens,
        stop=list(sampling.stop) or None,
        seed=sampling.seed,
        detokenize=bool(sampling.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


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
        few = min(FEW_THREADS, os.cpu_count() or 1)
        threads = options.threads or (few if _size(folder) < SMALL_MODEL_BYTES else None)
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
        tensor_parallel_size=options.tensor_parallel,
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
