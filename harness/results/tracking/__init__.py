"""Finished runs where their owner keeps all results: Weights & Biases, MLflow; off unless `tracker` is chosen."""
