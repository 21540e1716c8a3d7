"""Marks the letters of a text that stand for an option, so that those who read it need not look at words any more."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from winnow.harness.tasks.letter_rejections import MARK, OPEN, SEVERAL, without_rejected

NOUN = (
    r"(?:\b(?:answers?|option|choice|conclusion|guess|pick|(?:best|correct|right) (?:match|fit|one))\b|"
    r"答案|选项|選項|选择|選擇|正解|정답|답|答え)"
)
LINK = r"(?:\b(?:is|be|was)\b|:|=|是|为|為|은|는|は)"
CHOICE = r"(?:\b(?:choose|chose|select|selected|pick|picked|(?:go|going|went) (?:with|for)|opt for)\b|选择?|選擇?)"
VERB = r"(?:is|was|are|seems?|appears?|looks?|would be|must be|should be)"
NEAR = 40
"""Characters around a letter that decide what it is."""

TAG = r"(?:think(?:ing)?|thought|reasoning)[>\]▷]"
THINKING = re.compile(rf"^.*[<\[◁]/{TAG}|[<\[◁]{TAG}.*$", re.DOTALL | re.IGNORECASE)
ENTITLED = re.compile(r"<(/?)(?:answer|option|choice)>|<\|(begin|end)_of_box\|>", re.IGNORECASE)
STYLED = re.compile(r"\\(?:text\w*|math\w+|operatorname)\s*\{([^{}]*)\}")
BOXED = re.compile(r"\\f?boxed\s*\{([^{}]*)\}")
DELETED = re.compile(r"~~[^~\n]*~~|<(del|s|strike)>[^<]*</\1>", re.IGNORECASE)
MARKUP = re.compile(r"[*`_~$]+|\\[()\[\],;! ]|^\s*(?:[#>]+|[-•]\s)|[«»]", re.MULTILINE)

LOOKALIKES = str.maketrans("\u0410\u0412\u0421\u0415", "ABCE")
"""Cyrillic letters, which some models write for Latin ones."""
CYRILLIC_WORD = re.compile(r"[\u0400-\u04ff]{2}")
PLACES = ("first", "second", "third", "fourth", "fifth", "sixth")
PLACE = re.compile(rf"\b(?:the )?({'|'.join(PLACES)}) (?:option|choice)\b(?! of\b)", re.IGNORECASE)
NOTE = re.compile(r"\s+(?:flat|sharp|major|minor)\b")

LETTER = re.compile(
    r"(?<![A-Za-z0-9.°])(?<!\w['’-])(?<!N/)([A-Za-z])(?![A-Za-z0-9#]|[+&](?!\s*[A-Za-z](?!\w))|['’-]\w|\.\w(?!\w))"
)
WORDLIKE = "AI"
"""Options' letters that are words as well; before another word they are, but for those that speak of options."""
ARTICLE = re.compile(
    r"[^\S\n]+(?!(?:is|was|isn|because|since|as|and|or|but|seems|appears|looks|would|should|does|doesn|fits|"
    r"matches|describes|shows|to|through|along|plus|with|over)\b|[A-Za-z](?![\w-]))[A-Za-z0-9]"
)
BEFORE = re.compile(r"\b([A-Za-z]+|(?:Mrs?|Ms|Dr|Prof|St)\.)[^\S\n]+" + OPEN + "$")
ITEM = re.compile(r"(?<!\w)([A-Z])[.:)]\s")
INTRODUCING = re.compile(
    r"is|be|was|are|[smd]|its?|es|est|ist|options?|choices?|answers?|ans|letter|selection|conclusion|solution|result|"
    r"response|output|assistant|choose|chosen?|select(?:ed)?|pick(?:ed)?|sa(?:y|ys|id)|think|believe|guess|suggests?|"
    r"with|for|and|or|but|so|thus|hence|therefore|then|finally|because|since|as|than|that|if|when|whereas|while|"
    r"although|probably|likely|definitely|clearly|obviously|certainly|surely|maybe|perhaps|possibly|actually|rather|"
    r"only|just|not|nor|neither|either|both|between|from|to|at|of|in|except|unlike|no|yes|out|leaves|leaving|left|"
    r"remains|reject(?:s|ed)?|(?:eliminat|exclud)(?:e|es|ed|ing)|wait|correct|right|best|final|"
    r"about|over|against|doubt|match(?:es)?|fits|also|even|ok|okay|sure|prefer|favou?r|namely|(?:choos|select|pick)ing",
    re.IGNORECASE,
)
"""Words before a letter behind which it stands for an option; behind any other (button B, Mr. B) it may be a name."""
CHOSEN = re.compile(r"\b(?:answer|option|choice|choose|select|pick|go with)\b", re.IGNORECASE)
EXPECTED = re.compile(rf"^\W*$|{NOUN}\s*(?:{LINK}\s*)?{OPEN}$|{CHOICE}\s*$", re.IGNORECASE)
"""What stands before a small letter that stands for an option."""


