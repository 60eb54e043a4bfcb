"""Jobs on a real Ray head: preflight on its node, upload, log, exit code, stop; secrets stay out.

The head is started here with a dashboard on the loopback and a token of its own, and ended
afterwards. On its PYTHONPATH lies an older temper that cannot be imported: what works, works by the
uploaded version.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from conf.errors import ConfigError, PreflightError, RunFolderError
from launch.guard import Spec
from launch.jobs.client import Jobs
from launch.jobs.package import stage
from launch.processes import Process, all_processes

pytestmark = pytest.mark.timeout(600)

SECRETS = {
    "WANDB_API_KEY": f"planted-{secrets.token_hex(12)}",  # of who submits
    "HF_TOKEN": f"hf_{secrets.token_hex(20)}",  # of the cluster
    "RAY_TOKEN": secrets.token_hex(32),
}
Ports = Callable[[int], list[int]]
# Ray's defaults are fixed numbers, which another head of this machine may hold.
PORTS = ("dashboard-agent-listen-port", "ray-client-server-port", "metrics-export-port")
CLEAN_S = 15.0
"""Seconds after its end in which nothing of a job may be left."""
SFT = [
    "sft",
    "+recipe=arithmetic",
    "data_prep.train_size=64",
    "data_prep.test_size=32",
    "data_prep.sft_size=128",
    "data.train_batch_size=32",
    "data.micro_batch_size_per_gpu=32",
]


@dataclass(frozen=True)
class Head:
    """A running Ray head and the environment of who submits to it."""

    address: str
    environment: dict[str, str]
    folder: Path

    def answers(self) -> bool:
        """Whether its dashboard does."""
        command = [sys.executable, "-m", "launch.submit", "list", "--address", self.address]
        done = subprocess.run(command, env=self.environment, cwd=self.folder, capture_output=True)
        return done.returncode == 0

    def submit(self, *words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `python -m launch.submit` from the user's folder, which holds no code of ours."""
        done = subprocess.run(
            [sys.executable, "-m", "launch.submit", *words, "--address", self.address],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        print(done.stdout, done.stderr, sep="\n--- stderr\n")
        for secret in SECRETS.values():
            assert secret not in done.stdout + done.stderr
        return done


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.25)
    return True


def an_older_temper(folder: Path) -> Path:
    """A temper on the nodes that is not the submitter's, and would be noticed."""
    (folder / "launch").mkdir(parents=True)
    (folder / "launch" / "__init__.py").write_text("raise ImportError('the older version')\n")
    info = folder / "temper-0.0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: temper\nVersion: 0.0.1\n")
    return folder


def start_head(folder: Path, repo: Path, free_ports: Ports, **extra: str) -> Iterator[Head]:
    """A head below a guard of ours, which ends all of it, also when this process is killed."""
    # Ray's sockets lie below it, and their paths may have 107 characters.
    ray_folder = Path(tempfile.mkdtemp(prefix="temper", dir="/tmp"))
    token = folder / "home" / ".ray" / "auth_token"
    token.parent.mkdir(parents=True)
    token.write_text(SECRETS["RAY_TOKEN"])
    (folder / "work").mkdir()
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    ours |= {"HOME": str(folder / "home"), "PATH": f"{Path(sys.executable).parent}:{ours['PATH']}"}
    dashboard, gcs, *others = free_ports(2 + len(PORTS))
    command = [
        *("ray", "start", "--head", "--block", f"--port={gcs}", "--num-cpus=64"),
        *("--num-gpus=1", f"--temp-dir={ray_folder}", "--object-store-memory=200000000"),
        *("--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"),
        *(f"--{name}={port}" for name, port in zip(PORTS, others, strict=True)),
        "--disable-usage-stats",
    ]
    environment = {
        **ours,
        "PYTHONPATH": str(repo),
        "WANDB_API_KEY": SECRETS["WANDB_API_KEY"],
        "RAY_ADDRESS": "http://127.0.0.1:9",  # --address wins over it
    }
    result = Head(f"http://127.0.0.1:{dashboard}", environment, folder / "work")
    on_the_head = {
        **ours,
        "PYTHONPATH": str(an_older_temper(folder / "old")),
        "HF_TOKEN": SECRETS["HF_TOKEN"],
        "RAY_prestart_worker_first_driver": "0",
        **extra,
    }
    with guarded(command, folder, repo, on_the_head):
        assert until(result.answers, 120), (folder / "head.log").read_text()
        yield result
    shutil.rmtree(ray_folder, ignore_errors=True)


