import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sorting import equal_values_have_an_order  # noqa: F401
