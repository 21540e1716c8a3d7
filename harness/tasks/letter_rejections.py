"""Strikes the marked letters that a text rejects or only asks about, clause by clause, so that nobody reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping

MARK = r"«([A-Z?])»"
"""A letter that stands for an option, or several between which the text does not decide: ``«?»``."""
OPEN, CLOSE = r"[(\[{\"'“‘<【]*", r"[)\]}\"'”’>】]*"
AND = r"(?:(?:and|or)\b(?:\s+(?:also|then|even|maybe|perhaps|possibly|option)\b)*|[&+/|、]|和|或者?|及|与|か)"
JOIN = (
    rf"{CLOSE}\s*(?:[.,;]*\s*{AND}|[,;~–—-]|(?:along|together) with\b|as well as\b|plus\b|to\b|through\b)"
    rf"\s*(?:option\s*)?{OPEN}"
)
SEVERAL = rf"{MARK}(?>{JOIN}{MARK}){{1,25}}+"
UNIT = rf"(?>{SEVERAL}|{MARK})"

BAD = (
    r"(?:wrong|incorrect|false|inaccurate|invalid|impossible|improbable|unlikely|implausible|unsupported|mistaken|"
    r"excluded|eliminated|discarded|dismissed|rejected|ruled\s+out|out|worst|worse|least|less)"
)
DENIAL = (
    r"(?:not(?! only\b)|no(?! doubt\b| question\b)|never|cannot|none(?! other than\b| but\b)|neither|nor|hardly|barely|"
    r"partly|partially|nothing)"
)
DISMISSAL = (
    r"(?:rul(?:es?|ed|ing) out|(?:eliminat|exclud)(?:es?|ed|ing)|(?:reject|discard|dismiss)(?:s|es|ed|ing)?|"
    r"instead of|rather than|unlike|except|avoid(?:s|ed|ing)?|refuses?|(?<!without )(?<!no )(?<!a )doubt(?:s|ed|ful)?|"
    r"disagrees?|(?:(?:any|every)thing|all) (?:but|except|other than))"
)
FAILING = r"(?:contradict(?:s|ed)?|lack(?:s|ed)?|fail(?:s|ed)?|misses|conflicts?|disagrees)"
NOT = rf"(?:\b(?:{DENIAL}|{BAD}|{DISMISSAL})\b|n['’]t\b|不|并非|排除)"
BE = (
    r"(?:is|was|are|were|be|been|do|does|did|has|have|had|can|could|would|should|may|might|must|will|seems?|appears?|"
    r"looks?|ca|wo)"
)
CUT = (
    r"(?:\b(?:but|so|because|since|as|while|whereas|although|though|therefore|thus|hence|and|then|leav(?:es|ing))\b|"
    r"所以|因此)"
)
CLAUSE = rf"(?:(?!{CUT})[^.!?;,:\n«]){{0,60}}?"
"""Words of the clause up to the next letter."""
CROSS = r"[✗✘❌✖×☒👎]"
END = r"(?=\s*(?:[^\w\s]|$|\n|because\b|since\b|as\b))"
GIVEN = re.compile(
    r"\b((?:since|because|as|given)\b[^.!?;,\n«]{3,80}?)\s+(?=(?:the|my) (?:\w+ )?(?:answer|option|choice)\b)",
    re.IGNORECASE,
)
"""A reason that no comma parts from what follows from it."""
QUESTIONED = re.compile(rf"{UNIT}{CLOSE}{CLAUSE}\?(?!\s*(?:yes|correct|right)\b)", re.IGNORECASE)
REJECTED = (
    re.compile(
        rf"{UNIT}{CLOSE}(?:\s*(?:选项)?\s*(?:也|都|均|是|显然)*(?:错|錯|不(?!选)|有误|排除)|\s*は(?:間違|誤|違|不正解)|"
        rf"\s*(?:では|じゃ)な|\s*[이가은는]?\s*(?:아니|아닙|틀))[^,.\n«]*"
    ),
    re.compile(
        rf"{UNIT}{CLOSE}\s*(?:(?:option|choice|answer)\s+)?"
        rf"(?:[\s?:(,=>–—-]{{0,4}}(?:{CROSS}|\b(?:no|{BAD})\b(?! *«){END})|"
        rf"(?:cannot|{FAILING})\b|"
        rf"{BE}(?:n['’]t\b|(?:\s+(?!{CUT})[\w'’]+){{0,4}}?\s+(?:{DENIAL}|{BAD}|{FAILING})\b))",
        re.IGNORECASE,
    ),
    re.compile(rf"(?:\b{BAD}\b|\b{DISMISSAL}\b|\beliminate|排除)[^.!?;,\n:«]{{0,30}}:?\s*{OPEN}{UNIT}", re.IGNORECASE),
    re.compile(rf"{NOT}{CLAUSE}{UNIT}", re.IGNORECASE),
    QUESTIONED,
)  # fmt: skip
ALONE_IN_LIST = re.compile(rf",\s*{OPEN}{MARK}{CLOSE}\s*(?:is|was|does|has|seems|appears|looks|isn|wasn|doesn)\b")
"""The end of "B, A is wrong": what is said is said of the last one."""


def without_rejected(text: str) -> str:
    """Strike marked letters that are denied, dismissed or asked about, with the words that do so.

    Parameters
    ----------
    text : str
        With marks around its letters.
    """
    text = GIVEN.sub(r"\1, ", text)
    for pattern in REJECTED:
        text = pattern.sub(_struck, text)
    return text


def _struck(found: re.Match[str]) -> str:
    """As many words as before, none of which says anything."""
    kept, last = "", ALONE_IN_LIST.search(found[0])
    if last:
        kept = found[0][: last.start()]
    return kept + re.sub(r"\S+", "_", found[0][len(kept) :])


def neutral(text: str, options: Mapping[str, str]) -> str:
    """Strike an option's own words behind its letter, which may deny something or be a letter themselves."""
    for letter, words in options.items():
        if words.strip() and (len(words.strip()) == 1 or re.search(NOT, words, re.IGNORECASE)):
            own = re.compile(rf"(?<!\w)({re.escape(letter)}\W{{1,4}}){re.escape(words.strip())}(?!\w)", re.IGNORECASE)
            text = own.sub(lambda found: found[1] + "_", text)
    return text
