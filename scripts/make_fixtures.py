"""Write the miniature datasets: ``python scripts/make_fixtures.py FOLDER``, then ``run.py … tasks.data=FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from winnow.harness.tasks.fixtures.write import write


def main() -> int:
    """Write them, unless the folder holds something."""
    if len(sys.argv) != 2:
        print("usage: python scripts/make_fixtures.py FOLDER", file=sys.stderr)
        return 2
    root = Path(sys.argv[1]).expanduser().absolute()
    if root.exists() and any(root.iterdir()):
        print(f"{root} is not empty: choose another folder", file=sys.stderr)
        return 2
    write(root)
    print(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
