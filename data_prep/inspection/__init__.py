"""What `data_prep.inspect` shows: samples, numbers over all rows, the terminal and the page."""