def plain(answer: str) -> str:
    """Take away reasoning between tags, markdown and LaTeX; what is boxed or tagged as the answer says that it is."""
    text = THINKING.sub("", unicodedata.normalize("NFKC", answer)).replace("。", ". ")
    text = text if CYRILLIC_WORD.search(text) else text.translate(LOOKALIKES)
    text = DELETED.sub(" ", text)
    text = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    text = BOXED.sub(r" Answer: \1. ", STYLED.sub(r"\1", text))
    text = ENTITLED.sub(lambda tag: ". " if tag[1] or tag[2] == "end" else " Answer: ", text)
    return MARKUP.sub(" ", text).strip()


def lettered(text: str, letters: Sequence[str]) -> str:
    """Write the letter of an option for its place among them: "the second option" is option B."""

    def letter(found: re.Match[str]) -> str:
        place = PLACES.index(found[1].lower())
        return f"option {letters[place]}" if place < len(letters) else found[0]

    return PLACE.sub(letter, text)


def marked(text: str, letters: Collection[str]) -> str:
    """Put marks around the letters that stand for an option, but not around those that the text rejects.

    Parameters
    ----------
    text : str
    letters : collection of str
        Those that may stand for one.
    """
    items = {*ITEM.findall(text)}

    def mark(found: re.Match[str]) -> str:
        before, after = text[max(0, found.start() - NEAR) : found.start()], text[found.end() : found.end() + NEAR]
        stands = found[1].upper() in letters and (
            ({found[1], chr(ord(found[1]) - 1)} <= items and ITEM.match(found[0] + after))
            or _stands(found[1], before, after)
        )
        return f"«{found[1].upper()}»" if stands else found[0]

    said = LETTER.sub(mark, text)
    several = re.compile(SEVERAL, re.IGNORECASE)
    return several.sub(
        lambda found: found[0] if len({*re.findall(MARK, found[0])}) == 1 else "«?»", without_rejected(said)
    )


def _stands(letter: str, before: str, after: str) -> bool:
    """Whether a letter that is no part of a word stands for an option."""
    if re.match(r"[)\]}】]", after):
        return True
    if NOTE.match(after):
        return False
    word = BEFORE.search(before)
    if word and (
        not (INTRODUCING.fullmatch(word[1]) or re.fullmatch(r"[A-Z]", word[1]))
        or (word[1].lower() == "letter" and not CHOSEN.search(before))
    ):
        return False
    if letter.isupper():
        return letter not in WORDLIKE or not ARTICLE.match(after)
    ends = re.match(r"\W*$|[.:,;]\s", after)
    if letter.upper() not in WORDLIKE:
        ends = ends or re.match(r"\s+(?:is|because|since|as|fits|seems|best)\b", after)
    firm = bool(ends) or (letter.upper() not in WORDLIKE and bool(before.strip()))
    return firm and bool(EXPECTED.search(before))
