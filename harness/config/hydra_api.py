"""Hydra as a library: the one that runs already, or one of our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from winnow import configs
from winnow.harness.config.messages import one_line
from winnow.harness.config.schema import register
from winnow.reducers.core.errors import WinnowError


@contextmanager
def hydra() -> Iterator[ConfigLoader]:
    """Lend Hydra's configuration loader.

    Raises
    ------
    WinnowError
        For what Hydra does not accept.
    """
    try:
        if GlobalHydra.instance().is_initialized():
            yield GlobalHydra.instance().config_loader()
        else:
            register()
            with initialize_config_dir(str(configs.FOLDER), version_base="1.3", job_name="winnow"):
                yield GlobalHydra.instance().config_loader()
    except (HydraException, OmegaConfBaseException) as error:
        raise WinnowError(one_line(error)) from error
