"""The papers' tables: presets that say how each row is run, and the printed numbers beside ours."""
