"""The installed loader, resumed as verl's SFT trainer resumes it at the end of an epoch.

verl saves the loader's state inside the loop over the epoch. `launch.bridge.sft` drops that state
where the epoch was over; these tests say whether that is still needed, and that it is enough.
"""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.timeout(120)
ROWS, BATCH = 8, 2


def resumed_after(batches: int) -> Any:
    """A fresh loader that was given the state saved after so many batches of its epoch."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    def loader() -> Any:
        return StatefulDataLoader(list(range(ROWS)), batch_size=BATCH, drop_last=True)

    before, after = loader(), loader()
    for number, _ in enumerate(before, start=1):
        if number == batches:
            after.load_state_dict(before.state_dict())
            return after
    raise ValueError(f"an epoch has {ROWS // BATCH} batches, not {batches}")


def rows(loader: Any) -> list[int]:
    return [row for batch in loader for row in batch.tolist()]


def test_in_mid_epoch_the_rest_of_it_follows() -> None:
    assert rows(resumed_after(1)) == [2, 3, 4, 5, 6, 7]


def test_at_the_end_nothing_follows_which_is_why_the_state_is_dropped() -> None:
    assert rows(resumed_after(4)) == [], "fit() of launch.bridge.sft is no longer needed"


def test_without_that_state_the_next_epoch_is_whole() -> None:
    loader = resumed_after(4)
    loader.next_iter_state = None
    assert rows(loader) == list(range(ROWS))
