"""A model on declared tasks: what a task is, its items, its results."""
