"""The output of one attempt: redacted, logged, told line by line, searched for errors.

In: bytes as the trainer's pipe gives them. Out: the log file, a call for each line, and, at the
end, the lines that explain a failure. A log that cannot be written (full disk) is noted, never a
reason to stop reading: the trainer would block on its pipe.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from conf.atomic import writing
from launch.redact import Redactor

_TAIL = 200  # lines kept to find the error in
_ERROR_LINE = re.compile(r"^(?:\([^)]*\)\s*)?(?P<text>(?:\w+\.)*\w*(?:Error|Exception)\b.*)$")
_DISK_FULL = ("No space left on device", "Disk quota exceeded")


class AttemptLog:
    """One attempt's output on its way to the disk and to whoever watches."""

    def __init__(
        self, path: Path, redactor: Redactor, on_line: Callable[[str], None] | None
    ) -> None:
        """Open the log for appending.

        Args:
            path: stdout.log.
            redactor: what passes through here passes through it first.
            on_line: called with each line without its end.

        Raises:
            RunFolderError: the log cannot be opened.
        """
        with writing(path):
            self._file = path.open("a", encoding="utf-8", newline="")
        self._stream = redactor.stream()
        self._on_line = on_line
        self._line = ""
        self._log_error = ""
        self._closed = False
        self.tail: deque[str] = deque(maxlen=_TAIL)

    def feed(self, data: bytes) -> None:
        """Take a piece of output."""
        self._tell(self._stream.feed(data))

    def close(self) -> None:
        """Write what was held back and close the file. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        rest = self._stream.flush()
        unfinished = (self._line + rest)[-1:] not in ("", "\n", "\r")
        try:
            self._tell(rest + "\n" * unfinished)
        finally:
            self._write(None)

    def _tell(self, text: str) -> None:
        self._write(text)
        *whole, self._line = re.split(r"\r\n|\n|\r", self._line + text)
        for line in filter(None, map(str.rstrip, whole)):
            self.tail.append(line)
            if self._on_line is not None:
                self._on_line(line)

    def _write(self, text: str | None) -> None:
        """Append to the log; None closes it. A full disk must not block the trainer's pipe."""
        if self._log_error:
            return
        try:
            if text is None:
                self._file.close()
            else:
                self._file.write(text)
                self._file.flush()
        except OSError as error:
            self._log_error = error.strerror or str(error)
            with suppress(OSError):  # closing tries to write the rest once more
                self._file.close()

    def notes(self) -> list[str]:
        """What the user should know of the log itself or of the disk."""
        full = next((text for text in _DISK_FULL if any(text in line for line in self.tail)), "")
        found = [f"stdout.log is incomplete: {self._log_error}"] if self._log_error else []
        if full or self._log_error in _DISK_FULL:
            found.append("the disk is full: free space there, or run.root=FOLDER on another disk")
        return found

    def error(self) -> str:
        """The last line that reads like an exception; empty when none does."""
        for line in reversed(self.tail):
            if match := _ERROR_LINE.match(line.strip()):
                return match["text"][:500]
        return ""
