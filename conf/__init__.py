"""What a run is: Hydra roots and groups, typed contracts, the run folder's layout, errors."""
