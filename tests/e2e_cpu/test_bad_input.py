"""Bad input: one clear line with a way out, the documented exit code, and nothing half-written.

The commands are real, the mistakes are the user's. None of them may reach Ray: each answers within
seconds, and the folders are afterwards as they were, file by file.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet
import pytest

from conf import errors
from conf.errors import TemperError
from conf.runs import RunFolder
from launch import compose

pytestmark = pytest.mark.timeout(300)

Job = Callable[..., tuple[subprocess.CompletedProcess[str], RunFolder]]
SECONDS = 120  # a few on a quiet machine


@pytest.fixture(scope="module")
def prepared(run_job: Job, world: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared folder once data and policy are in it: no later command has to write there."""
    cwd = tmp_path_factory.mktemp("prepare")
    done, _ = run_job("sft", ["data.train_files=/nowhere.parquet"], cwd, code=None)
    assert done.returncode == errors.DataError.exit_code, done.stderr
    assert (world.data / "manifest.json").is_file()
    return Path(world.folder)


@pytest.fixture
def files(prepared: Path, tmp_path: Path) -> Path:
    """What the mistakes are made with; also the folder in which the commands are given."""
    train = prepared / "data" / "sft_train.parquet"
    parquet.write_table(parquet.read_table(train).slice(0, 0), tmp_path / "empty.parquet")
    (tmp_path / "cut.parquet").write_bytes(train.read_bytes()[:2000])
    (tmp_path / "text.parquet").write_text("question,answer\n")
    (tmp_path / "broken.py").write_text(
        "import no_such_package\n\ndef score(response, gold): ...\n"
    )
    (tmp_path / "reward.py").write_text("def score(response, gold, **row):\n    return 1.0\n")
    return tmp_path


