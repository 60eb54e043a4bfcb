"""Frames on a stream: a small JSON head and a blob of bytes, with a cap on what is read.

In: a socket or file descriptor. Out: `Frame`s. Used between the client, the trusted process of a
session, the model's process and the tests' process. A reader never allocates more than its cap,
whatever the peer announces. Nothing here decides what a frame means.
"""

from __future__ import annotations

import json
import os
import select
import struct
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

_LENGTHS: Final = struct.Struct(">II")
HEAD_CAP: Final = 16 * 2**20


class Frame(NamedTuple):
    """One message.

    Attributes:
        head: plain JSON fields.
        blob: bytes that JSON cannot carry, such as a program's output.
    """

    head: dict[str, Any]
    blob: bytes


class BadFrame(Exception):
    """The peer sent no frame, or one beyond the cap."""


class Late(Exception):
    """The peer was silent past the deadline."""


class Closed(Exception):
    """The peer closed the stream."""


def pack(head: Mapping[str, Any], blob: bytes = b"") -> bytes:
    """One frame as bytes."""
    text = json.dumps(head).encode()
    return b"".join((_LENGTHS.pack(len(text), len(blob)), text, blob))


def _read_exactly(fd: int, count: int, deadline: float | None) -> bytes:
    parts: list[bytes] = []
    while count:
        if deadline is not None:
            left = deadline - time.monotonic()
            poller = select.poll()
            poller.register(fd, select.POLLIN)
            if left <= 0 or not poller.poll(left * 1000):
                raise Late
        try:
            part = os.read(fd, min(count, 1 << 18))
        except (ConnectionResetError, BrokenPipeError):
            raise Closed from None
        if not part:
            raise Closed
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_raw(fd: int, cap: int, deadline: float | None = None) -> tuple[bytes, bytes]:
    """One frame's head and blob, undecoded.

    Args:
        fd: where to read.
        cap: most bytes of head and blob together.
        deadline: in `time.monotonic()` seconds; None waits for ever.

    Raises:
        BadFrame: the announced lengths pass the cap.
        Late: the deadline passed.
        Closed: the peer closed the stream.
    """
    head_size, blob_size = _LENGTHS.unpack(_read_exactly(fd, _LENGTHS.size, deadline))
    if head_size + blob_size > cap:
        raise BadFrame(f"frame of {head_size + blob_size} bytes, cap {cap}")
    return _read_exactly(fd, head_size, deadline), _read_exactly(fd, blob_size, deadline)


def parse_head(text: bytes) -> dict[str, Any]:
    """A frame's head from its bytes.

    Raises:
        BadFrame: it is no JSON object, or one nested past Python's recursion limit.
    """
    try:
        head = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadFrame(f"no JSON: {type(error).__name__}") from None
    if not isinstance(head, dict):
        raise BadFrame("head is no JSON object")
    return head


def read(fd: int, cap: int = HEAD_CAP, deadline: float | None = None) -> Frame:
    """One frame, decoded; raises as `read_raw` and `parse_head` do."""
    head, blob = read_raw(fd, cap, deadline)
    return Frame(parse_head(head), blob)


def write_all(fd: int, data: bytes, deadline: float | None = None) -> None:
    """Write everything.

    Raises:
        Closed: the peer closed the stream.
        Late: the peer did not read in time.
    """
    view = memoryview(data)
    try:
        while view:
            if deadline is not None:
                left = deadline - time.monotonic()
                poller = select.poll()
                poller.register(fd, select.POLLOUT)
                if left <= 0 or not poller.poll(left * 1000):
                    raise Late
                view = view[os.write(fd, view[:65536]) :]
            else:
                view = view[os.write(fd, view) :]
    except (ConnectionResetError, BrokenPipeError):
        raise Closed from None


def write(fd: int, head: Mapping[str, Any], blob: bytes = b"") -> None:
    """Write one frame."""
    write_all(fd, pack(head, blob))
