"""Numbers that methods have from their papers and released code, written a second time."""

import importlib
from typing import Any

import pytest

from winnow.reducers.fitprune import FITTED

CONSTANTS: dict[str, dict[str, Any]] = {
    "cdpruner": {
        "EPSILON": 1e-6, "LEAST": 1e-12, "ENGINE": {"weight": 0.5, "split": True, "positions": "keep"},
        "BY_CLIP": {"weight": 1.0, "split": False, "positions": "compact"},
    },
    "cgsm": {"R": 13},
    "dycoke": {"GROUP": 4, "STABLE": 0.9},
    "evit": {"RATE": 0.63},
    "evs": {"FIRST": 255},
    "fastvid": {"NEIGHBOURS": 4},
    "ficoco_v": {"WINDOW": (1, 2, 2), "UNSEEN": 1e9},
    "fitprune": {"TOKENS": 576, "LAYERS": 32},
    "flashvid": {"NEIGHBOURS": 7, "FACTOR": 1e6},
    "frame_pairs": {"WON": 1.0, "ALONE": 0.5, "LOST": 0.0},
    "framefusion": {"OFFICIAL_LAYERS": 28},
    "globalcom2": {"TEMPERATURE": 10, "SMALL": 1e-8},
    "hiprune": {"MIDDLE": 0.375, "CROSS": 5},
    "holitom": {"NEIGHBOURS": 7},
    "holov": {"ALPHA": 0.09, "SCALE": 1000, "EPSILON": 1e-6},
    "pixelprune": {"SCALE": 0.5},
    "prunevid": {"NEIGHBOURS": 7, "FEW": 14},
    "sparsevlm": {
        "OF": 576,
        "TABLE": {
            "1.5": {192: (300, 200, 110), 128: (303, 110, 36), 96: (238, 48, 26), 64: (66, 30, 17)},
            "+": {192: (300, 200, 118), 128: (238, 108, 60), 96: (246, 54, 28), 64: (66, 34, 20)},
        },
    },
    "trim": {"USUAL": 0.21},
    "v2drop": {"PUBLISHED": (0.5, 0.5, 0.0)},
    "vas": {"HISTORY": 3},
    "vcast": {"TEMPERATURE": 0.7, "EPSILON": 1e-6},
    "vidcom2": {"BANDWIDTHS": (1 / 8, 1 / 4, 1 / 2, 1, 2), "TEMPERATURE": 0.01},
    "vispruner": {"STEP": 8},
    "vscan": {"SHALLOW": 5 / 24},
}  # fmt: skip


@pytest.mark.parametrize("name", CONSTANTS)
def test_constants(name: str) -> None:
    module = importlib.import_module(f"winnow.reducers.{name}")
    assert {key: getattr(module, key) for key in CONSTANTS[name]} == CONSTANTS[name]


@pytest.mark.parametrize("share", [0.5, 0.4, 0.3, 0.2, 0.1])
def test_fitted_layers_leave_about_the_share_of_the_flops(share: float) -> None:
    gone, left = 0, 0.0
    for deleted in map(int, FITTED[share].split()):
        left += 1 - gone / 576
        gone += deleted
    assert gone <= 576 and left / 32 == pytest.approx(share, abs=0.05)
