"""Marks the letters of a text that stand for an option, so that those who read it need not look at words any more."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

MARK = r"«([A-Z?])»"
"""A letter that stands for an option, or several between which the text does not decide: ``«?»``."""
OPEN, CLOSE = r"[(\[{\"'“‘<【]*", r"[)\]}\"'”’>】]*"
NOUN = (
    r"(?:\b(?:answers?|option|choice|letter|conclusion|guess|best (?:match|fit|one))\b|"
    r"答案|选项|選項|选择|選擇|正解|정답|답|答え)"
)
LINK = r"(?:\b(?:is|be|was)\b|:|=|是|为|為|은|는|は)"
VERB = r"(?:is|was|are|seems?|appears?|looks?|would be|must be|should be)"
BAD = r"(?:wrong|incorrect|false|impossible|unlikely|out|excluded|eliminated|错|錯|不对|不正确)"
NEGATION = r"(?:(?:is|was|are|does|do|did|can|could|would|has)(?:n['’]?t| not)|cannot|never)"
STRIKE = (
    r"(?:\bnot|n['’]t(?: be)?|\bcannot be|\bneither|\bnor|\brul(?:es?|ed|ing) out|\beliminat(?:es?|ed|ing)|"
    r"\bexclud(?:es?|ed|ing)|\breject(?:s|ed|ing)?|\binstead of|\brather than|\bunlike|不是|不选|排除)"
)
JOIN = rf"{CLOSE}\s*(?:,\s*(?:and|or)\b|\band\b|\bor\b|[,/&、]|和|或者?|及|与)\s*(?:option\s*)?{OPEN}"
SEVERAL = rf"{MARK}(?:{JOIN}{MARK}){{1,9}}"
NEAR = 40
"""Characters around a letter that decide what it is."""

THINKING = re.compile(r"^.*</think(?:ing)?>|<think(?:ing)?>.*$", re.DOTALL | re.IGNORECASE)
ENTITLED = re.compile(r"<(/?)(?:answer|option|choice)>|<\|(begin|end)_of_box\|>", re.IGNORECASE)
STYLED = re.compile(r"\\(?:text\w*|math\w+|operatorname)\s*\{([^{}]*)\}")
BOXED = re.compile(r"\\f?boxed\s*\{([^{}]*)\}")
MARKUP = re.compile(r"[*`_~$]+|\\[()\[\],;! ]|^\s*(?:[#>]+|[-•]\s)|[«»]", re.MULTILINE)

LETTER = re.compile(r"(?<![A-Za-z0-9.°])(?<!\w['’-])(?<!N/)([A-Za-z])(?![A-Za-z0-9+#&]|['’-]\w|\.\w(?!\w))")
WORDLIKE = "AI"
"""Options' letters that are words as well; before another word they are, but for those that speak of options."""
ARTICLE = re.compile(
    r"[^\S\n]+(?!(?:is|was|isn|because|since|as|and|or|but|seems|appears|looks|would|should|does|doesn|fits|"
    r"matches|describes|shows)\b|[A-Za-z](?!\w))[A-Za-z0-9]"
)
NAMED = re.compile(
    r"\b(?:vitamin|plan|team|person|player|man|woman|group|grade|type|class|block|box|object|figure|point|side|room|"
    r"row|step|part|image|picture|video|frame|scene|gate|hepatitis)\s+$",
    re.IGNORECASE,
)
EXPECTED = re.compile(rf"^\W*$|{NOUN}\s*(?:{LINK}\s*)?{OPEN}$", re.IGNORECASE)
"""What stands before a small letter that stands for an option."""
REJECTED = (
    re.compile(rf"(?:{SEVERAL}|{MARK}){CLOSE}\s*(?:{NEGATION}|(?:{VERB}\s*)?(?:(?:clearly|also|obviously|是)\s*)?{BAD})"),
    re.compile(rf"{STRIKE}\s*(?:options?\s+)?{OPEN}(?:{SEVERAL}|{MARK})", re.IGNORECASE),
)  # fmt: skip


def plain(answer: str) -> str:
    """Take away reasoning between tags, markdown and LaTeX; what is boxed or tagged as the answer says that it is."""
    text = THINKING.sub("", unicodedata.normalize("NFKC", answer)).replace("。", ". ")
    text = "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())
    text = BOXED.sub(r" Answer: \1. ", STYLED.sub(r"\1", text))
    text = ENTITLED.sub(lambda tag: ". " if tag[1] or tag[2] == "end" else " Answer: ", text)
    return MARKUP.sub(" ", text).strip()


def marked(text: str, letters: Collection[str]) -> str:
    """Put marks around the letters that stand for an option, but not around those that the text rejects.

    Parameters
    ----------
    text : str
    letters : collection of str
        Those that may stand for one.
    """

    def mark(found: re.Match[str]) -> str:
        before, after = text[max(0, found.start() - NEAR) : found.start()], text[found.end() : found.end() + NEAR]
        stands = found[1].upper() in letters and _stands(found[1], before, after)
        return f"«{found[1].upper()}»" if stands else found[0]

    said = LETTER.sub(mark, text)
    for pattern in REJECTED:
        said = pattern.sub(lambda found: re.sub(MARK, "_", found[0]), said)
    return re.sub(SEVERAL, lambda found: found[0] if len({*re.findall(MARK, found[0])}) == 1 else "«?»", said)


def _stands(letter: str, before: str, after: str) -> bool:
    """Whether a letter that is no part of a word stands for an option."""
    if NAMED.search(before):
        return False
    if re.match(r"[)\]}】]", after):
        return True
    if letter.isupper():
        return letter not in WORDLIKE or not ARTICLE.match(after)
    ends = bool(re.match(r"\W*$|[.:,;]\s", after))
    firm = ends or (letter.upper() not in WORDLIKE and bool(before.strip()))
    return firm and bool(EXPECTED.search(before))