@contextmanager
def guarded(
    command: list[str], folder: Path, repo: Path, environment: dict[str, str]
) -> Iterator[None]:
    """Run a command below `launch.guard`; its output goes to head.log."""
    life_read, life_write = os.pipe()
    report_read, report_write = os.pipe()
    spec = Spec(
        command=command,
        launcher=os.getpid(),
        life_fd=life_read,
        report_fd=report_write,
        pid_file=str(folder / "pid.json"),
        exit_file=str(folder / "exit.json"),
        grace_s=15.0,
        polite_s=2.0,
    )
    code = f"import sys; sys.path.append({str(repo)!r}); from launch.guard import main; main()"
    with (folder / "head.log").open("w") as log:
        guard = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", code, json.dumps(asdict(spec))],
            env=environment,
            cwd=folder,
            stdout=log,
            stderr=log,
            pass_fds=(life_read, report_write),
            start_new_session=True,
        )
    try:
        yield
        assert guard.poll() is None
    finally:
        guard.terminate()
        guard.wait(60)
        for handle in (life_read, life_write, report_read, report_write):
            os.close(handle)


def read(process: Process, what: str) -> bytes:
    try:
        return Path(f"/proc/{process.pid}/{what}").read_bytes()
    except OSError:
        return b""


def running(mark: str) -> list[Process]:
    """Processes with a text in their environment or command line, ours excepted."""
    table = [process for process in all_processes() if process.pid != os.getpid()]
    text = mark.encode()
    return [p for p in table if text in read(p, "environ") or text in read(p, "cmdline")]


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory, repo: Path, free_ports: Ports) -> Iterator[Head]:
    yield from start_head(tmp_path_factory.mktemp("head"), repo, free_ports)


@pytest.fixture(scope="module")
def finished(head: Head) -> subprocess.CompletedProcess[str]:
    """One SFT of two steps, followed to its end."""
    return head.submit(*SFT, "trainer.total_training_steps=2", "--follow")


@pytest.fixture
def jobs(head: Head, monkeypatch: pytest.MonkeyPatch) -> Jobs:
    # Ray settles once per process whether it has a token, and another test may have been first.
    ours = {"Authorization": f"Bearer {SECRETS['RAY_TOKEN']}"}
    talker = "ray.dashboard.modules.dashboard_sdk.get_auth_headers_if_auth_enabled"
    monkeypatch.setattr(talker, lambda given: ours)
    # `Jobs` sets it for good; a Ray of the next test in this process would want a token too.
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    return Jobs(head.address)


def the_job(head: Head, run: str) -> str:
    """The id of the job of a run, as `list` shows it."""
    lines = [line for line in head.submit("list").stdout.splitlines() if line.endswith(run)]
    assert len(lines) == 1
    return lines[0].split()[0]


def test_a_followed_job_trains_and_ends_with_0(
    head: Head, finished: subprocess.CompletedProcess[str]
) -> None:
    assert finished.returncode == 0
    run = head.folder / "runs" / "arithmetic" / "sft"
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records if "train/loss" in record["data"]] == [1, 2]
    assert (run / "checkpoints" / "global_step_2").is_dir()
    assert "step 2/2" in finished.stdout  # the job's own log was shown
    assert "SUCCEEDED" in finished.stderr


def test_its_state_and_log_can_be_asked_for(
    head: Head, finished: subprocess.CompletedProcess[str]
) -> None:
    job = the_job(head, "arithmetic/sft")
    said = head.submit("status", job).stdout
    assert "status     SUCCEEDED" in said
    assert "exit code  0" in said
    assert "step 2/2" in head.submit("logs", job).stdout
    again = head.submit("logs", job, "--follow")
    assert again.returncode == 0
    assert "step 2/2" in again.stdout


