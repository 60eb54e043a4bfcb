"""The `code` reward: extract a program, run a row's tests on it in the sandbox, compare outside."""
