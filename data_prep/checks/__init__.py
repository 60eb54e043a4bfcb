"""What `data_prep.check` asks of a file and its rows, and how it mends what needs no guess."""
