"""Many cells: plan, manifest, workers on this machine or on Slurm, and where they stand."""