@pytest.fixture
def refused(run_job: Job, prepared: Path, files: Path) -> Callable[..., str]:
    """`refused(error, job, *overrides) -> the one line`; checks everything that holds for all."""

    def check(
        error: type[TemperError], job: str, *overrides: str, bare: bool = False, **env: str
    ) -> str:
        before = {folder: listing(folder) for folder in (prepared, files)}
        done, _ = run_job(
            job,
            [word.replace("HERE", str(files)) for word in overrides],
            files,
            code=error.exit_code,
            timeout=SECONDS,
            bare=bare,
            env=env,
        )
        lines = done.stderr.splitlines()
        said = [line for line in lines if line.startswith("error: ")]
        assert said == lines[-1:], done.stderr
        assert "Traceback" not in done.stderr + done.stdout
        assert done.stdout == ""
        for folder, was in before.items():
            assert listing(folder) == was
        return said[0]

    return check


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file below the folder, with its size and the time of its last change.

    What Python compiled of an imported file is Python's own.
    """
    return {
        str(path): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir() and path.parent.name != "__pycache__"
    }


@pytest.mark.parametrize(
    ("error", "job", "overrides", "got", "way"),
    [
        pytest.param(
            errors.ConfigError,
            "sft",
            ["optim.learning_rate=1"],
            "optim.learning_rate",
            "optim.lr",
            id="unknown override",
        ),
        pytest.param(
            errors.ConfigError,
            "grpo",
            ["+custom_reward_function.path=HERE/reward.py"],
            "custom_reward_function.path",
            "reward.custom_reward_function.path",
            id="a key that verl never reads",
        ),
        pytest.param(
            errors.ConfigError,
            "grpo",
            ["policy.warm_start=sft", "data.train_batch_size=foo"],
            "data.train_batch_size is 'foo'; input should be a valid integer",
            "data.train_batch_size=",
            id="mistyped value",
        ),
        pytest.param(
            errors.ConfigError,
            "sft",
            ["trainer.total_epochs=null"],
            "trainer.total_epochs is None",
            "trainer.total_epochs=",
            id="null where a number is needed",
        ),
        pytest.param(
            errors.ConfigError, "sft", ["data=3"], "data is a node", "data.", id="a node as value"
        ),
        pytest.param(
            errors.PreflightError,
            "grpo",
            ["policy.warm_start=sft", "actor_rollout_ref.rollout.n=1"],
            "group size",
            "actor_rollout_ref.rollout.n=",
            id="a slip in what follows the warm start",
        ),
        pytest.param(
            errors.PreflightError,
            "grpo",
            ["policy=hub", "policy.path=/no/such/model"],
            "/no/such/model does not exist",
            "policy",
            id="missing model folder",
        ),
        pytest.param(
            errors.PreflightError,
            "sft",
            ["policy=hub", "policy.path=temper-tests/no-such-model"],
            "temper-tests/no-such-model",
            "policy",
            id="model that is not here, and no network",
        ),
        pytest.param(
            errors.ConfigError,
            "sft",
            ["data_prep.out=HERE/data", "data_prep.train_size=0"],
            "data_prep.train_size",
            "",
            id="zero rows to prepare",
        ),
        pytest.param(
            errors.DataError,
            "sft",
            ["data.train_files=HERE/empty.parquet"],
            "empty.parquet holds no rows",
            "data.train_files",
            id="zero rows",
        ),
        pytest.param(
            errors.DataError,
            "sft",
            ["data.train_files=HERE/cut.parquet"],
            "cut.parquet",
            "data.train_files",
            id="Parquet that was cut off",
        ),
        pytest.param(
            errors.DataError,
            "grpo",
            ["data.train_files=HERE/text.parquet"],
            "text.parquet",
            "data.train_files",
            id="a file that is no Parquet",
        ),
        pytest.param(
            errors.DataError,
            "grpo",
            ["data.train_files=HERE/nowhere.parquet"],
            "nowhere.parquet",
            "data.train_files",
            id="no file",
        ),
        pytest.param(
            errors.RewardError,
            "grpo",
            ["data_prep.out=HERE/data", "reward_fn.name=HERE/broken.py:score"],
            "No module named 'no_such_package'",
            "install",
            id="reward that does not import",
        ),
        pytest.param(
            errors.RewardError,
            "grpo",
            ["data_prep.out=HERE/data", "reward_fn.name=HERE/reward.py:scroe"],
            "scroe",
            "score",
            id="reward without that function",
        ),
        pytest.param(
            errors.PreflightError,
            "grpo",
            ["data_prep.reward=math", "reward_fn.name=HERE/broken.py:score"],
            "No module named 'no_such_package'",
            "",
            id="reward that does not import, the data being there",
        ),
        pytest.param(
            errors.PreflightError,
            "sft",
            ["hardware.ray_address=127.0.0.1:1"],
            "127.0.0.1:1",
            "hardware.ray_address=null",
            id="Ray address that does not answer",
        ),
    ],
)
def test_one_line_and_nothing_written(
    refused: Callable[..., str],
    error: type[TemperError],
    job: str,
    overrides: list[str],
    got: str,
    way: str,
) -> None:
    message, _, fix = refused(error, job, *overrides).partition(" → ")
    assert got in message
    assert way in fix


def test_unknown_recipe_names_the_nearest(refused: Callable[..., str]) -> None:
    said = refused(errors.ConfigError, "grpo", "+recipe=arithmetik", bare=True)
    assert said.endswith("→ +recipe=arithmetic")


@pytest.mark.skipif(os.path.exists("/dev/nvidia0"), reason="this machine has a GPU")
@pytest.mark.parametrize("job", ["sft", "grpo"])
def test_no_gpu_under_gpu1(refused: Callable[..., str], job: str) -> None:
    said = refused(errors.PreflightError, job, "hardware=gpu1")
    assert "hardware=gpu*" in said or "not installed" in said


def test_a_run_folder_of_another_configuration_offers_three_ways(
    refused: Callable[..., str], prepared: Path, world: Any
) -> None:
    words = [*world.shared, "run.name=mine"]
    config = compose.resolve(compose.compose("sft", words))
    mine = RunFolder.prepare(
        config.run.root, config.run.recipe, "mine", config, redact=lambda tree: tree
    )
    said = refused(errors.RunFolderError, "sft", *words, "optim.lr=0.5", bare=True)
    message, _, ways = said.partition(" → (1)")
    assert f"optim.lr {config.optim.lr} → 0.5" in message
    assert "run.name=mine-2" in ways
    assert f"optim.lr={config.optim.lr}" in ways
    assert f"rm -r {mine.path}" in ways


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """`small_disk("64k")`: a file system of that size; only root can mount one."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        folder = tmp_path / f"disk-{size}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_too_small_for_the_checkpoints_is_refused(
    refused: Callable[..., str], small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("4m")
    words = [f"run.root={disk}", "preflight.min_free_gb=0"]
    said = refused(errors.PreflightError, "sft", *words)
    assert said.startswith("error: disk: ")
    assert "run.root=" in said
    assert list(disk.iterdir()) == []


def test_a_full_disk_leaves_no_half_written_run_folder(
    refused: Callable[..., str], small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("8k")
    said = refused(errors.RunFolderError, "sft", f"run.root={disk}", "preflight.enable=false")
    assert said.startswith("error: disk full: cannot write ")
    assert "run.root=" in said
    assert [path for path in disk.rglob("*") if path.is_file()] == []


@pytest.mark.full
@pytest.mark.timeout(900)
def test_a_disk_that_fills_up_in_training_is_named(
    run_job: Job, prepared: Path, files: Path, small_disk: Callable[[str], Path]
) -> None:
    disk = small_disk("4m")
    words = [f"run.root={disk}", "preflight.enable=false", "trainer.save_freq=2"]
    code = errors.TrainingError.exit_code
    done, run = run_job("sft", words, files, code=code)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "disk is full" in last or "No space left" in last
    assert "run.root=" in last
    assert run.attempts()[-1].exit_file.is_file()
