#!/usr/bin/env bash
# transformers 5.24.0: Qwen3-VL's processor leaves the vision marks that the chat template writes around a whole film, beside
# those that it writes around each temporal step; 4.57.6, with which the model came out, puts the steps in their place. The
# prompt of every film is two tokens longer, and begins with two openings in a row but for a time between them.
# Seen, film of 4 frames, which are two temporal steps ("," stands for vision start, ";" for vision end, "v" for a token):
#   4.57.6: <0.1 seconds>,vvvv;<0.6 seconds>,vvvv;when
#   5.24.0: ,<0.1 seconds>,vvvv;<0.6 seconds>,vvvv;;when
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"

cat > "$place/look.py" <<'PYTHON'
import numpy as np
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Qwen2VLImageProcessor, Qwen3VLProcessor, Qwen3VLVideoProcessor

letters = "<>. 0123456789secondwh"
marks = ["<|vision_start|>", "<|vision_end|>", "<|video_pad|>", "<|image_pad|>", "<|pad|>"]
vocabulary = {name: number for number, name in enumerate([*marks, *sorted(set(letters))])}
made = Tokenizer(models.WordLevel(vocabulary, unk_token="<|pad|>"))
made.pre_tokenizer = pre_tokenizers.Split("", "isolated")
tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<|pad|>", additional_special_tokens=marks)
Qwen3VLProcessor.tokenizer_class = "PreTrainedTokenizerFast"
pictures = Qwen2VLImageProcessor(patch_size=16)
films = Qwen3VLVideoProcessor(size={"shortest_edge": 4 * 64 * 64, "longest_edge": 4 * 64 * 64})
processor = Qwen3VLProcessor(image_processor=pictures, tokenizer=tokenizer, video_processor=films)
clock = {"total_num_frames": 4, "fps": 4.0, "duration": 1.0, "frames_indices": [0, 1, 2, 3]}
inputs = processor(text=["<|vision_start|><|video_pad|><|vision_end|>when"], videos=[np.zeros((4, 64, 64, 3), np.uint8)],
                   video_metadata=[clock], do_sample_frames=False)
names = {"<|vision_start|>": ",", "<|vision_end|>": ";", "<|video_pad|>": "v"}
tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0])
print("".join(names.get(token, token) for token in tokens))
PYTHON

for case in "4.57.6=<0.1 seconds>,vvvv;<0.6 seconds>,vvvv;when" "5.24.0=,<0.1 seconds>,vvvv;<0.6 seconds>,vvvv;;when"; do
    "$place/env/bin/pip" install --quiet torch==2.12.1 torchvision==0.27.1 pillow numpy "transformers==${case%%=*}"
    said=$("$place/env/bin/python" "$place/look.py" 2>/dev/null | tail -1)
    echo "${case%%=*}: $said"
    [ "$said" = "${case#*=}" ] || { echo "changed: expected ${case#*=}"; exit 1; }
done
