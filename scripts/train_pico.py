"""Train pico from nothing and write the complete checkpoint that Winnow ships.

    python scripts/train_pico.py --out models/pico/weights --work build/pico

Four stages, each kept in the work folder and skipped when it is there already:

tower      the vision tower names the things of crowded frames; frozen from here on;
words      the language model answers about ideal visual tokens, which are sums of word embeddings and need no pixels;
projector  is fitted to those tokens;
joint      language model and projector learn together on rendered scenes.

The first two do not depend on each other and may run at the same time (`--only tower`, `--only words`). Processes can
share a stage and average their gradients: `torchrun --nproc_per_node 2 scripts/train_pico.py --only joint`.

The shipped weights are seed 0, one thread per stage, on two shared cores: 4, 15, 1 and 15 minutes.
"""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import LlavaForConditionalGeneration

sys.path.insert(0, str(Path(__file__).parents[1]))

from winnow.models.pico.build import WEIGHTS, build_model, save
from winnow.models.pico.training.language import train_joint, train_words
from winnow.models.pico.training.tower import train_projector, train_tower


@dataclass(frozen=True)
class Stage:
    """One stage: what it runs and which parts of the model it changes."""

    run: Callable[[LlavaForConditionalGeneration, np.random.Generator], float]
    parts: tuple[str, ...]


STAGES = {
    "tower": Stage(lambda model, rng: train_tower(model, rng, steps=1600), ("vision_tower",)),
    "words": Stage(lambda model, rng: train_words(model, rng, steps=1500), ("language_model", "lm_head")),
    "projector": Stage(lambda model, rng: train_projector(model, rng, steps=400), ("multi_modal_projector",)),
    "joint": Stage(
        lambda model, rng: train_joint(model, rng, steps=800), ("multi_modal_projector", "language_model", "lm_head")
    ),
}


def run_stage(model: LlavaForConditionalGeneration, name: str, work: Path, seed: int, only: str | None) -> None:
    """Load a stage's result into the model, or run the stage and keep its result."""
    stage, path = STAGES[name], work / f"{name}.pt"
    if not path.exists() and only in (None, name):
        number, rank = list(STAGES).index(name), int(os.environ.get("RANK", "0"))
        torch.manual_seed(seed + number + 1000 * rank)
        stage.run(model, np.random.default_rng([seed, number, rank]))
        if rank == 0:
            state = model.state_dict()
            torch.save({key: value for key, value in state.items() if any(p in key for p in stage.parts)}, path)
    elif path.exists():
        model.load_state_dict(torch.load(path), strict=False)


def main() -> None:
    """Run the stages that are missing and, after the last, write the checkpoint."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--work", type=Path, default=Path("build/pico"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=STAGES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if "WORLD_SIZE" in os.environ:
        torch.distributed.init_process_group("gloo")
    options.work.mkdir(parents=True, exist_ok=True)
    model = build_model(options.seed)
    for name in STAGES:
        run_stage(model, name, options.work, options.seed, options.only)
    if (options.work / f"{name}.pt").exists() and int(os.environ.get("RANK", "0")) == 0:
        save(model, options.out)


if __name__ == "__main__":
    main()
