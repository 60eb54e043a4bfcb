"""Decontamination: training rows that hold an evaluation set's question, found and shown."""
