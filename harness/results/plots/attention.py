"""What the text looks at: its attention to each frame, layer by layer (VAS' figures 2 and 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from winnow.harness.results.plots.sample import document_of, settings
from winnow.harness.results.plots.style import COLOURS, figure
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

PROBE = Rows("text")


@dataclass(frozen=True)
class Watch(Reducer):
    """Drops nothing, and notes the text's attention to every visual token in every layer."""

    seen: dict[int, Any] = field(default_factory=dict, compare=False)
    adaptive: ClassVar[bool] = False

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """Stand before every layer but the first: the attention of a layer is known at the next one's input."""
        return tuple(Site.layer(layer, depth) for layer in range(1, depth))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((PROBE, layer) for layer in range(depth - 1))

    def reduce(self, view: View) -> Reduction | None:
        """Note what is known, keep everything."""
        for (_, layer), values in view.signals.items():
            self.seen[layer] = values[view.visual].float().cpu().numpy()
        return None


def attention(folder: Path, task: str, doc_id: int, trust: bool = False) -> np.ndarray:
    """Run a sample unreduced and watch.

    Parameters
    ----------
    folder : Path
        Of the run, whose model is loaded.
    task, doc_id : str, int
    trust : bool
        See `stored_cell`.

    Returns
    -------
    ndarray, shape (layers - 1, frames)
        Attention that the text rows pay to the tokens of each frame, summed over tokens and divided by the rows.
    """
    import torch

    from winnow.harness.data.media import make_prompt
    from winnow.harness.run.generate import encode
    from winnow.harness.run.loaded import load_model
    from winnow.models.engine import attach

    model, tasks = settings(folder, trust)
    document = document_of(tasks, task, doc_id)
    loaded = load_model(model)
    prompt = make_prompt(document.text, document.visuals(), model.frames)
    batch, watch = encode(loaded, [document], [prompt]), Watch()
    network: Any = loaded.model
    with torch.inference_mode(), attach(network, watch) as trace:
        network(**batch.inputs, logits_to_keep=1)
    layout = trace.prompts[0].layout
    rows = max(1, len(layout.question))
    values = np.stack([watch.seen[layer] for layer in sorted(watch.seen)])
    frames, start = [], 0
    for span in layout.spans:
        for _ in range(span.frames):
            size = span.rows * span.cols
            frames.append(values[:, start : start + size].sum(1) / rows)
            start += size
    return np.stack(frames, axis=1)


def draw(values: np.ndarray, out: Path, title: str = "") -> None:
    """Draw the curves of some frames over the layers, and all frames as a map.

    Parameters
    ----------
    values : ndarray, shape (layers, frames)
    out : Path
    title : str
    """
    layers, frames = values.shape
    with figure(out, "page", 0.36, ncols=2) as axes:
        chosen = sorted({round(i) for i in np.linspace(0, frames - 1, min(frames, len(COLOURS)))})
        for number, frame in enumerate(chosen):
            axes[0].plot(range(layers), 100 * values[:, frame], color=COLOURS[number], label=f"frame {frame}")
        axes[0].set(xlabel="layer of the LLM", ylabel="attention of the text (%)", title=title)
        axes[0].legend()
        drawn = axes[1].imshow(100 * values.T, aspect="auto", origin="lower", cmap="cividis")
        axes[1].set(xlabel="layer of the LLM", ylabel="frame")
        axes[1].figure.colorbar(drawn, ax=axes[1], label="attention of the text (%)")
