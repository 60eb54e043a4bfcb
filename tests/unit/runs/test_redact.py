"""Planted secrets never come through, and words that only sound like secrets do.

1. by name, in trees and in `name=value`   2. by value, everywhere   3. by shape
4. in streams cut at any place   5. end to end: no file of a run folder holds a planted secret
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from conf.runs import RunFolder
from launch.redact import Redactor, StreamRedactor, is_secret_name
from launch.supervise import run_attempt

HEX40 = "0123456789abcdef0123456789abcdef01234567"
KEY = "\n".join(
    ["-----BEGIN OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXk", "AAAAC3NzaC1lZDI",
     "-----END OPENSSH PRIVATE KEY-----"]
)  # fmt: skip
# Joined at run time, so that no scanner takes this file for a leak.
SHAPES = [
    "hf_" + "AbCdEfGhIjKlMnOpQrStUvWx",
    "sk-" + "proj-abcdefghijklmnop1234",
    "ghp_" + "abcdefghijklmnopqrst0123456789abcdef",
    "github_pat_" + "11ABCDEFG0abcdefghij_klmnop",
    "glpat-" + "abcdefghij0123456789",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "eyJ" + "hbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4",
    "xoxb-" + "123456789012-abcdefABCDEF",
]


SECRET = """
HF_TOKEN HUGGING_FACE_HUB_TOKEN hfToken WANDB_API_KEY apiKey api_key OPENAI_APIKEY PGPASSWD token
AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID DB_PASSWORD db.password passphrase PRIVATE_KEY client_secret
credentials ray.env.GH_TOKEN GITHUB_PAT db_pwd
"""
HARMLESS = """
max_tokens pad_token eos_token_id tokenizer ppo_max_token_len_per_gpu token2text prompt_key key path
reward_fn_key loss_agg_mode teacher_key TOKENIZERS_PARALLELISM KEYBOARD author PWD total_tokens
profile_token_start tokenizer_path num_speculative_tokens
"""


@pytest.mark.parametrize("name", SECRET.split())
def test_secret_names(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", HARMLESS.split())
def test_names_that_only_sound_like_it(name):
    assert not is_secret_name(name)


def test_tree_by_name_value_and_shape():
    redactor = Redactor({"MY_TOKEN": "planted-value-1", "HOME": "/home/me", "PIN_SECRET": "abc"})
    tree = {
        "env_vars": {"HF_TOKEN": "x", "DB_PASSWORD": 12345678, "KEEP": "abc"},
        "max_tokens": 12345678,
        "pad_token": "<|endoftext|>",
        "wandb": {"api_key": None},
        "overrides": ["+env.MY_KEY_TOKEN=abc", "lr=1e-6", "name=planted-value-1"],
        "nested": [{"note": f"see planted-value-1 and {SHAPES[0]}"}],
    }
    assert redactor.tree(tree) == {
        "env_vars": {"HF_TOKEN": "***", "DB_PASSWORD": "***", "KEEP": "abc"},
        "max_tokens": 12345678,
        "pad_token": "<|endoftext|>",
        "wandb": {"api_key": None},
        "overrides": ["+env.MY_KEY_TOKEN=***", "lr=1e-6", "name=***"],
        "nested": [{"note": "see *** and ***"}],
    }
    assert tree["overrides"][2] == "name=planted-value-1"  # the caller's tree is as it was


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(shape):
    text = Redactor({}).text(f"loading with '{shape}', ok")
    assert shape not in text
    assert text.startswith("loading with '***") and text.endswith("ok")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"wandb: api key {HEX40}", "wandb: api key ***"),
        (f"commit {HEX40}", f"commit {HEX40}"),
        ("https://me:hunter2@host/x.git", "https://me:***@host/x.git"),
        ("http://127.0.0.1:8265/jobs", "http://127.0.0.1:8265/jobs"),
        ("Authorization: Bearer abc.def-123", "Authorization: ***"),
        ("'password': 'correct-horse'", "'password': '***'"),
        ("eos_token=<|im_end|> max_tokens=12345678", "eos_token=<|im_end|> max_tokens=12345678"),
        ("response_length/max: 12345678.0", "response_length/max: 12345678.0"),
        (f"a\n{KEY}\nb", "a\n*** private key\nb"),
    ],
)
def test_text(text, expected):
    result = Redactor({}).text(text)
    assert result.replace("Bearer ***", "***") == expected


def test_values_in_other_spellings():
    redactor = Redactor(
        {"A_SECRET": 'pass"word\\x', "B_TOKEN": "with space/and+plus", "KEY_PEM_SECRET": KEY}
    )
    assert "word" not in redactor.text(r'{"a": "pass\"word\\x"}')
    assert "space" not in redactor.text("url?x=with%20space%2Fand%2Bplus&y=1")
    assert "b3BlbnNza" not in redactor.text("line: b3BlbnNzaC1rZXk")


@pytest.mark.parametrize("value", ["short", "true", "12345678901", "disabled", "/"])
def test_values_that_would_blot_out_ordinary_text(value):
    assert Redactor({"SOME_TOKEN": value}).text(f"got {value}!") == f"got {value}!"


def test_streams_cut_anywhere():
    secret = "planted-ünïcode-secret-value"
    redactor = Redactor({"X_TOKEN": secret, "PEM_SECRET": KEY})
    text = f"a {secret} b\n10%\r20% {SHAPES[0]}\r\n{KEY}\nend {secret}"
    expected = "a *** b\n10%\r20% ***\r\n*** private key\nend ***"
    data = text.encode()
    rng = random.Random(0)
    cuts = [[i] for i in range(len(data))] + [
        sorted(rng.sample(range(len(data)), 9)) for _ in range(50)
    ]
    for places in cuts:
        stream = redactor.stream()
        pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
        out = "".join(map(stream.feed, pieces)) + stream.flush()
        assert secret not in out and "b3Blbn" not in out and SHAPES[0] not in out
        assert out.replace("\n***\n***\n", "\n").replace("*** private key", "***").count("***") >= 4
        assert out.startswith(expected[:14]) and out.endswith("end ***")


def test_a_line_without_end_is_let_go_but_not_its_secret():
    secret = "planted-secret-value"
    stream = Redactor({"X_TOKEN": secret}).stream()
    word = "lorem ipsum "
    size = StreamRedactor.LONGEST_LINE
    out = ""
    for _ in range(40):
        out += stream.feed((word * (size // 100)).encode()[: size // 10])
        out += stream.feed(secret[:9].encode())
        out += stream.feed(secret[9:].encode() + b" ")
    assert len(out) > size  # it did not wait for ever
    out += stream.flush()
    assert secret[:9] not in out and secret[9:] not in out
    assert out.count("***") == 40


def test_no_file_of_a_run_holds_a_planted_secret(tmp_path):
    """Configuration, environment record, log, error lines: all of what an attempt leaves."""
    secrets = {"HF_TOKEN": "planted-hub-token", "MY_PASSWORD": "planted-password"}
    environment = {**os.environ, **secrets}
    redactor = Redactor(environment)
    config = {"env": {"HF_TOKEN": secrets["HF_TOKEN"]}, "path": "https://u:planted-password@h/x"}
    run = RunFolder.prepare(
        tmp_path, "r", "n", config, redact=redactor.tree,
        environment=environment, plan={"overrides": ["env.HF_TOKEN=planted-hub-token"]},
    )  # fmt: skip
    script = (
        "import os, sys, time\n"
        "print(dict(os.environ))\n"
        "for piece in ('planted-hub', '-token\\n'):\n"
        "    sys.stdout.write(piece); sys.stdout.flush(); time.sleep(0.1)\n"
        "raise ValueError('bad ' + os.environ['MY_PASSWORD'])\n"
    )
    heard: list[str] = []
    outcome = run_attempt(
        [sys.executable, "-I", "-S", "-c", script], attempt=run.new_attempt(from_step=0),
        env=environment, redactor=redactor, on_line=heard.append,
    )  # fmt: skip
    assert outcome.error == "ValueError: bad ***"
    assert "'HF_TOKEN': '***'" in "".join(heard)
    found = subprocess.run(
        ["grep", "-rlE", "planted-(hub|password)", str(tmp_path)], capture_output=True, text=True
    )
    assert found.stdout == ""
    assert not [line for line in heard if "planted-hub" in line or "planted-password" in line]
    assert len([path for path in Path(tmp_path).rglob("*") if path.is_file()]) >= 8
