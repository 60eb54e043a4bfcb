"""A model named by a hub id: is it in the local cache, and does the hub hand it out?

In: an id `org/name`. Out: the cached folder, or an `Answer`. The hub is asked once, with a time
limit; nothing is downloaded. A token is used where there is one and never shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ID = re.compile(r"^[A-Za-z0-9][\w.\-]*(/[A-Za-z0-9][\w.\-]*)?$")
ASK_SECONDS = 2.0
TRUE = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class Answer:
    """What the hub said.

    Attributes:
        kind: `there`, `missing` (or private without a fitting token), `gated`, or `silent`.
        detail: one clause for the message.
        parameters: by the hub's safetensors index, where it tells.
    """

    kind: str
    detail: str = ""
    parameters: int | None = None


def looks_like_id(path: str) -> bool:
    """Whether a policy path can be a hub id: `org/name`, and no path in disguise."""
    return bool(ID.match(path)) and path.count("/") == 1 and ".." not in path


def is_offline(environment: Mapping[str, str]) -> bool:
    """Whether huggingface_hub is told not to ask."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return any(environment.get(name, "").upper() in TRUE for name in names)


def cached_folder(name: str) -> Path | None:
    """The snapshot folder of a model in the local cache; None when it is not there."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(name, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def has_token() -> bool:
    """Whether a hub token is set, in whatever way."""
    from huggingface_hub import get_token

    return get_token() is not None


def ask_hub(name: str, endpoint: str | None = None) -> Answer:
    """Ask the hub for a model's description, once, for at most `ASK_SECONDS`.

    Args:
        name: `org/name`.
        endpoint: the hub's address; None: the one huggingface_hub is set to.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
    )

    try:
        info = HfApi(endpoint=endpoint).model_info(name, timeout=ASK_SECONDS)
    except GatedRepoError:
        return Answer("gated", "its licence must be accepted with this token's account")
    except RepositoryNotFoundError:
        return Answer("missing", "the hub has no such model, or the token may not see it")
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "?")
        return Answer("silent", f"the hub answered {status}")
    except (httpx.HTTPError, OfflineModeIsEnabled, OSError, ValueError) as error:
        return Answer("silent", f"the hub does not answer ({type(error).__name__})")
    if info.gated and not has_token():
        return Answer("gated", "its licence must be accepted, and no token is set")
    parameters = info.safetensors.total if info.safetensors else None
    return Answer("there", parameters=parameters)
