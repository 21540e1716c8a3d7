"""One module for each subcommand of ``scripts/bench.py``; its ``main`` takes the words behind the name."""
