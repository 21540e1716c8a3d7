"""The synthetic benchmark of pico: open one-word questions about rendered videos and images."""
