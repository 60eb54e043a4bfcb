"""`python -m launch.grpo +recipe=NAME [hardware=…] [key=value …]`: GRPO.

In: the command line. Out: a run folder, and an exit code. See `--help` and `--cfg job`.
"""

from launch.entry import main

if __name__ == "__main__":
    main("grpo")
