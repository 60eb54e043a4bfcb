"""Graders that only evaluation needs, beside those of `rewards`."""
