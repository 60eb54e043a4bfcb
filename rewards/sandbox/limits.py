"""The limits of one program, in one place.

In: options of the `code` reward. Out: a frozen, checked `Limits`. How they are enforced is in
`confine` (kernel) and `session` (wall time, output).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Attributes:
        cpu_s: CPU seconds of one test; past it the program is a `timeout`.
        wall_s: wall seconds of one test, above `cpu_s` so that a busy machine fails nobody.
        total_s: wall seconds of all tests of one response.
        memory_bytes: address space.
        threads: most threads; new processes are never allowed.
        open_files: file descriptors.
        file_bytes: size of one file.
        tmp_bytes: size of all of /tmp, where the tier has one.
        tmp_files: number of files in it.
        output_bytes: standard output, or one reply, read from the program.
    """

    cpu_s: float = 6.0
    wall_s: float = 12.0
    total_s: float = 60.0
    memory_bytes: int = 1024 * MIB
    threads: int = 32
    open_files: int = 64
    file_bytes: int = 16 * MIB
    tmp_bytes: int = 32 * MIB
    tmp_files: int = 256
    output_bytes: int = 8 * MIB

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name, value in asdict(self).items():
            if not value > 0:
                raise ValueError(f"limit {name} must be positive, got {value!r}")

    def to_wire(self, tests: int = 1) -> dict[str, Any]:
        """As the server reads them; CPU time for so many tests in one process."""
        return {**asdict(self), "cpu_s": min(self.cpu_s * tests, self.total_s)}
