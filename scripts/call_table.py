"""Write the table of calls into `docs/engine.md`, from the rules that the engine itself goes by.

``python scripts/call_table.py`` rewrites the part of the page between its two marks.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from winnow.models.engine.calls import CONFIG, FORWARD, GENERATE, Rule

PAGE = Path(__file__).parents[1] / "docs" / "engine.md"
BEGIN, END = "<!-- made by scripts/call_table.py -->\n", "<!-- until here -->\n"
TABLES = {
    "Fields of `GenerationConfig`": CONFIG,
    "Arguments of `generate`": GENERATE,
    "Arguments of a model's forward": FORWARD,
}


def rows(rules: Mapping[str, Rule]) -> list[str]:
    """Names that share a rule stand in one row."""
    shared: dict[Rule, list[str]] = {}
    for name, rule in rules.items():
        shared.setdefault(rule, []).append(f"`{name}`")
    order = ("exact", "refused", "no effect")
    found = sorted(shared.items(), key=lambda item: order.index(item[0].verdict))
    return [f"| {', '.join(names)} | {rule.verdict} | {_but(rule)}{rule.why} |" for rule, names in found]


def _but(rule: Rule) -> str:
    values = [value for value in rule.allowed if isinstance(value, str)]
    return f"but for {', '.join(values)}: " if values and rule.verdict == "refused" else ""


def tables() -> str:
    """The three tables, as Markdown."""
    head = "| name | what becomes of it | how, or what to do |\n| --- | --- | --- |\n"
    return "\n".join(f"{title}:\n\n{head}" + "\n".join(rows(rules)) + "\n" for title, rules in TABLES.items())


def page(text: str) -> str:
    """The page with the tables of today."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
