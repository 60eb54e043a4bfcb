"""Steps and rows: that training has batches to run on and ends where the configuration says.

In: `Settings` and the row counts of the data files. Out: lines. verl drops the last partial batch,
so fewer rows than a batch are zero steps; both trainers stop when the epochs are over, whatever
`total_training_steps` says, and the RL trainer then neither validates nor saves the last step.
"""

from __future__ import annotations

from launch.preflight.arithmetic import ceil_div
from launch.preflight.lines import Line, failed, passed, warned
from launch.preflight.settings import Settings

BATCH = "data.train_batch_size"
EPOCHS = "trainer.total_epochs"
STEPS = "trainer.total_training_steps"
EACH_EPOCH = "after_each_epoch"


def planned_steps(settings: Settings, train_rows: int | None) -> int | None:
    """Steps that this run will make; None when neither rows nor `total_training_steps` say."""
    asked = settings.optional_whole(STEPS)
    if train_rows is None:
        return asked
    per_epoch = limited(train_rows, settings.whole("data.train_max_samples")) // settings.positive(
        BATCH
    )
    by_epochs = per_epoch * settings.positive(EPOCHS)
    return by_epochs if asked is None else min(asked, by_epochs)


def limited(rows: int, most: int) -> int:
    """Rows that verl uses of a file: all of them where `most` is not positive."""
    return min(rows, most) if most > 0 else rows


def check_steps(settings: Settings, train_rows: int | None, val_rows: int | None) -> list[Line]:
    """Rows against the batch, steps against the epochs, and what validation needs.

    Args:
        settings: the composed configuration.
        train_rows: rows of the training files; None: not known (missing or elsewhere).
        val_rows: rows of the validation files; None: not known, or there are none.

    Raises:
        ConfigError: a size is no whole number.
    """
    lines: list[Line] = []
    steps = planned_steps(settings, train_rows)
    if train_rows is not None:
        lines += _training(settings, limited(train_rows, settings.whole("data.train_max_samples")))
    lines += _validation(settings, val_rows)
    lines += _frequencies(settings)
    if lines:
        return lines
    if steps is None:
        return [passed("steps", "not known before the data are there")]
    return [passed("steps", f"{steps} in {settings[EPOCHS]} epoch(s)")]


def _training(settings: Settings, rows: int) -> list[Line]:
    batch = settings.positive(BATCH)
    if rows == 0:
        return []  # the check on the files has said so
    if rows < batch:
        return [
            failed(
                "steps",
                f"{rows} training rows are fewer than {BATCH}={batch}: zero steps",
                f"at least {batch} rows",
                f"{BATCH}={rows}",
            )
        ]
    per_epoch = rows // batch
    asked = settings.optional_whole(STEPS)
    epochs = settings.positive(EPOCHS)
    if asked is not None and asked > per_epoch * epochs:
        end = per_epoch * epochs
        unsaved = "" if settings.is_sft else ", without saving the last one"
        return [
            failed(
                "steps",
                f"{STEPS}={asked}, but {rows} rows make {per_epoch} step(s) an epoch and "
                f"{EPOCHS}={epochs}: training would stop at {end}{unsaved}",
                f"{ceil_div(asked, per_epoch)} epochs",
                f"{EPOCHS}={ceil_div(asked, per_epoch)}",
                f"{STEPS}={end}",
            )
        ]
    return []


def _validation(settings: Settings, val_rows: int | None) -> list[Line]:
    if not settings.optional("data.val_files"):
        return _without_validation(settings)
    if val_rows is None or val_rows == 0:
        return []
    rows = limited(val_rows, settings.whole("data.val_max_samples"))
    batch = settings.positive(BATCH)
    if settings.is_sft and rows < batch:
        return [
            failed(
                "validation",
                f"{rows} validation rows are fewer than {BATCH}={batch}: verl drops the partial "
                "batch and the validation loss is nan",
                f"at least {batch} rows",
                f"{BATCH}={rows}",
                "data.val_files=null trainer.test_freq=-1",
            )
        ]
    if not settings.is_sft and settings.optional("data.val_batch_size") is not None:
        return [
            warned(
                "validation",
                f"data.val_batch_size={settings['data.val_batch_size']} is deprecated: vLLM "
                "schedules the whole validation set by itself",
                "null",
                "data.val_batch_size=null",
            )
        ]
    return []


def _without_validation(settings: Settings) -> list[Line]:
    """No validation files: verl's RL trainer cannot start, its SFT trainer must not validate."""
    if not settings.is_sft:
        return [
            failed(
                "validation",
                "data.val_files is empty",
                "verl's RL trainer builds a validation set even if it never validates",
                f"data.val_files={settings['data.train_files']}",
            )
        ]
    freq = settings["trainer.test_freq"]
    if freq == EACH_EPOCH or (isinstance(freq, int) and freq > 0):
        return [
            failed(
                "validation",
                f"trainer.test_freq={freq} without data.val_files",
                "files to validate on, or no validation",
                "trainer.test_freq=-1",
            )
        ]
    return []


def _frequencies(settings: Settings) -> list[Line]:
    lines: list[Line] = []
    for key in ("trainer.save_freq", "trainer.test_freq"):
        freq = settings[key]
        if settings.is_sft and freq == 0:
            lines.append(
                failed(
                    "frequencies",
                    f"{key}=0: verl's SFT trainer divides by it",
                    "a positive number, or -1 for never",
                    f"{key}=-1",
                )
            )
        if not settings.is_sft and freq == EACH_EPOCH:
            got = f"{key}={freq}, which only the SFT trainer knows"
            lines.append(failed("frequencies", got, "a number of steps", f"{key}=10"))
    if settings["trainer.save_freq"] == -1:
        # SFT saves its last step whatever save_freq is; the RL trainer then saves nothing at all.
        if settings.is_sft:
            return lines
        lines.append(
            warned(
                "frequencies",
                "trainer.save_freq=-1: no checkpoint is ever saved",
                "a positive number, to resume and to evaluate",
                "trainer.save_freq=20",
            )
        )
    return lines
