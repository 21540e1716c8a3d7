"""A method on a model that you loaded yourself: three lines attach it, and the trace says what it kept."""

from pathlib import Path

from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import winnow

weights = Path(winnow.__file__).parent / "models/pico/weights"  # or the name of a supported model on the hub
model = AutoModelForImageTextToText.from_pretrained(weights)
processor = AutoProcessor.from_pretrained(weights)
inputs = processor(text="<image> what color", images=[Image.new("RGB", (60, 60), "red")], return_tensors="pt")

for method in ("none", "fastv", "vas", "prumerge"):
    words = {"none": {}, "fastv": {"ratio": 0.25, "schedule": winnow.K(3)}, "vas": {"schedule": winnow.Rounds(3, 6, 1)}}
    with winnow.attach(model, method, **words.get(method, {"ratio": 0.5})) as trace:
        output = model.generate(**inputs, max_new_tokens=4)
    answer = processor.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    print(f"{method:<9} {answer:<12} visual tokens by layer: {trace.prompts[0].visual_per_layer}")
