"""Run cells of a table: ``python run.py model=pico reducer=fastv ratio=0.25``; ``--help`` lists the choices."""

import sys

from winnow.harness.cli.run import main

if __name__ == "__main__":
    sys.exit(main())
