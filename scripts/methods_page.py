"""Write `docs/methods.md`: each method's paper and source, what it needs, and its options.

``python scripts/methods_page.py`` rewrites the page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from winnow.harness.bench.methods import registry

PAGE = Path(__file__).parents[1] / "docs" / "methods.md"
INTRODUCTION = """# Methods

Made by `scripts/methods_page.py` from the methods' YAML and classes; a test keeps it current. `winnow methods`
lists them, `winnow methods --format json` gives all of this to programs. Which method works on which model stands
in [support.md](support.md), how to write one in [authors.md](authors.md).

*Needs attention* means statistics that the released code reads off attention matrices, which fused kernels do not
give; Winnow computes them beside any kernel. Of an option the default comes first. `variant=official` is the released
code with its defects, and of many methods the only one; `mended` leaves out what is plainly a defect. A licence is that
of the released code: `none` where it has none, `not looked up` where nobody has looked. No code is copied.

"""
READINGS = """## Names that are not the method

What tables call by a method's name is not always that method. These are readings of released code, by us, on random
inputs where that was enough; accuracy was not tested. A table that compares with such a row should say so.

- The `qwen` branch of the VidCom2 repository takes the L2 norm of the merged features for the attention of
  VisionZip, HoliTom and FastVID. Its VisionZip merges by anchors with the highest mean cosine to their five nearest
  neighbours; its HoliTom gives survivors evenly spaced positions; its DyCoke at 25 % keeps 53 % of 8 frames.
- UniPruneBench's FitPrune keeps the share with the lowest scores, which the official code deletes:
  `fitprune select=lowest`. Its FastV and PyramidDrop return tokens in the order of their attention.
- DyCoke's first stage takes, in every second frame, the places that have changed in the pair of frames before (in the
  first pair, those of the last one); the paper judges each pair by itself: `dycoke variant=official` and `mended`.
- DyCoke's second stage prunes while attention changes and uses the whole cache while it is stable; the paper says
  it the other way round. `dycoke decode=code` and `decode=paper` are the two.
- HoliTom's released default (`D=0`) merges nothing in windows of a single frame.
- HoloV pads with zero vectors where a run is given more tokens than it holds.
- LLaVA-Scissor's published numbers come from a base model that was trained again.
- CDPruner and TRIM rank by what CLIP finds least like the question: patches of CLIP answer a text the wrong way round.
- OpenVINO GenAI's CDPruner splits a picture in two halves with a quota each, which changes the choice; relevance
  comes from the LLM's embeddings, not from CLIP's text tower, and is not negated.
- SparseVLM's "192", "128", "64" are tables of counts per stage; its recycled tokens come on top (309, 204 and 113
  for 300, 200 and 110).
- STTM and MustDrop tune thresholds for each benchmark and model, so that their budgets depend on the content.
- PruneVid's code exists for PLLaVA alone; its other rows have no release. LightCompress has its first stage alone;
  both are `prunevid second=0.4`.
- FiCoCo-V, as released, is switched off; switched on, it carries state from one picture to the next, adds to other
  tokens than were chosen, and hands the class token on last. FiCoCo-L's text term is zero under a causal mask.
- VisPruner stops with an error where the rest is odd; counts in tables are those that happen to be even.
- DART adds `int(n (1 - R) / 8)` tokens per pivot in the order of a Python set, which is not ascending.
- HiRED counts the content of tiles by runs of the thumbnail's raster instead of by places, so that content in one half
  of a picture counts for all tiles; it hands no newline tokens on.
- GlobalCom2's "attention" of the CLS token is its logits in the tower's last block, before the softmax, by whose sums
  tiles share; in pictures with padding tokens stand in another order than the picture's.
- iLLaVA, as released for LLaVA-OneVision, weighs what it merges by rank, the least attended most.
- vLLM's and SGLang's EVS keep the first frame whole: of three frames at q=0.7 only the first is left.
- Scores that are computed in bfloat16 take few values, and ties decide: vLLM's VidCom2 keeps other tokens there than in
  single precision, about one in twenty on random inputs. `vidcom2`, `evs`, `dtd`, `framefusion`, `scissor`, and
  `divprune` and `cdpruner` as released, compute in the model's own type as their codes do; ties go to the lower place.
- TensorRT-Edge-LLM's DART leaves prompts of fewer than 16 visual tokens alone, reads the share removed in single
  precision (0.9 of 10 tokens leaves 2), and gives each unbroken run of placeholders a budget and pivots of its own, so
  each frame of a Qwen3-VL video: `dart least=16`, there with `parts=frame`.

"""
BESIDE = """## Weights beside the model

