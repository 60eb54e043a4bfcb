"""Recipes: one folder each, with only what differs, and its own reward or data file."""
