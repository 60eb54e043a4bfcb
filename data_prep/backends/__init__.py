"""The modules that reach a heavy library: verl's dataset classes, Ray, models. Imported by name."""
