"""New rows by a model behind an OpenAI-compatible server; see `data_prep.synthesize`."""
