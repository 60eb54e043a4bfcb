"""What the end-to-end tests share: prepared data, a tiny policy, a short SFT, and the commands.

In: the checkout and its virtual environment. Out: session fixtures. A run costs 30 to 120 s on two
cores, nearly all of it start-up, so data, policy, SFT and a vLLM server of the tiny policy are made
once for the whole session, and each test says what it adds. Jobs are started as a user starts them:
`python -m launch.JOB …` from some folder of their own, with the checkout on PYTHONPATH.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from conf.runs import RunFolder

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 600.0
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
RECIPE = "arithmetic"
# The smallest run that still passes through every part: 8 prompts, 4 responses each.
SMALL = {
    "sft": (
        "data.train_batch_size=32",
        "data.micro_batch_size_per_gpu=16",
        "data.val_max_samples=32",
        "optim.lr_warmup_steps=2",
        "trainer.total_training_steps=30",
        # Every other step is kept: `test_ranks` compares step 2.
        "trainer.save_freq=2",
        "trainer.max_ckpt_to_keep=null",
        "trainer.test_freq=30",
    ),
    "rl": (
        "policy.warm_start=null",
        "data.train_batch_size=8",
        "data.val_max_samples=16",
        "actor_rollout_ref.actor.ppo_mini_batch_size=8",
        "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=16",
        "actor_rollout_ref.rollout.n=4",
        "actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=16",
        "actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=16",
        "trainer.total_training_steps=2",
        "trainer.save_freq=2",
        "trainer.test_freq=2",
        "evaluation.enable=false",
    ),
}
Metrics = dict[int, dict[str, float]]


@dataclass(frozen=True)
class World:
    """Where everything of this session lies: one temporary folder.

    Attributes:
        folder: holds data/, policy/ and runs/; outside the checkout.
        shared: overrides that point a job of the recipe at the prepared data and the tiny policy.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """Prepared Parquet of the recipe, with its manifest."""
        return self.folder / "data"

    @property
    def policy(self) -> Path:
        """The tiny policy, randomly initialised."""
        return self.folder / "policy"

    @property
    def shared(self) -> tuple[str, ...]:
        """What every small job of the arithmetic recipe starts with."""
        return (
            f"+recipe={RECIPE}",
            "hardware=cpu",
            f"data_prep.out={self.data}",
            # Enough for the small runs; preparing the recipe's own size takes longer.
            "data_prep.train_size=256",
            "data_prep.sft_size=1024",
            f"policy.path={self.policy}",
            f"run.root={self.folder / 'runs'}",
        )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A user's environment with the checkout importable, before or after other folders."""
    added = dict(extra or {})
    paths = [str(ROOT), added.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **added, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def command(job: str, overrides: Sequence[str]) -> list[str]:
    """`python -m launch.JOB …`; of an override given twice the last one counts."""
    last = {override.partition("=")[0]: override for override in overrides}
    return [sys.executable, "-m", f"launch.{job}", *last.values()]


def folder_of(overrides: Sequence[str], job: str, cwd: Path) -> Path:
    """The run's folder as the overrides name it."""
    given = dict(override.lstrip("+").split("=", 1) for override in overrides)
    root = cwd / given.get("run.root", "runs")
    return RunFolder.locate(root, Path(given["recipe"]).name, given.get("run.name", job))


@pytest.fixture(scope="session")
def chromium() -> str:
    """A browser's path."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("this test needs chromium: apt-get update && apt-get install -y chromium")
    return found


Browse = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def browse(chromium: str, tmp_path: Path) -> Browse:
    """Open a page headless; returns the process' output (the DOM with --dump-dom)."""

    def run(page: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   "--disable-background-networking", "--disable-dev-shm-usage",
                   "--hide-scrollbars", "--enable-logging=stderr",
                   f"--user-data-dir={tmp_path / 'profile'}", *flags, page.as_uri()]  # fmt: skip
        done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr.decode(errors="replace")[-2000:]
        return done

    return run


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Prepared data and policy: made by the first job that needs them, then found."""
    return World(tmp_path_factory.mktemp("e2e"))


RunJob = Callable[..., tuple[subprocess.CompletedProcess[str], RunFolder]]
StartJob = Callable[..., tuple[subprocess.Popen[str], Path]]


@pytest.fixture(scope="session")
def start_job(world: World) -> StartJob:
    """`start_job("grpo", overrides, cwd) -> (Popen, path of the run's folder)`; it does not wait.

    Overrides come after `world.shared` and the job's SMALL ones, unless `bare=True`. The process
    leads a group of its own, so that a test can signal launcher and group apart.
    """

    def start(
        job: str,
        overrides: Sequence[str],
        cwd: Path,
        *,
        env: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> tuple[subprocess.Popen[str], Path]:
        base = () if bare else (*world.shared, *SMALL["sft" if job == "sft" else "rl"])
        words = [*base, *overrides]
        cwd.mkdir(parents=True, exist_ok=True)
        process = subprocess.Popen(
            command(job, words),
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        return process, folder_of(words, job, cwd)

    return start


@pytest.fixture(scope="session")
def run_job(start_job: StartJob) -> RunJob:
    """`run_job("grpo", overrides, cwd) -> (CompletedProcess, RunFolder)`, to its end.

    Keyword arguments: `code`, the exit code that it must have (0; None for any), `timeout` in
    seconds, and those of `start_job`. How long it took is printed.
    """

    def run(
        job: str,
        overrides: Sequence[str],
        cwd: Path,
        *,
        code: int | None = 0,
        timeout: float = TIMEOUT_S,
        env: Mapping[str, str] | None = None,
        bare: bool = False,
    ) -> tuple[subprocess.CompletedProcess[str], RunFolder]:
        begun = time.monotonic()
        process, folder = start_job(job, overrides, cwd, env=env, bare=bare)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            # The launcher cleans up after itself on SIGTERM.
            process.terminate()
            out, err = process.communicate(timeout=60)
            pytest.fail(f"launch.{job} took more than {timeout:.0f} s\n{err[-3000:]}{_log(folder)}")
        print(f"launch.{job} {folder.name}: {time.monotonic() - begun:.0f} s")
        if code is not None and process.returncode != code:
            pytest.fail(
                f"launch.{job} exited with {process.returncode}, not {code}\n"
                f"{out[-1000:]}{err[-3000:]}{_log(folder)}"
            )
        done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        if (folder / "config.yaml").is_file():
            return done, RunFolder.open(folder)
        return done, RunFolder(folder, {})

    return run


def _log(folder: Path) -> str:
    """The end of the newest attempt's log, for a failed assertion."""
    log = folder / "latest" / "stdout.log"
    if not log.is_file():
        return ""
    return f"\n--- {log}\n" + log.read_text(encoding="utf-8", errors="replace")[-6000:]


@pytest.fixture(scope="session")
def metrics_of() -> Callable[[RunFolder], Metrics]:
    """`metrics_of(run) -> {step: {name: value}}`, from the run's merged metrics."""

    def read(run: RunFolder) -> Metrics:
        lines = run.metrics_file.read_text(encoding="utf-8").splitlines()
        return {record["step"]: record["data"] for record in map(json.loads, lines)}

    return read


@pytest.fixture(scope="session")
def sft_run(run_job: RunJob, world: World) -> RunFolder:
    """A finished SFT of 30 small steps; its folder serves RL jobs as `policy.path`."""
    return run_job("sft", ["run.name=sft"], world.folder / "cwd")[1]


@pytest.fixture(scope="session")
def from_sft(sft_run: RunFolder) -> tuple[str, ...]:
    """Overrides that let a small RL job start from the shared SFT's checkpoint."""
    return (f"policy.path={sft_run.path}",)


@dataclass(frozen=True)
class Served:
    """A vLLM server with OpenAI's routes on the loopback, of the tiny policy with random weights.

    Attributes:
        base_url: up to and with `/v1`.
        model: its name there.
        policy: the model's folder.
        log: what the server says.
    """

    base_url: str
    model: str
    policy: Path
    log: Path

    def requests(self) -> int:
        """Completions that it has finished, by its own count."""
        url = self.base_url.removesuffix("/v1") + "/metrics"
        with urllib.request.urlopen(url, timeout=60) as reply:
            lines = reply.read().decode().splitlines()
        counted = [line for line in lines if line.startswith("vllm:request_success_total{")]
        return sum(int(float(line.rpartition(" ")[2])) for line in counted)


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on.

    They lie below those that the kernel gives to who asks for any (from 32768) and above those of
    Ray's workers (to 19999): a server that takes its port seconds later still finds it free.
    """
    found: list[int] = []
    for port in random.SystemRandom().sample(range(20000, 32768), 1000):
        with socket.socket() as look, contextlib.suppress(OSError):
            look.bind(("", port))
            found.append(port)
        if len(found) == count:
            return found
    pytest.fail(f"of 1000 ports only {len(found)} are free, needed {count}")


@pytest.fixture(scope="session", name="free_ports")
def free_ports_() -> Callable[[int], list[int]]:
    """`free_ports(count)`."""
    return free_ports


SERVED = "tiny"
SERVER_LIMIT_S = 300.0  # until it answers; about 35 s on two quiet cores
SERVER_OPTIONS = (
    *("--host", "127.0.0.1", "--served-model-name", SERVED, "--dtype", "float32"),
    *("--enforce-eager", "--max-model-len", "2048", "--max-num-seqs", "32"),
)


@contextlib.contextmanager
def serve(folder: Path, policy: Path, *options: str) -> Iterator[Served]:
    """A server of a model; it and all its processes are gone afterwards.

    Args:
        folder: for its log.
        policy: the model's folder.
        options: of vLLM, beside those of every server here.
    """
    log = folder / "server.log"
    (port,) = free_ports(1)
    # One thread: a model of this size is slower on two, above all where others use the second.
    added = {"VLLM_CPU_KVCACHE_SPACE": "1", "OMP_NUM_THREADS": "1", "VLLM_LOGGING_LEVEL": "WARNING"}
    module = "vllm.entrypoints.openai.api_server"
    words = [sys.executable, "-m", module, "--model", str(policy), "--port", str(port)]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*words, *SERVER_OPTIONS, *options],
            cwd=folder,
            env=environment(added),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        _until_healthy(process, f"http://127.0.0.1:{port}/health", log)
        yield Served(f"http://127.0.0.1:{port}/v1", SERVED, policy, log)
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its engine outlives it where it was killed
        process.wait()


@pytest.fixture(scope="session")
def serve_model() -> Callable[..., contextlib.AbstractContextManager[Served]]:
    """What starts a server of a test's own model: a context manager, called as `serve` is."""
    return serve


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server of the tiny policy, one for the session.

    What it says is made of random bytes, most answers run into `max_tokens`. One that has to be
    read is asked for with `response_format`, which vLLM keeps to whatever the weights are.
    """
    folder = tmp_path_factory.mktemp("served")
    policy = folder / "policy"
    build = [sys.executable, "-m", "launch.bridge.tiny_policy", str(policy), "1"]
    subprocess.run(build, cwd=ROOT, env=environment(), check=True, timeout=120)
    with serve(folder, policy) as server:
        yield server


def _until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < SERVER_LIMIT_S and process.poll() is None:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            print(f"vLLM server: {time.monotonic() - begun:.0f} s")
            return
        time.sleep(0.25)
    said = log.read_text(encoding="utf-8", errors="replace")[-4000:]
    pytest.fail(f"no vLLM server after {time.monotonic() - begun:.0f} s\n{said}")
