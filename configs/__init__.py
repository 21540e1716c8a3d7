"""The Hydra configuration: one folder per group, one YAML per choice."""

from pathlib import Path

if __name__ != "winnow.configs":
    raise ImportError("say winnow.configs: under another name its modules would be imported a second time")

FOLDER = Path(__file__).resolve().parent
"""Where the YAML files lie, in a checkout as in an installed wheel."""
