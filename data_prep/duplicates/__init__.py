"""Duplicates over a whole corpus: exact, near (MinHash), semantic, and conflicting answers."""
