"""How sure one may be: intervals, paired tests, families of tests; no files, no models."""
