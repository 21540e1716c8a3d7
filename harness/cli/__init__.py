"""The command `winnow`, one module for each group of its commands."""
