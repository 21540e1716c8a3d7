#!/usr/bin/env bash
# transformers 5.18.0: generate() with num_return_sequences (beams likewise) on Qwen2.5-VL gives the pictures of a prompt that has
# several to the wrong sequences, so that their first logits are not those of one sequence. 5.20.2 repeats the pictures prompt by
# prompt, 5.17.0 does too. Prompts of one picture, and greedy decoding, are not concerned.
# Seen, whether the first logits of each sequence are off by more than 0.01: 5.18.0 [True, True]; 5.20.2 [False, False]
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"

cat > "$place/look.py" <<'PYTHON'
import torch
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

torch.manual_seed(0)
text = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32, "patch_size": 4,
          "window_size": 16, "fullatt_block_indexes": [0], "tokens_per_second": 2}
names = {"image_token_id": 10, "video_token_id": 11, "vision_start_token_id": 12, "vision_end_token_id": 13}
model = Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, **names)).eval()
for parameter in model.parameters():
    parameter.data *= 8 if parameter.ndim > 1 else 1
model.set_attn_implementation("eager")
ids = torch.tensor([[5, *[12, 10, 10, 10, 10, 13] * 2, 6]])
inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": (ids == 10).int(),
          "pixel_values": torch.randn(32, 96), "image_grid_thw": torch.tensor([[1, 4, 4]] * 2)}
told = {"max_new_tokens": 1, "do_sample": True, "top_k": 0, "output_logits": True, "return_dict_in_generate": True}
with torch.no_grad():
    (one,) = model.generate(**inputs, **told).logits
    (two,) = model.generate(**inputs, **told, num_return_sequences=2).logits
print(((two - one).abs().amax(1) > 0.01).tolist())
PYTHON

for case in "5.18.0=[True, True]" "5.20.2=[False, False]"; do
    "$place/env/bin/pip" install --quiet torch==2.12.1 numpy "transformers==${case%%=*}"
    said=$("$place/env/bin/python" "$place/look.py" 2>/dev/null | tail -1)
    echo "transformers ${case%%=*}: $said"
    [ "$said" = "${case#*=}" ] || { echo "changed: expected ${case#*=}"; exit 1; }
done
