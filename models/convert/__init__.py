"""Original checkpoints of composed models, converted while they load.

One module per layout maps names, configuration and prompt; `Original` says what such a module states. None could be
tried on the released weights: each says so when it is used.
"""

from winnow.models.convert.original import load_original

__all__ = ["load_original"]
