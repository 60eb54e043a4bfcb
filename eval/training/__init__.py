"""The report of a training run: its curves, health, samples and verdict, read from its folder."""
