"""Self-contained HTML: what all pages share, and the pages of evaluations and comparisons."""
