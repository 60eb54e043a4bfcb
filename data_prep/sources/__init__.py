"""Where examples come from: generated, local files, the hub, or a user's own function."""
