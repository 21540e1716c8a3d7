"""One reader of multiple-choice answers for all benchmarks: the option that a text settles on, if it does.

In this order: is the text an option's own words; does it say what the answer is (its last word on it counts); does
reasoning end in a line that is a letter; does the text begin with a letter; does it mention one letter only; does it
begin with an option's words, or hold those of one option only? Else there is none: nothing is guessed.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping

from winnow.harness.tasks.letter_marks import CHOICE, LINK, NOUN, VERB, lettered, marked, plain
from winnow.harness.tasks.letter_rejections import BAD, CLOSE, MARK, OPEN, neutral

UNDECIDED = "?"
LETTERS = "ABCDEF"
"""Letters that models choose from even where a question has fewer options; to settle on one of those is no answer."""
REASONING = 5
"""Words above which a text is more than an answer."""
OPTION = (
    r"(?:(?:most |very )?(?:likely|probably|clearly|definitely)\s+)?(?:the\s+)?(?:option|choice|letter|选项|答案)?\s*"
)
GOOD = r"(?:correct|right|true|best|answer|most|likely|accurate|appropriate|better|正确|正確|对)"
CORRECTION = r"\b(?:actually|correction|wait|on second thoughts?)\b"
TURN = rf"(?:{CORRECTION}|\b(?:no|rather|instead|however|but|so|therefore|thus|hence|finally)\b)"
IT = r"\b(?:it|that|this)(?: is|['’]s| must be| has to be)\b"
STATED = (
    re.compile(rf"{NOUN}(?!\s*{OPEN}«)[^.\n:=?!«]{{0,60}}?{LINK}[^\w«]*{OPTION}{OPEN}{MARK}", re.IGNORECASE),
    re.compile(rf"{NOUN}\s*{OPEN}{MARK}{CLOSE}\s*[.!]?\s*$", re.IGNORECASE),
    re.compile(
        rf"{CHOICE}\s*(?:the\s+)?(?:option|choice|letter|answer)?\s*{OPEN}{MARK}",
        re.IGNORECASE,
    ),
    re.compile(rf"{MARK}{CLOSE}\s*(?:{VERB}\s+(?:to be\s+|the\s+|my\s+)*|(?:选项)?是?)(?=\s*{GOOD})", re.IGNORECASE),
    re.compile(
        rf"(?:{TURN}\W{{0,4}}(?:I (?:would |now )?(?:think|say|believe)\s*)?(?:{IT})?|{IT})\s*"
        rf"{OPTION}{OPEN}{MARK}{CLOSE}\s*(?=[.!,;\n]|$)",
        re.IGNORECASE,
    ),
    re.compile(rf"{MARK}{CLOSE}[\s:?(–—-]{{1,4}}(?:(?:yes|correct|right)\b|[✓✔✅√])", re.IGNORECASE),
)
"""Ways to say what the answer is."""
ALONE = re.compile(rf"^\W*{OPTION}{OPEN}{MARK}\W*$", re.IGNORECASE)
FIRST = re.compile(rf"^[^\w«]*{OPTION}{OPEN}{MARK}(?=\s*(?:[.:,;)\]}}】\"'\n–—-]|$|because\b|since\b))", re.IGNORECASE)
TENTATIVE = re.compile(r"\b(?:if|may|might|could|some|first|initial(?:ly)?|seems?|would)\b[^.\n]*$", re.IGNORECASE)
FIRM = re.compile(rf"{MARK}(?=[.:)])")
WORDS_STATED = re.compile(rf"{NOUN}[^.\n:=]{{0,60}}?{LINK}\s*(.+?)\s*(?:\.(?!\d)|\n|$)", re.IGNORECASE)
UNABLE = re.compile(
    r"\b(?:not|no|none|neither|never|cannot|unable|sorry|unclear|unknown|except|(?:any|every)thing but|"
    rf"{BAD}|(?:is|was|are|were|do|does|did|ca|could|would|wo|has|have)nt)\b"
)
REFUSAL = re.compile(
    r"\b(?:cannot|can['’]?t|could(?:n['’]?t| not)|unable to|not able to|do(?:n['’]?t| not)|impossible to|hard to)\s+"
    r"(?:\w+ )?(?:tell|say|know|determine|answer|judge|decide|identify|be sure)\b|"
    r"\bno (?:idea|answer|clue|information|opinion|comment|option|choice|way)\b",
    re.IGNORECASE,
)
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
PUNCTUATION = re.compile(rf"((?<=\d)[.,:/-](?=\d)|(?<![\w)])[-.](?=\.?\d)|[<>=+#^])|[{re.escape(string.punctuation)}]")
"""What a number, a formula or a name needs stays."""
ARTICLE = re.compile(r"\b(?:an?|the)\s+(?=[\w.+<-])")


def read_letter(answer: str, options: Mapping[str, str]) -> str:
    """Find the option that an answer settles on.

    Parameters
    ----------
    answer : str
        What the model wrote, with its reasoning if it gave any.
    options : mapping
        Letter -> what that option says.

    Returns
    -------
    str
        The letter, or nothing where the answer names none, several, or one that is not among the options.
    """
    text = lettered(plain(answer), [*options])
    words = {letter: said for letter, said in _words(options).items() if said.upper() not in options}
    found = _same(text, words) or _settled(marked(neutral(text, options), {*LETTERS, *options})) or _worded(text, words)
    return found if found in options else ""


def _words(options: Mapping[str, str]) -> dict[str, str]:
    return {letter: said for letter, text in options.items() if (said := spoken(text))}


def spoken(text: str) -> str:
    """Lower case and single spaces, without articles and punctuation but for that of numbers (-5, 1.5, 1/2)."""
    plainly = THOUSANDS.sub("", text.lower().replace("\u2212", "-").replace("\u2044", "/"))
    return " ".join(PUNCTUATION.sub(r"\1", ARTICLE.sub("", plainly)).split())


def _settled(text: str) -> str:
    """Read marked letters."""
    said = [(found.end(), found[1]) for pattern in STATED for found in pattern.finditer(text)]
    if not re.search(r"\w", re.sub(MARK, "", text)) and len({*re.findall(MARK, text)}) > 1:
        return UNDECIDED
    parts = [part for part in re.split(r"[.!?]\s|\n", text) if part.strip()]
    last = ALONE.match(parts[-1]) if len(text.split()) > REASONING else None
    if said and not last:
        return _last(text, *max(said))
    found = last or (None if _lists(text) else FIRST.match(text))
    if found:
        return found[1]
    mentioned = {*re.findall(MARK, text)}
    return mentioned.pop() if len(mentioned) == 1 else UNDECIDED * bool(mentioned)


def _last(text: str, end: int, letter: str) -> str:
    """Take the last statement, unless it is tentative or corrected and another letter follows."""
    others = {*re.findall(MARK, text[end:])} - {letter}
    before = text[:end].rsplit("\n", 1)[-1]
    open_still = TENTATIVE.search(before) or re.search(CORRECTION, text[end:], re.IGNORECASE)
    return UNDECIDED if others and open_still else letter


def _lists(text: str) -> bool:
    """Whether it repeats the options."""
    starts = {found[1] for line in text.split("\n") if (found := FIRST.match(line))}
    return len(starts) > 1 or len({*FIRM.findall(text)}) > 2


def _worded(text: str, options: Mapping[str, str]) -> str:
    """Find the one option whose words stand in the text; of words within words the longer ones count."""
    if REFUSAL.search(text):
        return ""
    start = _same(re.split(r"[.,;:](?!\d)|\n", text)[0], options)
    if start:
        return start
    stated = WORDS_STATED.findall(text)
    said = f" {spoken(stated[-1] if stated else text)} "
    found = {letter: words for letter, words in options.items() if f" {words} " in said}
    whole = [a for a, words in found.items() if not any(words != other and words in other for other in found.values())]
    if len(whole) != 1 or UNABLE.search(said.replace(found[whole[0]], "")):
        return ""
    return whole[0]


def _same(text: str, options: Mapping[str, str]) -> str:
    """Find the one option of exactly these words."""
    found = [letter for letter, words in options.items() if words == spoken(text)]
    return found[0] if len(found) == 1 else ""
