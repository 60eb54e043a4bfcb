"""What `eval.compare` does: models read, paired by task, corrected together, put into words."""
