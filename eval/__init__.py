"""Evaluation: generate, grade by `rewards`, keep records, and say how sure one may be.

In: a model and the Parquet that `data_prep` wrote. Out: records, one line per generation, and
`results.json`, where no accuracy comes without its interval. Nothing here trains.
"""
