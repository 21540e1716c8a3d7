"""Runs, tasks, cost and tables: everything around the models. The only layer that knows Hydra, lmms-eval and pandas."""
