"""The filters' back ends against transformers itself, on the model that is built on the spot."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from conf.errors import ConfigError
from data_prep.backends.causal_model import CausalModel
from data_prep.backends.sentence_model import SentenceModel
from data_prep.backends.token_counter import TokenCounter
from data_prep.filters.length import Length
from data_prep.filters.perplexity import Perplexity, perplexity
from launch.bridge import tiny_policy

TEXTS = ["seven plus five is twelve", "a", "one two three four five six seven", "x" * 100]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny_policy.build(folder, 1)
    return folder


def test_perplexity_is_that_of_the_models_own_loss(tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    model = AutoModelForCausalLM.from_pretrained(tiny).eval()
    found = CausalModel(str(tiny), batch=3).token_logprobs(TEXTS)
    assert found[1] == []  # a byte is a token, and the first has no probability
    for text, logprobs in zip(TEXTS, found, strict=True):
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        assert len(logprobs) == ids.shape[1] - 1
        if logprobs:
            with torch.inference_mode():
                loss = float(model(input_ids=ids, labels=ids).loss)
            assert perplexity(logprobs) == pytest.approx(math.exp(loss), rel=1e-4)


def test_the_filter_scores_with_a_local_model(tiny: Path) -> None:
    rows = [{"messages": [{"role": "assistant", "content": text}]} for text in TEXTS]
    step = Perplexity(model=str(tiny), high=1e9, max_tokens=16)
    values = step.perplexities(rows)
    assert math.isnan(values[1]) and all(1 < values[i] < 1e6 for i in (0, 2, 3))
    expected = CausalModel(str(tiny), 16).token_logprobs([TEXTS[3]])[0]
    assert len(expected) == 15 and values[3] == pytest.approx(perplexity(expected), rel=1e-4)


def test_tokens_are_counted_in_the_chat_template(tiny: Path) -> None:
    counter = TokenCounter(str(tiny))
    chat = [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "é"}]
    # A token each for role and end, and one a byte.
    assert counter.chat(chat) == (1 + 7 + 1) + (1 + 2 + 1)
    assert counter.chat(chat[:1], prompt=True) == 1 + 7 + 1 + 1
    row = {"prompt": chat[:1], "reward_model": {"ground_truth": "x" * 99}}
    (found,) = Length(tokenizer=str(tiny), maximum=9).judge([row])
    assert found is not None and found.detail == "10 tokens, at most 9"
    assert Length(tokenizer=str(tiny), maximum=10).judge([row]) == [None]


def test_embeddings_are_the_mean_of_the_last_states(tiny: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(tiny), AutoModel.from_pretrained(tiny).eval()
    vectors = SentenceModel(str(tiny)).embed(TEXTS)
    assert vectors.shape == (4, 96) and np.linalg.norm(vectors, axis=1) == pytest.approx(1)
    for text, vector in zip(TEXTS, vectors, strict=True):
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        mean = states.mean(axis=0)
        assert vector == pytest.approx(mean / np.linalg.norm(mean), abs=1e-4)


def test_the_folder_says_how_to_pool(tiny: Path, tmp_path: Path) -> None:
    import shutil

    folder = tmp_path / "last"
    shutil.copytree(tiny, folder)
    (folder / "1_Pooling").mkdir()
    said = {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said))
    last, mean = SentenceModel(str(folder)).embed(TEXTS), SentenceModel(str(tiny)).embed(TEXTS)
    assert last[1] == pytest.approx(mean[1], abs=1e-5)  # of one token both are the same
    assert not np.allclose(last[0], mean[0], atol=1e-2)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(ConfigError, match="pools in a way that is not known here"):
        SentenceModel(str(folder))


@pytest.mark.parametrize("back_end", [CausalModel, SentenceModel, TokenCounter])
def test_a_model_that_is_not_there_is_named(back_end: type, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not load"):
        back_end(str(tmp_path / "absent"))
