"""Verdicts by a language model: prompt, server, limits, cache; `judge` and `rubric`."""
