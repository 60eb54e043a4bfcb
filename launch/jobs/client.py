"""Ray's job server as we use it: connect, submit, ask, stop. Ray's own client does the work.

In: the address of a cluster's dashboard. Out: `Jobs`, whose methods raise `ClusterError` with one
line where Ray's client would hang or show a traceback. Nothing is composed or packaged here, and
what is shown passes a redactor. Ray is imported on the first call.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from conf.errors import EXIT_TERMINATED, ClusterError, ConfigError

DEFAULT_ADDRESS = "http://127.0.0.1:8265"
ADDRESS_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_DASHBOARD_ADDRESS", "RAY_ADDRESS")
TALKERS = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.runtime_env.packaging",
)
"""Ray's modules that set themselves to tell each upload and each closed connection."""
CONNECT_S = 10.0
AGENT_S = 60.0
STOP_S = 40.0
JOB_STOP_WAIT_S = 10
"""Seconds between Ray's SIGTERM and SIGKILL to a stopped job; the guard needs up to 6."""
PROBE = {"temper": "probe"}
"""Metadata of the jobs that ask the nodes before a submission; `list` leaves them out."""
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")


@dataclass(frozen=True)
class JobState:
    """One job as the server describes it.

    Attributes:
        id: its submission id.
        status: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        exit_code: of its command; None while it runs, or where Ray knows none.
        message: Ray's words; they may quote the end of the log.
        entrypoint: its command.
        metadata: ours: recipe, run folder, version.
        started: Unix time, 0 when it has not.
        ended: Unix time, 0 while it runs.
    """

    id: str
    status: str
    exit_code: int | None
    message: str
    entrypoint: str
    metadata: Mapping[str, str]
    started: float
    ended: float

    @property
    def over(self) -> bool:
        """Whether it has ended, however."""
        return self.status in ENDED

    @property
    def our_exit_code(self) -> int:
        """What a follower exits with: 0, the command's own code, 128 + signal, 143 if stopped."""
        if self.status == "SUCCEEDED":
            return 0
        if self.status == "STOPPED":
            return EXIT_TERMINATED
        if self.exit_code is None or self.exit_code == 0:
            return ClusterError.exit_code  # Ray could not start it, or lost it
        return self.exit_code if self.exit_code > 0 else 128 - self.exit_code


def address_of(given: str | None) -> str:
    """The dashboard to talk to: as given, else from the environment, else Ray's default port.

    Raises:
        ConfigError: not an http address.
    """
    named = [value for name in ADDRESS_VARIABLES if (value := os.environ.get(name))]
    # RAY_ADDRESS may also name the GCS, which speaks no HTTP.
    address = given or next((a for a in named if a.startswith("http")), DEFAULT_ADDRESS)
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            f"{address} is not the address of a Ray dashboard", f"--address {DEFAULT_ADDRESS}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path.rstrip("/")


def is_this_host(address: str) -> bool:
    """Whether an address is a loopback one, so that the cluster's head has our file system."""
    host = urlsplit(address).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.") or host == socket.gethostname()


