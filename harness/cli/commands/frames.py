"""`winnow frames`: what a run would see of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winnow.harness.common.exits import INCOMPLETE


def frames(
    file: Annotated[Path, typer.Argument(help="A video, a picture or a folder of frames.")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures and frames.json.")],
    frames: Annotated[int | None, typer.Option(min=1, help="How many; the model's number, else 8.")] = None,
    model: Annotated[str | None, typer.Option(help="A model of configs/model, for its number of frames.")] = None,
    accept_damaged: Annotated[bool, typer.Option(help="Take what decodes of a damaged file.")] = False,
) -> None:
    """Write the frames that a run would see, with their indices and times; exit code 1 if the file cannot be read."""
    from PIL import Image

    from winnow.harness.common import files
    from winnow.harness.data.showing import number_of, shown

    found = shown(file, number_of(model, frames), accept_damaged)
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("frame_*.png"):
        old.unlink()
    for number, pixels in enumerate(found.pixels):
        Image.fromarray(pixels).save(out / f"frame_{number:04d}.png", compress_level=1)
    files.write_json(out / "frames.json", found.facts)
    if found.facts["failed"]:
        print(f"{file} cannot be read: {found.facts['failed']}")
        raise typer.Exit(INCOMPLETE)
    rate, reader = found.facts["rate"], found.facts["reader"]
    told = f", {rate:.3f} a second" if rate else ""
    print(f"{len(found.pixels)} frames in {out}{told}; read by {reader}")
