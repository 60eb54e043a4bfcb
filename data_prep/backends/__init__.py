"""The modules of data preparation that may reach Ray, torch or transformers."""
