"""Addresses, exit codes, the probe's answer: what is judged without a cluster."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest

from conf.errors import ClusterError, ConfigError, PreflightError
from launch import submit
from launch.jobs import client, preflight
from launch.jobs.client import ADDRESS_VARIABLES, Jobs, JobState, address_of, is_this_host
from launch.jobs.follow import Follower
from launch.jobs.package import Package
from launch.jobs.probe import MARK, allowed
from launch.preflight import Report
from launch.redact import Redactor

STATE = JobState("id", "RUNNING", None, "", "exec python", {}, 1.0, 0.0)
PLUGIN = "launch.cpu_platform.plugin"


@pytest.fixture(autouse=True)
def no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ADDRESS_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_address_given_wins_then_the_environment_then_rays_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert address_of(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")  # the GCS, which speaks no HTTP
    assert address_of(None) == "http://127.0.0.1:8265"
    monkeypatch.setenv("RAY_DASHBOARD_ADDRESS", "http://head:8265/")
    assert address_of(None) == "http://head:8265"
    assert address_of("https://other/ray/") == "https://other/ray"


@pytest.mark.parametrize(
    "text", ["auto", "ray://h:10001", "127.0.0.1:8265", "http://h:x", "http://"]
)
def test_another_kind_of_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--address http"):
        address_of(text)


def test_the_loopback_is_this_host() -> None:
    here = (
        "http://127.0.0.1:1",
        "http://localhost:8265",
        "http://[::1]:8265",
        "http://127.8.8.8:1",
    )
    assert all(map(is_this_host, here))
    assert not is_this_host("http://10.0.0.1:8265")


@pytest.mark.parametrize(
    ("status", "code", "ours"),
    [
        ("SUCCEEDED", 0, 0),
        ("FAILED", 5, 5),
        ("FAILED", -9, 137),
        ("FAILED", None, 8),
        ("STOPPED", None, 143),
    ],
)
def test_a_follower_exits_with_the_jobs_code(status: str, code: int | None, ours: int) -> None:
    assert replace(STATE, status=status, exit_code=code).our_exit_code == ours


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("kind", ["stranger", "silent", "closed"])
def test_what_does_not_answer_as_ray_is_one_line(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CONNECT_S", 0.5)
    url = "http://127.0.0.1:9" if kind == "closed" else request.getfixturevalue(kind)
    with pytest.raises(ClusterError, match=f"no Ray answers at {url}") as caught:
        Jobs(url)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 8


def test_the_command_line_refuses_an_id_too_few_or_too_many() -> None:
    for words in (["status"], ["stop", "a", "b"], ["list", "a"], ["frpo", "+recipe=arithmetic"]):
        with pytest.raises(SystemExit) as caught:
            submit.main(words)
        assert caught.value.code == 2


def node(**changes: Any) -> dict[str, Any]:
    """A node as `launch.jobs.probe` reports it, this host's own values but for the changes."""
    report = preflight.probe(with_torch=False)
    code = {"folder": "/upload", "fingerprint": "f" * 64}
    report |= {"plugins": [PLUGIN], "code": code, "id": "n1", "cpus": 64.0, "gpus": 1.0}
    return {**report, **changes}


def judged(*nodes: dict[str, Any]) -> Report:
    cluster = preflight.Cluster(nodes, (), "n1")
    hardware = SimpleNamespace(device="cpu", ranks=1)
    plan: Any = SimpleNamespace(config=SimpleNamespace(hardware=hardware))
    return preflight.report(cluster, plan, Package(None, "0.1.0", "f" * 64))  # type: ignore[arg-type]


def test_nodes_like_this_host_pass() -> None:
    assert judged(node(), node(host="two")).ok


def test_a_missing_plugin_fails_and_names_the_node() -> None:
    with pytest.raises(PreflightError, match="two: verl would not find the CPU platform"):
        judged(node(), node(host="two", plugins=[])).raise_for_failures()


def test_another_verl_on_one_node_fails() -> None:
    packages = {**node()["packages"], "verl": "0.8.0"}
    with pytest.raises(PreflightError, match=r"two: verl 0\.8\.0, here 0\.9\.1"):
        judged(node(), node(host="two", packages=packages)).raise_for_failures()


