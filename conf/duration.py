"""Seconds as people read them, the same everywhere that shows a time.

In: seconds. Out: `8 s`, `1 m 05 s`, `2 h 03 m`. It formats and does nothing else.
"""


def duration(seconds: float) -> str:
    """A span of time in at most two units.

    Args:
        seconds: rounded to whole ones; negative counts as 0.
    """
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"
