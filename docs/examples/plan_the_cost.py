"""What methods would cost on a 7B model, without its weights and without a GPU: the share of the prefill's FLOPs."""

from winnow.harness.config.overrides import cell_from
from winnow.harness.plan.build import build_method

for method in ("none", "fastv", "vtw", "pdrop"):
    built = build_method(cell_from(["model=llava_ov", f"reducer={method}"]))
    print(f"{method:<6} keeps {built.kept}")
