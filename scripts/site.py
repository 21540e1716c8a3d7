"""What the site takes from the top of the repository: README and its like, with links as they are in the site."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "DESIGN.md", "CHANGELOG.md")
ELSEWHERE = re.compile(r"\[([^\]]+)\]\((?:LICENSE|CITATION\.cff|docs/examples)\)")
"""Files that are no pages: their names stay, without a link."""


def on_files(files: Files, config: Any) -> Files:
    """Add them, README as the first page."""
    for name in PAGES:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/examples)", "](examples/index.md)")
        text = ELSEWHERE.sub(r"\1", text.replace("](docs/", "]("))
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Let links from a page to the top of the repository find these."""
    up = "../" * page.file.src_uri.count("/")
    return re.sub(rf"\]\(\.\./({'|'.join(map(re.escape, PAGES))})", rf"]({up}\1", markdown)
