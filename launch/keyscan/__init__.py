"""What a Python package reads of a configuration tree, found in its source without importing it.

In: the source files of a package (`index`), the leaves of a composed tree (`tree`), names of the
entry modules. Out: for each leaf whether reachable code reads it (`flow`, `verdict`). Used once
per verl version by `launch.derive_dead_keys`; nothing here runs when a job is launched.
"""
