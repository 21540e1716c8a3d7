"""What `scripts/pico_figures.py` computes, one module per kind of figure, and where it writes it."""
