"""A step's rows in verl's TransferQueue: read verdicts, write scores, hand on components.

In: verl's batch, once each row has its score. Out: `Row`s; new `rm_scores` where a reward looks at
whole groups; and, for GDPO, the components where verl's estimator looks for them. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import transfer_queue as tq
from tensordict.tensorclass import NonTensorData
from verl.trainer.ppo.v1 import trainer_base
from verl.utils import tensordict_utils as tu

from conf.errors import RewardError
from launch.bridge.reward_metrics import Row, final_rows, grouped

Group = Callable[[Sequence[Mapping[str, Any]]], list[float]]


def read_rows(batch: Any) -> list[Row]:
    """The batch's rows with their verdicts, in its order, without verl's padding."""
    keys = [
        key
        for key, tag in zip(batch.keys, batch.tags, strict=True)
        if not tag.get("is_padding", False)
    ]
    if not keys:
        return []
    fields = ["uid", "rm_scores", "extra_fields"]
    data = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=fields)
    scores = [float(one.sum()) for one in data["rm_scores"].unbind()]
    groups = [str(one) for one in _plain(data["uid"])]
    infos = [(one or {}).get("reward_extra_info") or {} for one in _plain(data["extra_fields"])]
    return [Row(*one) for one in zip(keys, groups, scores, infos, strict=True)]


def _plain(column: Any) -> list[Any]:
    """A column that holds no tensors: a stack, an array or a list, as the queue sees fit."""
    return [one.data if isinstance(one, NonTensorData) else one for one in list(column)]


def group_scores(rows: Sequence[Row], group: Group) -> dict[str, float]:
    """Each session's new score, from a reward that sees its prompt's whole group."""
    scores: dict[str, float] = {}
    for members in grouped(final_rows(rows)).values():
        flat = [{**row.info, "score": row.score} for row in members]
        for row, score in zip(members, group(flat), strict=True):
            scores[session_of(row.key)] = score
    return scores


def session_of(key: str) -> str:
    """`{prompt}_{session}` of a row's key."""
    return key.rpartition("_")[0]


def write_scores(batch: Any, rows: Sequence[Row], scores: Mapping[str, float]) -> list[Row]:
    """Put new scores where advantages are computed from, on each response's last token.

    Args:
        batch: verl's.
        rows: of `read_rows`.
        scores: session → score.

    Returns:
        The rows with their new scores; the change is a component, `component_group`.
    """
    keys = [row.key for row in rows]
    old = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["rm_scores"])
    tensors, changed = [], []
    for row, tensor in zip(rows, old["rm_scores"].unbind(), strict=True):
        score = scores[session_of(row.key)]
        new = torch.zeros_like(tensor)
        new[-1] = score
        tensors.append(new)
        info = {**row.info, "score": score, "component_group": score - row.score}
        changed.append(Row(row.key, row.group, score, info))
    nested = torch.nested.as_nested_tensor(tensors, layout=torch.jagged)
    tq.kv_batch_put(
        keys=keys,
        partition_id=batch.partition_id,
        fields=tu.get_tensordict({"rm_scores": nested}),
    )
    return changed


@contextmanager
def components_for_gdpo(rows: Sequence[Row], names: Sequence[str]) -> Iterator[None]:
    """Let verl's GDPO estimator (2601.05242) see the components while advantages are computed.

    verl's trainer passes it neither the verdicts nor the two tensors by whose shape it places a
    score; only sums over tokens count there, so that one column serves.

    Raises:
        RewardError: the verdicts have no such key.
    """
    infos = {row.key: row.info for row in rows}
    for name in names:
        if missing := [key for key, info in infos.items() if name not in info]:
            raise RewardError(
                f"algorithm.gdpo_reward_keys names {name!r}; verdicts have "
                f"{', '.join(sorted(infos[missing[0]]))}",
                fix="algorithm.gdpo_reward_keys=[component_…]",
            )
    real = trainer_base.compute_advantage_for_multi_trajectories

    def with_components(data: Any, batch_keys: Sequence[str], **kwargs: Any) -> Any:
        for name in names:
            values = [float(infos[key][name]) if key in infos else 0.0 for key in batch_keys]
            data.non_tensor_batch[name] = np.array(values, dtype=np.float32)
        n = len(batch_keys)
        device = data.batch["response_mask"].device
        data.batch["prompts"] = torch.zeros(n, 0, dtype=torch.int64, device=device)
        data.batch["attention_mask"] = torch.ones(n, 1, dtype=torch.int64, device=device)
        return real(data, batch_keys=batch_keys, **kwargs)

    trainer_base.compute_advantage_for_multi_trajectories = with_components
    try:
        yield
    finally:
        trainer_base.compute_advantage_for_multi_trajectories = real
