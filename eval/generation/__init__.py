"""Prompts in, responses out: vLLM here, under Ray, or any OpenAI-compatible server."""
