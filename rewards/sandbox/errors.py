"""The boundary error of the sandbox: the sandbox failed, not the program in it.

In: what went wrong and the way out. Out: an exception that a grader turns into `verifier_error`.
A program that crashes, loops or cheats never raises it.
"""

from __future__ import annotations

from conf.errors import RewardError


class SandboxError(RewardError):
    """No isolation is available, the server died, or a back end does not answer."""
