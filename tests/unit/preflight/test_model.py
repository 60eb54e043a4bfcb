"""Model folders and hub ids: complete, of a shape that the engine takes, with a chat template."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from launch.preflight import Line, Settings, Status
from launch.preflight.checks_model import Model, chat_template, scan_model, short_count
from launch.preflight.hub import ask_hub, is_offline, looks_like_id
from launch.preflight.weights import parameters_by_config, read_weights

Build = Callable[..., Settings]
PATH = "actor_rollout_ref.model.path"
TP = "actor_rollout_ref.rollout.tensor_model_parallel_size"
OFFLINE = {"HF_HUB_OFFLINE": "1"}


def scan(settings: Build, folder: Any, *changes: str, job: str = "grpo") -> Model:
    key = "model.path" if job == "sft" else PATH
    return scan_model(settings(job, f"{key}={folder}", "policy.build=null", *changes), OFFLINE)


def bad(model: Model) -> list[Line]:
    return [line for line in model.lines if line.status is not Status.PASS]


def test_whole_folder_passes(settings: Build, kit: Any, tmp_path: Path) -> None:
    model = scan(settings, kit.write_model(tmp_path / "m"))
    assert bad(model) == []
    assert (model.parameters, model.context) == (768, 512)  # 96 × 8, max_position_embeddings


def test_missing_folder_is_built_or_names_the_nearest(
    settings: Build, kit: Any, tmp_path: Path
) -> None:
    kit.write_model(tmp_path / "qwen-tiny")
    path = tmp_path / "qwen-tiney"
    (line,) = bad(scan(settings, path))
    assert line.fixes == (f"policy.path={tmp_path / 'qwen-tiny'}", "policy=tiny")
    built = scan_model(settings("grpo", f"{PATH}={path}", "policy.build=tiny"), OFFLINE)
    assert built.lines[0].status is Status.PASS and "to be built" in built.lines[0].got


def test_a_file_is_no_model(settings: Build, tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_text("x")
    (line,) = bad(scan(settings, path))
    assert "is a file" in line.got


def test_a_run_folder_is_taken_for_its_checkpoint(settings: Build, tmp_path: Path) -> None:
    (tmp_path / "runs/arithmetic/sft/checkpoints").mkdir(parents=True)
    model = scan(settings, tmp_path / "runs/arithmetic/sft")
    assert bad(model) == [] and model.folder is None


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_config_must_be_there_and_be_json(
    settings: Build, kit: Any, tmp_path: Path, content: str | None
) -> None:
    folder = kit.write_model(tmp_path / "m")
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)
    (line,) = bad(scan(settings, folder))
    assert "config.json is" in line.got


@pytest.mark.parametrize("job", ["grpo", "sft"])
def test_missing_weights(settings: Build, kit: Any, tmp_path: Path, job: str) -> None:
    folder = kit.write_model(tmp_path / "m")
    (folder / "model.safetensors").unlink()
    (line,) = bad(scan(settings, folder, job=job))
    assert "no weights" in line.got


def test_truncated_weights_and_pointers(kit: Any, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    kit.write_safetensors(file, {"w": [4, 4]})
    assert read_weights(tmp_path).parameters == 16
    kit.write_safetensors(file, {"w": [4, 4]}, missing=1)
    assert "is cut short" in read_weights(tmp_path).problem
    file.write_bytes(b"\x10\x00")
    assert "is cut short" in read_weights(tmp_path).problem
    file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert "Git LFS pointer" in read_weights(tmp_path).problem
    file.write_bytes(b"\xff" * 64)
    assert "no safetensors file" in read_weights(tmp_path).problem


def test_index_names_every_shard(kit: Any, tmp_path: Path) -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    kit.write_safetensors(tmp_path / names[0], {"a": [2, 3]})
    assert read_weights(tmp_path).problem == f"1 of 2 weight files are missing, {names[1]} first"
    kit.write_safetensors(tmp_path / names[1], {"b": [5]})
    assert read_weights(tmp_path).parameters == 11
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    assert "is not readable" in read_weights(tmp_path).problem


def test_parameters_of_a_known_model_by_its_config() -> None:
    # Qwen2.5-0.5B: 494,032,768 parameters by its card; norms and biases are left out.
    config = {
        "hidden_size": 896,
        "num_hidden_layers": 24,
        "vocab_size": 151936,
        "intermediate_size": 4864,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    }
    assert parameters_by_config(config) == pytest.approx(494_032_768, rel=1e-3)
    assert parameters_by_config({"hidden_size": 896}) is None
    assert [short_count(n) for n in (768, 358_000, 494_032_768, 7.6e9, 70e9)] == [
        "768",
        "358k",
        "494M",
        "7.6B",
        "70B",
    ]


@pytest.mark.parametrize(("head", "status"), [(32, Status.PASS), (24, Status.FAILURE)])
def test_head_size_that_vllm_knows_on_a_cpu(
    settings: Build, kit: Any, tmp_path: Path, head: int, status: Status
) -> None:
    folder = kit.write_model(tmp_path / "m", hidden_size=3 * head)
    assert scan(settings, folder).lines[0].status is status
    # A GPU takes it, and SFT runs no vLLM.
    assert bad(scan(settings, folder, "hardware.device=cuda")) == []
    assert bad(scan(settings, folder, job="sft")) == []


def test_tensor_parallel_ranks_share_the_heads(settings: Build, kit: Any, tmp_path: Path) -> None:
    shape = {"hidden_size": 384, "num_attention_heads": 12, "num_key_value_heads": 3}
    folder = kit.write_model(tmp_path / "m", **shape)
    for tp, fixes in ((1, None), (3, None), (6, None), (5, ["4", "6"]), (4, ["3"])):
        lines = bad(scan(settings, folder, f"{TP}={tp}"))
        wanted = [] if fixes is None else [tuple(f"{TP}={fix}" for fix in fixes)]
        assert [line.fixes for line in lines] == wanted, tp


def test_sequence_parallel_needs_no_padding(settings: Build, kit: Any, tmp_path: Path) -> None:
    folder = kit.write_model(tmp_path / "m")  # 3 heads
    key = "actor_rollout_ref.actor.ulysses_sequence_parallel_size"
    padding = "actor_rollout_ref.model.use_remove_padding"
    assert bad(scan(settings, folder, f"{key}=3", f"{padding}=true")) == []
    (line,) = bad(scan(settings, folder, f"{key}=3", f"{padding}=false"))
    assert line.fixes == (f"{padding}=true", f"{key}=1")
    (line,) = bad(scan(settings, folder, f"{key}=2", f"{padding}=true"))
    assert line.fixes == (f"{key}=1", f"{key}=3")


# --- tokenizer and chat template --------------------------------------------------------------


def test_template_is_found_in_each_of_its_places(settings: Build, kit: Any, tmp_path: Path) -> None:
    config = settings("grpo")
    folder = kit.write_model(tmp_path / "m", template=None)
    assert chat_template(config, folder) is None
    about = folder / "tokenizer_config.json"
    about.write_text(
        json.dumps(
            {
                "chat_template": [
                    {"name": "tool_use", "template": "T"},
                    {"name": "default", "template": "D"},
                ]
            }
        )
    )
    assert chat_template(config, folder) == "D"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": "J"}))
    assert chat_template(config, folder) == "J"
    (folder / "chat_template.jinja").write_text("X")
    assert chat_template(config, folder) == "X"
    own = settings("grpo", "actor_rollout_ref.model.custom_chat_template=C")
    assert chat_template(own, folder) == "C"


def test_tokenizer_faults(settings: Build, kit: Any, tmp_path: Path) -> None:
    folder = kit.write_model(tmp_path / "m", template=None)
    (line,) = bad(scan(settings, folder))
    assert (line.name, line.status) == ("chat template", Status.FAILURE)
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "x"}))
    (line,) = bad(scan(settings, folder))
    assert (line.status, "eos_token" in line.got) == (Status.WARNING, True)
    (folder / "tokenizer.json").unlink()
    (line,) = bad(scan(settings, folder))
    assert "has none" in line.got


def test_thinking_that_is_forced_on_by_a_word(settings: Build, kit: Any, tmp_path: Path) -> None:
    thinking = kit.chatml + "{% if enable_thinking %}<think>{% endif %}"
    word = "data.enable_thinking_default=none"
    folder = kit.write_model(tmp_path / "m", template=thinking)
    (line,) = bad(scan(settings, folder, word, job="sft"))
    assert line.fixes == ("data.enable_thinking_default=null",)
    assert bad(scan(settings, folder, "data.enable_thinking_default=null", job="sft")) == []
    plain = kit.write_model(tmp_path / "plain")
    assert bad(scan(settings, plain, word, job="sft")) == []


# --- the hub ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "is_id"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", True),
        ("gpt2", False),
        ("./models/tiny", False),
        ("a/b/c", False),
        ("../up", False),
        ("/abs/path", False),
    ],
)
def test_what_looks_like_a_hub_id(name: str, is_id: bool) -> None:
    assert looks_like_id(name) is is_id


def test_offline_without_a_cache_is_a_failure(settings: Build) -> None:
    (line,) = bad(scan(settings, "no-such-org/no-such-model-at-all"))
    assert line.status is Status.FAILURE
    assert "HF_HUB_OFFLINE" in line.got
    assert is_offline({"TRANSFORMERS_OFFLINE": "true"}) and not is_offline({"HF_HUB_OFFLINE": "0"})


class Hub(BaseHTTPRequestHandler):
    """A hub on loopback that answers as the real one does for four kinds of models."""

    def do_GET(self) -> None:
        """Answer for /api/models/org/KIND."""
        kind = self.path.rsplit("/", 1)[-1].split("?")[0]
        status, code = {
            "there": (200, ""),
            "gated": (403, "GatedRepo"),
            "missing": (404, "RepoNotFound"),
        }.get(kind, (500, ""))
        body = json.dumps(
            {
                "id": "org/there",
                "modelId": "org/there",
                "gated": False,
                "safetensors": {"parameters": {"F32": 42}, "total": 42},
            }
        ).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # this hub is on loopback
    monkeypatch.setattr("launch.preflight.hub.ASK_SECONDS", 60.0)  # and its machine may be busy
    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["there", "gated", "missing"])
def test_hub_answers_are_told_apart(hub: str, kind: str) -> None:
    answer = ask_hub(f"org/{kind}", endpoint=hub)
    assert answer.kind == kind, answer
    assert answer.parameters == (42 if kind == "there" else None)


def test_hub_that_is_silent_or_broken_is_no_failure(hub: str) -> None:
    assert ask_hub("org/broken", endpoint=hub).kind == "silent"
    assert ask_hub("org/any", endpoint="http://127.0.0.1:9").kind == "silent"


def test_tokenizer_much_smaller_than_the_model(settings: Build, kit: Any, tmp_path: Path) -> None:
    """Seen on a GPU: 262 tokens under a vocabulary of 151,936 gave a k3_kl of 5.4 at step 1."""
    for size, warnings in ((256, []), (280, []), (290, ["vocabulary"])):
        folder = kit.write_model(tmp_path / str(size), vocab_size=size)
        assert [line.name for line in bad(scan(settings, folder))] == warnings
    (line,) = bad(scan(settings, folder))
    assert line.status is Status.WARNING and "256 tokens, the model 290" in line.got
    assert bad(scan(settings, folder, job="sft")) == []
