"""How many programs run at once on this machine: a fixed number of slots for all processes.

In: the number. Out: a slot number for as long as one holds it. A slot is an abstract Unix socket
address: the kernel gives it to one holder at a time and takes it back when the holder's process
dies, so nothing is left behind and nothing needs cleaning. Waiting is the back-pressure: a caller
gets its slot or a `SandboxError` after its patience.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from dataclasses import dataclass, field

from conf.errors import SandboxError


@dataclass(slots=True)
class Slot:
    """One place to run a program.

    Attributes:
        number: from 0; no other process on this machine holds it now.
    """

    number: int
    _socket: socket.socket = field(repr=False)

    def free(self) -> None:
        """Give it back."""
        self._socket.close()


class Slots:
    """The machine's slots, as this process sees them."""

    def __init__(self, count: int, name: str = "") -> None:
        """Offer slots 0 … count-1.

        Args:
            count: most programs at once, over all processes that use the same name.
            name: another name, other slots; by default one set for each user.
        """
        self.count = count
        self._name = name or str(os.getuid())
        self._here = threading.BoundedSemaphore(count)
        self._first = os.getpid() % count
        # Only spreads waiting processes in time; no verdict depends on it.
        self._jitter = random.Random(os.getpid())

    def _try(self, number: int) -> Slot | None:
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0temper-sandbox-{self._name}-{number}")
        except OSError:
            holder.close()
            return None
        return Slot(number, holder)

    def take(self, patience_s: float) -> Slot:
        """Wait for a slot.

        Raises:
            SandboxError: none came free in time.
        """
        until = time.monotonic() + patience_s
        if self._here.acquire(timeout=patience_s):
            pause = 0.001
            while True:
                for offset in range(self.count):
                    slot = self._try((self._first + offset) % self.count)
                    if slot is not None:
                        return slot
                if time.monotonic() > until:
                    break
                time.sleep(pause * (0.5 + self._jitter.random()))
                pause = min(2 * pause, 0.02)
            self._here.release()
        raise SandboxError(
            f"none of {self.count} sandbox slots came free within {patience_s:g} s",
            fix="fewer rollouts at once, a shorter limit, or more slots (option slots)",
        )

    def give(self, slot: Slot) -> None:
        """Give a slot back."""
        slot.free()
        self._here.release()