@pytest.mark.parametrize("fingerprint", [None, "0" * 64])
def test_a_node_that_imports_other_code_fails(fingerprint: str | None) -> None:
    other = node(host="two", code={"folder": "/old", "fingerprint": fingerprint})
    with pytest.raises(PreflightError, match=r"two: workers import .* from /old"):
        judged(node(), other).raise_for_failures()


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [(None, [PLUGIN]), ("auto", [PLUGIN]), ("none", []), ("NONE ", []), ("another", [])],
)
def test_plugins_are_those_that_verl_would_load(policy: str | None, wanted: list[str]) -> None:
    environment = {} if policy is None else {"VERL_USE_EXTERNAL_PLUGINS": policy}
    assert allowed([PLUGIN], environment) == wanted


def test_the_launcher_goes_where_a_gpu_is() -> None:
    nodes = (node(gpus=0.0), node(id="n2", gpus=8.0))
    cluster = preflight.Cluster(nodes, (), "n1")
    assert cluster.launcher_node("cuda", 8) == "n2"
    assert cluster.launcher_node("cpu", 1) is None
    assert preflight.Cluster(nodes, (), "n2").launcher_node("cuda", 8) is None


def answer(**changes: Any) -> str:
    found = {"nodes": [node()], "lines": [], "here": "n1", "silent": [], **changes}
    return f"noise\n{MARK}{json.dumps(found)}\nmore noise\n"


def read(log: str, **state: Any) -> preflight.Cluster:
    server: Any = SimpleNamespace(address="http://h:1")
    ended = replace(STATE, **{"status": "SUCCEEDED", "exit_code": 0, **state})
    return preflight._read(server, ended, log)


def test_the_probes_answer_is_found_in_its_log() -> None:
    assert read(answer()).nodes[0]["id"] == "n1"


@pytest.mark.parametrize(
    ("log", "state", "kind", "message"),
    [
        (answer(silent=["10.0.0.2"]), {}, ClusterError, "10.0.0.2 of the cluster does not answer"),
        (
            answer(error={"type": "ConfigError", "message": "no such key", "fix": "key=1"}),
            {},
            ConfigError,
            "on the cluster: no such key → key=1",
        ),
        (
            "python: No module named launch\n",
            {"status": "FAILED", "exit_code": 1},
            ClusterError,
            "start Ray on the nodes from the environment",
        ),
        ("", {"status": "FAILED", "message": "setup failed"}, ClusterError, "setup failed"),
    ],
)
def test_what_a_probe_could_not_say_is_one_line(
    log: str, state: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message) as caught:
        read(log, **state)
    assert "\n" not in str(caught.value)


class Flaky:
    """A job server whose tail breaks off in the middle of the log, twice."""

    address = "http://h:1"
    log = "one\ntwo\ntoken is planted-secret-value\nthree\n"

    def __init__(self) -> None:
        self.client, self.tails = self, 0

    def state(self, _id: str) -> JobState:
        over = self.tails > 2
        return replace(STATE, status="SUCCEEDED" if over else "RUNNING", exit_code=0)

    def logs(self, _id: str) -> str:
        return self.log

    async def tail_job_logs(self, _id: str) -> Any:
        self.tails += 1
        yield self.log[:3]
        yield self.log[3 : 6 * self.tails]
        if self.tails < 3:
            raise RuntimeError("WebSocket connection closed unexpectedly")


def test_a_broken_connection_neither_repeats_nor_loses_a_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    server: Any = Flaky()
    redactor = Redactor({"A_TOKEN": "planted-secret-value"})
    assert Follower(server, "id", redactor).run().status == "SUCCEEDED"
    assert capsys.readouterr().out == "one\ntwo\ntoken is ***\nthree\n"


def test_ctrl_c_leaves_the_job_and_says_how_to_stop_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Any = Flaky()

    def interrupted(_id: str) -> JobState:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Follower(server, "id-1", Redactor({})).run()
    said = capsys.readouterr().err
    assert "python -m launch.submit stop id-1 --address http://h:1" in said
