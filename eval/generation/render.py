"""A model's folder and its tokenizer: prompts as the very tokens that training would see.

In: a model's name and prompts. Out: its folder (downloaded where needed), token ids through the
tokenizer's own chat template, as verl applies it in training. transformers is imported when first
used. Loads no weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from conf.errors import EvaluationError
from eval.generation.backend import Prompt, Request

HUB_FILES = ("*.safetensors", "*.json", "*.txt", "*.model", "*.jinja")


def resolve_model(name: str) -> Path:
    """The folder of a model: the one that is named, or the hub's, downloaded where needed.

    Raises:
        EvaluationError: no such folder, or neither the hub nor its cache gives it, or it is no
            model with weights.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name)
    if not (folder / "config.json").is_file():
        inside = [p.parent for p in sorted(folder.glob("**/config.json"))[:1]]
        raise EvaluationError(
            f"{name} is not a model folder: it has no config.json",
            f"try {inside[0]}" if inside else "give a folder in Hugging Face's format",
        )
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        raise EvaluationError(
            f"{name} has a config.json and no weights (*.safetensors)",
            "save them with the checkpoint (checkpoint.save_contents with hf_model), or merge its "
            "shards: python -m verl.model_merger merge --help",
        )
    return folder


def _from_hub(name: str) -> Path:
    if name.startswith(("/", ".", "~")) or name.count("/") != 1:
        raise EvaluationError(
            f"no such model folder: {name}", "models.LABEL=FOLDER, or a hub id such as org/name"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(HUB_FILES)))
    except GatedRepoError as error:
        raise EvaluationError(
            f"model {name} is gated", "accept its terms on the hub and set HF_TOKEN"
        ) from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise EvaluationError(
            f"model {name} is neither a folder nor available from the hub "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})",
            "check the name and the network, or give the folder of a downloaded model",
        ) from error


class Renderer:
    """Turns prompts into token ids.

    Args:
        folder: a model's folder.
        template_options: handed to the chat template.

    Raises:
        EvaluationError: transformers cannot load tokenizer and configuration.
    """

    def __init__(self, folder: Path, template_options: Mapping[str, Any]) -> None:
        from transformers import AutoConfig, AutoTokenizer

        self.folder = folder
        self.template_options = dict(template_options)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder)
            config = AutoConfig.from_pretrained(folder).get_text_config()
        except (OSError, ValueError, KeyError) as error:
            raise EvaluationError(
                f"cannot load tokenizer and configuration of {folder}: "
                f"{str(error).splitlines()[0]}",
                "give a folder that transformers can load",
            ) from error
        self.limit: int = config.max_position_embeddings
        self._known: dict[str, list[int]] = {}  # measured first, generated from later, many times

    def tokens(self, prompt: Prompt) -> list[int]:
        """The token ids of a prompt, up to where the model's turn begins.

        Raises:
            EvaluationError: a chat, and the tokenizer has no chat template.
        """
        name = json.dumps(prompt)
        if name not in self._known:
            self._known[name] = self._render(prompt)
        return self._known[name]

    def _render(self, prompt: Prompt) -> list[int]:
        if isinstance(prompt, str):
            return list(self.tokenizer.encode(prompt))
        if not self.tokenizer.chat_template:
            raise EvaluationError(
                f"the tokenizer of {self.folder} has no chat template",
                "use an instruct model, save a chat_template with the tokenizer, or format=text",
            )
        return list(
            self.tokenizer.apply_chat_template(
                prompt,
                add_generation_prompt=True,
                tokenize=True,
                return_dict=False,
                **self.template_options,
            )
        )

    def text(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens, special ones removed, as verl decodes for its rewards."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=True))

    def longest(self, requests: Sequence[Request]) -> int:
        """Tokens of the longest prompt with its response, and with what may come after it.

        Raises:
            EvaluationError: more than the model reads.
        """
        longest = 0
        for request in requests:
            prompt, more = len(self.tokens(request.prompt)), request.sampling.max_tokens
            if prompt + more > self.limit:
                raise EvaluationError(
                    f"a prompt has {prompt} tokens and max_tokens is {more}, but {self.folder} "
                    f"reads {self.limit} in all",
                    f"max_tokens={self.limit - prompt}"
                    if prompt < self.limit
                    else "leave long prompts out",
                )
            longest = max(longest, min(prompt + more + request.room, self.limit))
        return longest
