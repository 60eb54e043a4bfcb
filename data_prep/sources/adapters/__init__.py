"""Adapters: the code that a few data sets' rows need, one function each."""
