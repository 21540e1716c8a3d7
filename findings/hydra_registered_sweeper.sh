#!/usr/bin/env bash
# Hydra 1.3.8: Plugins.instance().register(MySweeper) accepts a sweeper (or launcher) of any module and lists it among the
# sweepers, but instantiating it is refused unless its dotted name begins with `hydra_plugins.`: the registration serves
# search-path plugins and completion only, and a package can't bring a sweeper without a top-level folder hydra_plugins.
# Seen: "Invalid plugin 'mine.Mine': not the hydra_plugins package".
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/env"
"$place/env/bin/pip" install --quiet hydra-core==1.3.8

mkdir "$place/conf"
cat > "$place/conf/config.yaml" <<'YAML'
defaults:
  - _self_
  - override hydra/sweeper: mine
x: 1
YAML
cat > "$place/mine.py" <<'PYTHON'
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper


class Mine(BasicSweeper):
    """A sweeper outside of hydra_plugins."""


def register():
    Plugins.instance().register(Mine)
    assert Mine in Plugins.instance().discover(Sweeper)
    node = BasicSweeperConf(_target_="mine.Mine")
    ConfigStore.instance().store(group="hydra/sweeper", name="mine", node=node, provider="mine")
PYTHON
cat > "$place/app.py" <<'PYTHON'
import hydra
from mine import register

register()
hydra.main(config_path="conf", config_name="config", version_base="1.3")(lambda config: None)()
PYTHON
cd "$place"
said=$(HYDRA_FULL_ERROR=1 "$place/env/bin/python" app.py -m x=1,2 2>&1 | tail -1 || true)
echo "$said"
[[ $said == *"Invalid plugin 'mine.Mine': not the hydra_plugins package"* ]] || { echo "changed"; exit 1; }
