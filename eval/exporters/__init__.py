"""Evaluations in other tools' formats."""
