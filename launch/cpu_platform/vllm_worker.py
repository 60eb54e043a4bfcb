"""Weight sync inside vLLM's CPU worker: take verl's buckets, reload the whole model.

In: buckets of named tensors (checkpoint names, full shapes) over verl's shared-memory channel.
Out: the running vLLM model holds those weights. vLLM's CPU layers repack their weights after
loading and drop the loaders, so that verl's in-place `load_weights` cannot serve; vLLM's own
`reload_weights` can. LoRA adapters and quantised models are left to verl's base class.
"""

from __future__ import annotations

from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension


class CpuWorkerExtension(vLLMColocateWorkerExtension):
    """Named by `rollout.engine_kwargs.vllm.worker_extension_cls` under `hardware=cpu`."""

    def update_weights_from_ipc(
        self,
        peft_config: dict[str, Any] | None = None,
        base_sync_done: bool = False,
        use_shm: bool = False,
    ) -> None:
        """Receive one complete set of weights and reload the model from it.

        Args:
            peft_config: LoRA configuration; adapters go through verl's own path.
            base_sync_done: whether the base model has been synced before (LoRA only).
            use_shm: whether buckets come through shared memory (always so on a CPU).
        """
        if peft_config and base_sync_done:
            super().update_weights_from_ipc(peft_config, base_sync_done, use_shm)
            return
        from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import (
            BucketedWeightReceiver,
        )

        receiver = BucketedWeightReceiver(
            zmq_handle=self._get_zmq_handle(), device=torch.device("cpu"), use_shm=use_shm
        )
        received: list[tuple[str, torch.Tensor]] = []
        # Clones: the bucket's memory is reused for the next one.
        receiver.receive_weights(
            on_bucket_received=lambda weights, _is_last: received.extend(
                (name, tensor.clone()) for name, tensor in weights
            )
        )
        self.model_runner.reload_weights(weights_iterator=iter(received))
        refresh_tied_head(self.model_runner.get_model())


def refresh_tied_head(model: torch.nn.Module) -> None:
    """Pack the output head again from the embedding that it is tied to.

    A tied head gets no weights of its own in a reload, so vLLM skips it, and its CPU layer goes on
    with the packed copy of the old embedding: logits of the previous policy, without a word.
    """
    head = getattr(model, "lm_head", None)
    if head is None or not getattr(getattr(model, "config", None), "tie_word_embeddings", False):
        return
    embedding = model.model.embed_tokens
    head.weight = embedding.weight
    head.quant_method.process_weights_after_loading(head)