def test_the_probe_is_no_job_of_the_users(
    head: Head, finished: subprocess.CompletedProcess[str]
) -> None:
    assert "probe" not in head.submit("list").stdout


def test_no_secret_in_what_ray_tells_or_the_run_wrote(
    head: Head, finished: subprocess.CompletedProcess[str], jobs: Jobs
) -> None:
    told = "".join(info.model_dump_json() for info in jobs.client.list_jobs())
    told += "".join(jobs.logs(job.id) for job in jobs.list())
    assert "launch.sft" in told
    written = b""
    for path in (head.folder / "runs").rglob("*"):
        written += path.read_bytes() if path.is_file() else b""
    assert b"arithmetic" in written
    for secret in SECRETS.values():
        assert secret not in told
        assert secret.encode() not in written


def test_a_failing_jobs_exit_code_is_ours(
    head: Head, finished: subprocess.CompletedProcess[str]
) -> None:
    # The run folder holds another configuration, which the job finds only once it runs.
    done = head.submit(*SFT, "trainer.total_training_steps=2", "optim.lr=1e-2", "--follow")
    assert done.returncode == RunFolderError.exit_code
    assert "optim.lr" in done.stdout


def test_a_stopped_job_leaves_nothing_running(head: Head) -> None:
    job = head.submit(
        *SFT, "run.name=long", "trainer.total_training_steps=100000", "trainer.total_epochs=100000"
    ).stdout.split()[-1]
    run = head.folder / "runs" / "arithmetic" / "long"
    metrics = run / "attempts" / "0001" / "metrics.jsonl"
    assert until(lambda: metrics.is_file() and metrics.stat().st_size > 0, 240)
    before = running(str(run))
    assert len(before) >= 2  # workers, at least; their environment names the run's folder
    assert head.submit("stop", job).returncode == 0
    assert until(lambda: not running(str(run)), CLEAN_S), running(str(run))
    assert until(lambda: not set(before) & set(all_processes()), CLEAN_S)
    assert "status     STOPPED" in head.submit("status", job).stdout
    assert head.submit("logs", job, "--follow").returncode == 143


LEAVER = """
import os, subprocess, sys, time
from omegaconf import OmegaConf
from launch.bridge import ray_session

SLEEP = "import time; time.sleep(600)"
DAEMON = "import os; os.fork() and os._exit(0); os.setsid(); " + SLEEP

class Leaver:
    def leave(self):
        subprocess.Popen([sys.executable, "-c", SLEEP, "LEFT"])
        subprocess.Popen([sys.executable, "-c", SLEEP, "LEFT"], start_new_session=True, env={})
        # No child, in no group of the worker's: nothing of Ray's ends it.
        subprocess.run([sys.executable, "-c", DAEMON, "LEFT"])
        time.sleep(3)

config = OmegaConf.create({"job": "grpo", "hardware": {"ray_address": "auto"}})
ray_session.start(config, {})
import ray
leaver = ray.remote(num_cpus=0)(Leaver).remote()
ray.get(leaver.leave.remote())
print("left", flush=True)
if sys.argv[1] == "fail":
    sys.exit(3)
time.sleep(600)
"""


@pytest.mark.parametrize("how", ["fail", "stop", "kill"])
def test_what_an_actor_started_ends_with_its_job(
    head: Head, jobs: Jobs, tmp_path: Path, how: str
) -> None:
    mark = secrets.token_hex(8)
    upload = tmp_path / "upload"
    upload.mkdir()
    stage(upload, recipes=())
    (upload / "leaver.py").write_text(LEAVER.replace("LEFT", mark))
    jobs.submit(f"exec python leaver.py {how}", upload, submission_id=f"leaver-{how}", metadata={})
    assert until(lambda: "left\n" in jobs.logs(f"leaver-{how}"), 240), jobs.logs(f"leaver-{how}")
    if how == "stop":
        assert jobs.stop(f"leaver-{how}").status == "STOPPED"
    elif how == "kill":
        assert len(running(mark)) == 3
        (driver,) = [p for p in running(f"leaver.py\0{how}") if p.session == p.pid]
        os.kill(driver.pid, signal.SIGKILL)
    if how != "stop":
        code = jobs.wait(f"leaver-{how}", 60).our_exit_code
        assert code == (3 if how == "fail" else 137)
    assert until(lambda: not running(mark), CLEAN_S), running(mark)


