#!/usr/bin/env bash
# transformers 5.24.0: on Qwen2-VL and Qwen2.5-VL the text behind a film of more temporal steps than its frames are wide begins
# at the film's first position + max(rows, columns), among the film's own positions; 4.57.6, with which the models came out,
# begins behind its last one. generate() then numbers answers behind the text, but a loop over forward behind the film.
# Seen, film of 8 steps of 2 x 2 tokens, two tokens of text behind it:
#   4.57.6: film at 2 to 9, text from 10, generate goes on at 12, forward at 12
#   5.24.0: film at 2 to 9, text from 4, generate goes on at 6, forward at 10
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"

cat > "$place/look.py" <<'PYTHON'
import torch
import transformers
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

rope = {"type": "default", "rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
text = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 2, "rope_scaling": rope, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
vision = {"depth": 1, "embed_dim": 32, "num_heads": 2, "mlp_ratio": 1, "hidden_size": 32, "patch_size": 4}
names = {"image_token_id": 10, "video_token_id": 11, "vision_start_token_id": 12, "vision_end_token_id": 13}
model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **names)).eval()
STEPS, CELLS = 8, 4
ids = torch.tensor([[5, 12, *[11] * (STEPS * CELLS), 13, 6]])
pixels = torch.randn(STEPS * CELLS * 4, 3 * 2 * 4 * 4)
inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values_videos": pixels,
          "video_grid_thw": torch.tensor([[STEPS, 4, 4]])}
if not transformers.__version__.startswith("4."):
    inputs["mm_token_type_ids"] = 2 * (ids == 11).int()
found = []
model.model.language_model.register_forward_pre_hook(
    lambda module, args, kwargs: found.append(kwargs["position_ids"][-3:, 0]), with_kwargs=True)
with torch.no_grad():
    model.generate(**inputs, max_new_tokens=2, min_new_tokens=2, do_sample=False)
    whole, generated = found[0], int(found[1].max())
    cache = model(**inputs, use_cache=True).past_key_values
    model(input_ids=torch.tensor([[7]]), past_key_values=cache,
          **({"cache_position": torch.tensor([ids.shape[1]])} if transformers.__version__.startswith("4.") else {}))
film = whole[:, ids[0] == 11]
print(f"film at {film.min()} to {film.max()}, text from {whole[0, -2]}, generate goes on at {generated}, "
      f"forward at {int(found[-1].max())}")
PYTHON

for case in "4.57.6=film at 2 to 9, text from 10, generate goes on at 12, forward at 12" \
            "5.24.0=film at 2 to 9, text from 4, generate goes on at 6, forward at 10"; do
    "$place/env/bin/pip" install --quiet torch==2.12.1 numpy "transformers==${case%%=*}"
    said=$("$place/env/bin/python" "$place/look.py" 2>/dev/null | tail -1)
    echo "${case%%=*}: $said"
    [ "$said" = "${case#*=}" ] || { echo "changed: expected ${case#*=}"; exit 1; }
done