CDPruner (`variant=clip`, `official`) and TRIM compare patches with the question by CLIP's text tower, which is in no
checkpoint of a multimodal LLM. `reducer.text_tower` names the CLIP checkpoint that the model's vision tower comes from:
a repository of the hub, or a folder with safetensors. For LLaVA-1.5, LongVA and PLLaVA that is
`openai/clip-vit-large-patch14-336`. Video-LLaVA's towers are LanguageBind's: OpenAI's words do not belong to them,
though the widths fit. It is loaded when a picture first passes, with its tokenizer, and computes in float32 (0.5 GB for
ViT-L/14); its last norm and projection are the checkpoint's, too. The words are a document's prompt as the benchmark
puts it, in code `attach(..., texts=[...])`. CDPruner reads a question of more than 77 tokens in pieces, TRIM cuts it
off, as their releases do.

FastVID (`variant=head`) compares frames, and finds salient tokens, by SigLIP's pooling head. `reducer.pooling_head`
names the SigLIP checkpoint (LLaVA-OneVision's is `google/siglip-so400m-patch14-384`), of which the blocks that the
model's tower lacks, the norm and the head go on from the model's features.

Nothing stands in for them silently. Where they cannot be had or do not fit, the run is refused in one line. The
declared forms without them are `cdpruner variant=embedding` and `fastvid variant=tower`, the defaults; TRIM has none.
`random` draws weights at sizes that fit the model: for tests and timings, as with `model.weights=random`.

Their work is in the modelled cost (`text_tower`, at the sizes of ViT-L/14; `pooling_head`, with one block) and in the
measured time of the method. Cells of a sweep share the loaded weights, not what they compute: each reads the question
again, so that no method's time hides it. Like all that read the vision tower such cells encode pictures by themselves;
they share LLM layers where tokens are equal. A run's name knows the content of a folder, or the commit of a repository.

"""
LEFT_OUT = """## What is left out, and why

A method that cannot be done as it is, at the places where methods may act today, is not done at all.

- CDPruner by CLIP on LLaVA-NeXT, whose tiles it takes for a batch of pictures; TRIM and it on towers that are none of
  CLIP. What CDPruner's release picks again once nothing is left of any token.
- PruneVid's memory: it takes the keys of what it drops behind layer 10 out of the caches of the layers before. With
  `prunevid second=0.4` an answer reads the same keys, but the others stay stored, so that modelled caches hold them.
- MMTok by words: the question without stop words and instructions, and the tower's states before the projector, which
  the released code compares, on Qwen too. `mmtok` compares what enters the LLM.
- VScan on Qwen2.5-VL, whose tower cannot be read from the entrance, and, as HoloV, FastVID, HoliTom and FlashVID, on
  LLaVA-NeXT, whose tiles it takes one by one and counts as one in its second stage. SparseVLM's + under M-RoPE: it
  corrects attention by the position of a token, of which M-RoPE has three.
- FitPrune's fit of its table of counts to a model: `fitprune` has the released tables, of LLaVA-1.5.
- LLaVA-Scissor's components among nodes drawn at random, and with members lost: `scissor` has whole components.
- FiCoCo-V's class token, which its release merges into and hands on last, so that the next block takes a patch for it:
  methods choose among patches. `ficoco_v variant=official` is the released code but for that, picture by picture.
- iLLaVA on Qwen2-VL and Qwen3-VL, in whose towers methods cannot act; `illava` is the code for LLaVA-OneVision.
- PixelPrune's other scans (serpentine, connected components, at random), and its cut behind some of the tower's blocks.

"""


def page() -> str:
    """The whole page."""
    found = registry([])
    lines = ["| method | venue | acts at | needs attention |", "| --- | --- | --- | --- |"]
    lines += [
        f"| [`{entry['name']}`](#{entry['name']}) | {entry['venue'] or '–'} | {', '.join(entry['sites']) or '–'} | "
        f"{'' if entry['attention_free'] else 'yes'} |"
        for entry in found
    ]
    sections = [line for entry in found for line in section(entry)]
    return INTRODUCTION + "\n".join(lines) + "\n\n" + READINGS + BESIDE + LEFT_OUT + "\n".join(sections[:-1]) + "\n"


def section(entry: dict[str, Any]) -> Iterator[str]:
    """What the page says of one method."""
    yield from (f"## {entry['name']}", "", entry["does"], "")
    if entry["paper"]:
        yield f"- Paper: {entry['paper']}" + (f" ({entry['venue']})" if entry["venue"] else "")
    if entry["code"]:
        yield f"- Code: <{entry['code']}>, licence: {entry['licence']}"
    needs = ", ".join(f"`{probe}`" for probe in entry["probes"])
    yield f"- Acts at: {', '.join(entry['sites']) or 'nothing'}" + (f"; needs {needs}" if needs else "")
    if entry["adaptive"]:
        yield "- How many tokens stay depends on the content."
    for name, knob in entry["knobs"].items():
        if knob["says"] and name not in ("select", "positions", "scope"):
            yield f"- `{name}={_value(knob['default'])}`: {knob['says']}"
    for name in ("select", "positions", "scope"):
        if name in entry["knobs"]:
            yield f"- `{name}={entry['knobs'][name]['default']}`: {entry['knobs'][name]['says']}"
    yield ""


def _value(default: Any) -> str:
    """As YAML writes it."""
    return json.dumps(default) if default is None or isinstance(default, bool) else str(default)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
