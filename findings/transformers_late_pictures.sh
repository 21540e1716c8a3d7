#!/usr/bin/env bash
# transformers 5.17.0: `generate` on Gemma 3, given a cache and `token_type_ids` of the whole conversation, hands the model those
# of the new tokens alone. Its mask compares them with all keys, so that the tokens of a picture in a later turn do not see each
# other both ways; the answer is another one than to the same conversation in one piece, and nothing is said. 5.23.0 hands on all.
# Seen (largest difference of the next token's logits to those of the conversation in one piece, tiny random model):
#   5.17.0: differs
#   5.23.0: equal
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"

cat > "$place/look.py" <<'PYTHON'
import torch
from transformers import Gemma3Config, Gemma3ForConditionalGeneration

torch.manual_seed(0)
text = dict(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
            head_dim=16, layer_types=["full_attention", "full_attention"], max_position_embeddings=128)
vision = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=16, patch_size=4)
config = Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=16, image_token_index=60, boi_token_index=61,
                      eoi_token_index=62)
model = Gemma3ForConditionalGeneration(config).eval()
first = torch.tensor([[5, 6, 7, 8]])
later = torch.tensor([[9, *[60] * 16, 10, 11]])
ids = torch.cat([first, later], 1)
inputs = dict(pixel_values=torch.randn(1, 3, 16, 16), token_type_ids=(ids == 60).long())
with torch.no_grad():
    whole = model(input_ids=ids, **inputs).logits[:, -1]
    cache = model(input_ids=first, token_type_ids=torch.zeros_like(first), use_cache=True).past_key_values
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), past_key_values=cache, max_new_tokens=1, do_sample=False,
                         output_logits=True, return_dict_in_generate=True, **inputs)
print("equal" if torch.allclose(whole, out.logits[0], atol=1e-4) else "differs")
PYTHON

for case in 5.17.0=differs 5.23.0=equal; do
    "$place/env/bin/pip" install --quiet torch==2.12.1 pillow numpy "transformers==${case%%=*}"
    said=$("$place/env/bin/python" "$place/look.py" 2>/dev/null | tail -1)
    echo "${case%%=*}: $said"
    [ "$said" = "${case#*=}" ] || { echo "changed: expected ${case#*=}"; exit 1; }
done
