"""Run code that nobody vouches for: a fork server, isolation tiers, limits, a client.

`client`, `slots`, `tiers`, `remote` and `errors` run in the caller's process. `server`, `session`,
`confine`, `candidate` and `checker` run in the slim server and its children; these, and what both
sides share (`wire`, `plain`, `syscalls`, `seccomp`, `landlock`, `root`), import the standard
library alone and each other by relative names, so that a private root needs this folder only.
"""
