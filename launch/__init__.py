"""Everything between a command and a run: composing, checking, starting, watching, cleaning up.

In: a command line. Out: a run folder. Importing this package imports nothing else; the heavy
libraries are reached only through `launch.bridge` and `launch.platform`.
"""
