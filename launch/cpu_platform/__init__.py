"""The CPU platform for verl: what verl, vLLM and torch need to train without an accelerator.

`plugin.py` is the entry point that verl discovers (group `verl.plugins`), `cpu.py` the platform,
`patches.py` the few functions of others that are replaced, `vllm_worker.py` the weight sync inside
vLLM's worker, `device_check.py` the loud check that workers really run on it. `workarounds.py`
lists every workaround once, with the upstream file that needs it; a contract test fails when
upstream no longer does. Nothing here runs on a GPU host: the platform is chosen by the
environment variable `VERL_PLATFORM=cpu`, which `launch.bridge` sets for `hardware=cpu` alone.
"""

DEVICE = "cpu"
PLUGIN = "launch.cpu_platform.plugin"  # as pyproject.toml names it under verl.plugins
