"""The bridge to verl: the only rooms, beside `launch.cpu_platform`, that import verl and Ray.

`python -m launch.bridge RUN_FOLDER ATTEMPT` is what the guard starts: it reads config.yaml, sets
the environment, starts (or joins) Ray and hands over to verl's own trainer. It decides nothing
about configurations and writes nothing into the run folder but what verl writes, and failure.json.
"""
