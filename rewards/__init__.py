"""Verdicts on model responses: extraction, graders, control arms, registry, the verl entry."""
