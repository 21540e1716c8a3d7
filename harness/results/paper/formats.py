"""The formats of a paper's table."""

from typing import Literal

Form = Literal["rich", "md", "latex", "csv", "html"]
