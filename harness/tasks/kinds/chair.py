"""Objects that a caption names and the picture lacks: CHAIR (Rohrbach et al. 2018, arXiv:1809.02156, section 3.1).

The vocabulary of MSCOCO's objects is lmms-eval's; its lemmas come from nltk's tagger, whose data have to be downloaded.
Here a plural is undone only where that gives a word of the vocabulary, which needs no data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc

DATA = ("tokenizers/punkt_tab", "taggers/averaged_perceptron_tagger_eng", "corpora/wordnet.zip")
WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")
IRREGULAR = {
    "men": "man", "women": "woman", "policemen": "policeman", "servicemen": "serviceman", "gentlemen": "gentleman",
    "mice": "mouse", "geese": "goose", "calves": "calf", "knives": "knife", "wolves": "wolf", "thieves": "thief",
    "oxen": "ox", "grandchildren": "grandchild",
}  # fmt: skip
ENDINGS = (("ies", "y"), ("ves", "f"), ("es", ""), ("s", ""))


class Vocabulary(NamedTuple):
    """Words of objects -> the object; pairs of words -> one word; the words of the pairs."""

    objects: Mapping[str, str]
    pairs: Mapping[str, str]
    parts: frozenset[str]


@cache
def vocabulary() -> Vocabulary:
    """The words that lmms-eval knows."""
    from lmms_eval.tasks.coco_cap_chair import utils

    named, pairs = utils.INVERSE_SYNONYM_DICT, utils.DOUBLE_WORD_DICT
    objects = {word: named[word] for word in utils.MSCOCO_OBJECTS if word in named}
    return Vocabulary(objects, dict(pairs), frozenset(part for pair in pairs for part in pair.split()))


def objects_of(caption: str, known: Vocabulary) -> list[str]:
    """Name the objects of a caption, in order, as often as they are mentioned."""
    words = list(_joined([_singular(word, known) for word in WORD.findall(caption.lower())], known.pairs))
    if "toilet" in words and "seat" in words:
        words = [word for word in words if word != "seat"]
    return [known.objects[word] for word in words if word in known.objects]


def _singular(word: str, known: Vocabulary) -> str:
    singles = [IRREGULAR.get(word, word), *(word.removesuffix(end) + new for end, new in ENDINGS if word.endswith(end))]
    return next((single for single in singles if single in known.objects or single in known.parts), word)


def _joined(words: Sequence[str], pairs: Mapping[str, str]) -> Iterator[str]:
    place = 0
    while place < len(words):
        pair = " ".join(words[place : place + 2])
        yield pairs.get(pair, words[place])
        place += 2 if pair in pairs else 1


def lacking() -> str:
    """Say which of nltk's data lmms-eval would look for in vain, with its retries."""
    from lmms_eval.tasks.coco_cap_chair import utils

    for name in DATA:
        try:
            utils.nltk.data.find(name)
        except LookupError:
            return f"nltk's {name} is not on this machine: python -m nltk.downloader {name.rpartition('/')[2]}"
    return ""


def faithful(value: Any, answer: str, doc: Doc) -> Reading:
    """Whether a caption names nothing that the picture lacks."""
    invented = set(objects_of(answer, vocabulary())) - set(doc["gt_object"])
    return Reading(float(not invented), bool(answer.strip()))


def rates(answered: Sequence[tuple[Doc, str, float]]) -> dict[str, float]:
    """Invented objects by caption and by mention, and the share of the picture's objects that are named, in %."""
    named = [(objects_of(answer, vocabulary()), set(doc["gt_object"])) for doc, answer, _ in answered]
    invented = [sum(one not in there for one in said) for said, there in named]
    mentions, objects = sum(len(said) for said, _ in named), sum(len(there) for _, there in named)
    found = sum(len(there & set(said)) for said, there in named)
    return {
        "CHAIR_s": 100 * sum(count > 0 for count in invented) / len(named),
        "CHAIR_i": 100 * sum(invented) / max(mentions, 1),
        "recall": 100 * found / max(objects, 1),
    }