def test_what_the_clusters_checks_refuse_is_not_submitted(head: Head) -> None:
    before = head.submit("list").stdout
    done = head.submit(*SFT, "run.name=wide", "hardware.ranks=2")
    assert done.returncode == PreflightError.exit_code
    assert done.stderr.splitlines()[-1].startswith("error: GPUs:")
    assert head.submit("list").stdout == before
    assert not (head.folder / "runs" / "arithmetic" / "wide").exists()


def test_a_secret_in_the_command_is_refused_before_it_travels(head: Head) -> None:
    done = head.submit(*SFT, f"run.name={SECRETS['WANDB_API_KEY']}")
    assert done.returncode == ConfigError.exit_code


def test_a_wrong_id_is_one_line(head: Head) -> None:
    for what in ("status", "logs", "stop"):
        done = head.submit(what, "no-such-job")
        assert done.returncode == 8
        assert done.stderr.splitlines()[-1].startswith("error: no job no-such-job on the cluster")


def test_a_wrong_token_is_one_line(head: Head) -> None:
    stranger = {**head.environment, "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    done = Head(head.address, stranger, head.folder).submit("list")
    assert done.returncode == 8
    assert done.stderr.splitlines()[-1].startswith(
        f"error: the Ray at {head.address} wants a token"
    )


def test_nodes_whose_verl_loads_no_plugin_fail_the_preflight(
    tmp_path: Path, repo: Path, free_ports: Ports
) -> None:
    heads = start_head(tmp_path, repo, free_ports, VERL_USE_EXTERNAL_PLUGINS="none")
    try:
        done = next(heads).submit(*SFT, "trainer.total_training_steps=2")
    finally:
        heads.close()  # type: ignore[attr-defined]
    assert done.returncode == PreflightError.exit_code
    assert "verl would not find the CPU platform" in done.stderr.splitlines()[-1]


GRPO = [
    "grpo",
    "+recipe=arithmetic",
    # Beside the SFT jobs above: of another size, and the warm start is an SFT too.
    "data_prep.out=data/grpo",
    "run.root=runs/grpo",
    "data.train_batch_size=8",
    "data.val_max_samples=16",
    "actor_rollout_ref.actor.ppo_mini_batch_size=8",
    "actor_rollout_ref.rollout.n=4",
]


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_grpo_trains_on_the_cluster_after_its_warm_start(head: Head) -> None:
    done = head.submit(
        *GRPO,
        "run.name=grpo-short",
        "trainer.total_training_steps=2",
        "evaluation.n=64",
        "--follow",
        seconds=900,
    )
    assert done.returncode == 0
    run = head.folder / "runs" / "grpo" / "arithmetic" / "grpo-short"
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {1, 2} <= set(steps)
    assert (run / "report.html").is_file()


@pytest.mark.full
@pytest.mark.timeout(1200)
def test_a_grpo_stopped_in_the_middle_leaves_no_engine(head: Head) -> None:
    job = head.submit(
        *GRPO,
        "run.name=grpo-long",
        "policy.warm_start=null",
        "trainer.total_training_steps=1000",
        "trainer.total_epochs=1000",
    ).stdout.split()[-1]
    run = head.folder / "runs" / "grpo" / "arithmetic" / "grpo-long"
    metrics = run / "attempts" / "0001" / "metrics.jsonl"
    assert until(lambda: metrics.is_file() and '"step":2,' in metrics.read_text(), 600)
    before = running(str(run))
    assert len(before) >= 4
    assert head.submit("stop", job).returncode == 0
    assert until(lambda: not set(before) & set(all_processes()), CLEAN_S)
    assert running(str(run)) == []