class Jobs:
    """The job server of one cluster."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: http address of the dashboard.

        Raises:
            ClusterError: it does not answer, is no Ray, or wants a token that we have not.
        """
        self.address = address
        if is_this_host(address):
            # Ray's client honours http_proxy even for the loopback.
            kept = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
            os.environ["no_proxy"] = ",".join(filter(None, [kept, "127.0.0.1,localhost,::1"]))
        self._knock()
        # Ray's client would let these win over the address that it is given.
        hidden = {name: os.environ.pop(name, None) for name in ADDRESS_VARIABLES}
        try:
            with self._asking("connect"):
                from ray.job_submission import JobSubmissionClient

                for name in TALKERS:
                    logging.getLogger(name).setLevel(logging.WARNING)
                self.client = JobSubmissionClient(address)
        finally:
            os.environ.update({name: value for name, value in hidden.items() if value is not None})

    def submit(
        self,
        entrypoint: str,
        folder: Path,
        *,
        submission_id: str,
        metadata: Mapping[str, str],
        node_id: str | None = None,
    ) -> None:
        """Upload the folder, unless the cluster has it, and start the job.

        Args:
            entrypoint: shell command, run in the uploaded folder.
            folder: becomes working_dir of driver and workers.
            submission_id: new on this cluster.
            metadata: text for `list` and `status`.
            node_id: where the command is to run; None: on the head.

        Raises:
            ClusterError: refused.
        """
        environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(JOB_STOP_WAIT_S)}
        placed: dict[str, Any] = {}
        if node_id is not None:
            placed["entrypoint_label_selector"] = {"ray.io/node-id": node_id}
            # The command holds no GPU of Ray's; Ray would hide them all from it.
            environment["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        deadline = time.monotonic() + AGENT_S
        while True:
            try:
                with self._asking("submit the job"):
                    self.client.submit_job(
                        entrypoint=entrypoint,
                        submission_id=submission_id,
                        runtime_env={"working_dir": str(folder), "env_vars": environment},
                        metadata=dict(metadata),
                        **placed,
                    )
                return
            except ClusterError as error:
                # The dashboard answers some seconds before the agent that starts jobs is there.
                if "No available agent" not in error.message or time.monotonic() > deadline:
                    raise
            time.sleep(1)

    def state(self, job_id: str) -> JobState:
        """The job as it is now.

        Raises:
            ClusterError: no such job, or the server does not answer.
        """
        with self._asking("find", job_id):
            return _state(self.client.get_job_info(job_id))

    def logs(self, job_id: str) -> str:
        """All that the job has printed.

        Raises:
            ClusterError: as `state`.
        """
        with self._asking("read the log of", job_id):
            return str(self.client.get_job_logs(job_id))

    def list(self) -> list[JobState]:
        """Jobs that were submitted, oldest first, without our probes.

        Raises:
            ClusterError: the server does not answer.
        """
        with self._asking("list the jobs"):
            found = [_state(info) for info in self.client.list_jobs() if info.submission_id]
        shown = [job for job in found if job.metadata != PROBE]
        return sorted(shown, key=lambda job: job.started)

    def stop(self, job_id: str) -> JobState:
        """Stop a job and wait until it has ended.

        Raises:
            ClusterError: no such job, or it does not end.
        """
        state = self.state(job_id)
        if not state.over:
            with self._asking("stop", job_id):
                self.client.stop_job(job_id)
        state = self.wait(job_id, STOP_S)
        if not state.over:
            raise ClusterError(
                f"{job_id} has not ended {STOP_S:.0f} s after it was stopped",
                f"python -m launch.submit status {job_id} --address {self.address}",
            )
        return state

    def wait(self, job_id: str, seconds: float, every: float = 0.5) -> JobState:
        """The job's state once it is over, or after some seconds."""
        deadline = time.monotonic() + seconds
        while not (state := self.state(job_id)).over and time.monotonic() < deadline:
            time.sleep(every)
        return state

    def _knock(self) -> None:
        """One request with a limit: Ray's client has none, and waits for ever."""
        try:
            urllib.request.urlopen(f"{self.address}/api/version", timeout=CONNECT_S).close()
        except urllib.error.HTTPError as error:
            if error.code in (401, 403):
                # Ray's client looks for a token (its environment, ~/.ray) only under this mode.
                os.environ.setdefault("RAY_AUTH_MODE", "token")
            else:
                raise self._no_answer("what listens there is no Ray dashboard") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            text = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
            raise self._no_answer(text) from error

    def _no_answer(self, reason: str) -> ClusterError:
        return ClusterError(
            f"no Ray answers at {self.address}: {reason}",
            "--address http://HEAD:8265, the dashboard of a running cluster; `ray start --head "
            "--dashboard-host=127.0.0.1` starts one here",
        )

    @contextmanager
    def _asking(self, what: str, job_id: str = "") -> Iterator[None]:
        """Turn what Ray's client raises into one line."""
        from ray.exceptions import AuthenticationError
        from requests.exceptions import RequestException

        try:
            yield
        except AuthenticationError as error:
            raise ClusterError(
                f"the Ray at {self.address} wants a token, or another one than ours",
                "RAY_AUTH_TOKEN_PATH=FILE with the cluster's token, or ~/.ray/auth_token",
            ) from error
        except (ConnectionError, RequestException) as error:
            raise self._no_answer(_first_line(error)) from error
        except (RuntimeError, ValueError, KeyError) as error:
            text = _first_line(error)
            if "404" in text or "does not exist" in text:
                raise ClusterError(
                    f"no job {job_id} on the cluster at {self.address}",
                    f"python -m launch.submit list --address {self.address}",
                ) from error
            whom = f"{what} {job_id}".strip()
            raise ClusterError(f"the Ray at {self.address} cannot {whom}: {text}") from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _state(info: Any) -> JobState:
    return JobState(
        id=str(info.submission_id),
        status=str(getattr(info.status, "value", info.status)),
        exit_code=info.driver_exit_code,
        message=info.message or "",
        entrypoint=info.entrypoint,
        metadata=dict(info.metadata or {}),
        started=(info.start_time or 0) / 1000,
        ended=(info.end_time or 0) / 1000,
    )
