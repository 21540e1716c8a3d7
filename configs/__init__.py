"""The Hydra configuration: one folder per group, one YAML per choice."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
"""Where the YAML files lie, in a checkout as in an installed wheel."""
