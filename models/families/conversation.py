"""What a model's chat template writes between an answer and the next one."""

from __future__ import annotations

from typing import Any

from winnow.reducers.core.errors import WinnowError

ANSWER = "the answer was here"
"""Stands for an answer in a conversation, to find what the template writes behind it."""


def next_turn(processor: Any, text: str, **told: Any) -> list[int]:
    """Ids of what stands behind an answer when the user asks once more, up to where the next answer begins.

    Parameters
    ----------
    processor : ProcessorMixin
    text : str
        The question.
    **told
        See `Family.told`.

    Raises
    ------
    WinnowError
        If the model's chat template takes no second question.
    """
    said = [_turn("user", "?"), _turn("assistant", ANSWER), _turn("user", text)]
    from jinja2 import TemplateError

    try:
        _, answer, behind = processor.apply_chat_template(said, add_generation_prompt=True, **told).partition(ANSWER)
    except (ValueError, TypeError, TemplateError) as error:
        raise WinnowError(f"the chat template of this model takes no second question: {error}") from error
    if not answer or text not in behind:
        raise WinnowError("the chat template of this model leaves out an answer, or the question behind it")
    found: list[int] = processor.tokenizer(behind, add_special_tokens=False)["input_ids"]
    return found


def _turn(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}
