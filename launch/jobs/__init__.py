"""Runs as Ray jobs: what is uploaded, what the nodes are asked, and following it to its end."""
