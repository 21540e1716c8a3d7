"""Train pico from nothing and write the complete checkpoint that Winnow ships.

    python scripts/train_pico.py --seed 0 --out models/pico/weights --work build/pico

The stages stand in `models/pico/training/stages.py`. Each keeps its state in the work folder, so that the same command
goes on, exactly, where it was stopped. Processes share each step: they draw data of their own and average gradients.
"""

import argparse
import sys
from pathlib import Path

import torch
from torch.multiprocessing.spawn import spawn

sys.path.insert(0, str(Path(__file__).parents[1]))

from winnow.models.pico.build import WEIGHTS, build_model, save
from winnow.models.pico.training.stages import STAGES, run_stage


def train(rank: int, options: argparse.Namespace) -> None:
    """Run the stages in one of the processes; the first writes the checkpoint after the last."""
    torch.set_num_threads(1)
    if options.processes > 1:
        meeting = f"file://{options.work.absolute()}/meeting"
        torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=options.processes)
    model = build_model(options.seed)
    for name in STAGES:
        run_stage(model, name, options.work, options.seed, rank, options.share)
        if name == options.until:
            return
    if rank == 0:
        save(model, options.out)


def main() -> None:
    """Read the options and start the processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--work", type=Path, default=Path("build/pico"))
    parser.add_argument("--share", type=float, default=1.0, help="of each stage's steps, for trials")
    parser.add_argument("--until", choices=STAGES, help="stop after this stage")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    (options.work / "meeting").unlink(missing_ok=True)
    if options.processes == 1:
        train(0, options)
    else:
        spawn(train, (options,), nprocs=options.processes)


if __name__ == "__main__":
    main()
