#!/usr/bin/env bash
# transformers 5.24.0: Qwen2-VL, Qwen2.5-VL and Qwen3-VL keep the offset of later positions (rope_deltas) on the model, of the
# last prompt alone. Two prompts with caches of their own, continued in turn by forward, are then numbered wrongly without a
# word: the first goes on with the offset of the second.
# Seen (8 x 8 tokens in one prompt, 2 x 2 in the other; the first picture goes on at 12 when it is alone):
#   alone at 12, in turn at 66, logits differ by more than 0.001: True
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet torch==2.12.1 numpy transformers==5.24.0

cat > "$place/look.py" <<'PYTHON'
import torch
from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

torch.manual_seed(0)
text = {"vocab_size": 60, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "num_key_value_heads": 2, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4},
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
vision = {"depth": 1, "embed_dim": 32, "num_heads": 2, "mlp_ratio": 1, "hidden_size": 32, "patch_size": 4}
names = {"image_token_id": 10, "video_token_id": 11, "vision_start_token_id": 12, "vision_end_token_id": 13}
model = Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, **names)).eval()
for parameter in model.parameters():
    parameter.data *= 8 if parameter.ndim > 1 else 1


def picture(side):
    ids = torch.tensor([[5, 12, *[10] * (side * side), 13, 6]])
    return {"input_ids": ids, "mm_token_type_ids": (ids == 10).int(), "pixel_values": torch.randn(side * side * 4, 96),
            "image_grid_thw": torch.tensor([[1, 2 * side, 2 * side]])}


found = []
model.model.language_model.register_forward_pre_hook(
    lambda module, args, kwargs: found.append(kwargs["position_ids"][-3:, 0]), with_kwargs=True)
large, small, next_token = picture(8), picture(2), torch.tensor([[7]])
with torch.no_grad():
    alone = model(input_ids=next_token, cache=model(**large, use_cache=True).cache).logits
    first = int(found[-1].max())
    cache = model(**large, use_cache=True).cache
    model(**small, use_cache=True)
    turn = model(input_ids=next_token, cache=cache).logits
print(f"alone at {first}, in turn at {int(found[-1].max())}, "
      f"logits differ by more than 0.001: {bool((alone - turn).abs().max() > 1e-3)}")
PYTHON
said=$("$place/env/bin/python" "$place/look.py" 2>/dev/null | tail -1)
echo "$said"
[ "$said" = "alone at 12, in turn at 66, logits differ by more than 0.001: True" ] || { echo "changed"; exit 1; }
