"""Weights from a hub or a folder: safetensors alone, no code from the repository unless it is asked for by name."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoModelForImageTextToText, AutoProcessor, PretrainedConfig, ProcessorMixin

from winnow.models.families import kind_in
from winnow.models.loading.options import SPREAD, quantisation
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.models.families.base import Family
    from winnow.models.loading.spec import ModelSpec

PACKAGE = "package://"


def pretrained(family: Family, spec: ModelSpec, device: str) -> tuple[nn.Module, ProcessorMixin]:
    """Load a checkpoint and its processor.

    Raises
    ------
    WinnowError
        One line that says what is wrong with the checkpoint, or how to get it.
    """
    asked = spec.repo if spec.weights == "pretrained" else spec.weights
    options: dict[str, Any] = {"revision": spec.revision, "trust_remote_code": remote_code(spec, asked)}
    source, placement = locate(asked), _placement(spec, device)
    dtype = getattr(torch, spec.dtype)
    with one_line(source):
        made = family.load_original(source, spec.revision, dtype, spec.attn)
    if made is not None:
        if placement:
            raise WinnowError(
                f"{source} is converted while it loads, on one device and as it is: leave device and quant out"
            )
        return made[0].to(device).eval(), made[1]
    check_folder(source)
    with one_line(source):
        listed = PretrainedConfig.get_config_dict(source, **options)[0]
        kind = kind_in(listed)
        if kind not in family.model_types:
            raise WinnowError(f"{source} holds a model of type '{kind}', but family '{family.name}' was asked for")
        processor = AutoProcessor.from_pretrained(source, **options)
        model, told = AutoModelForImageTextToText.from_pretrained(
            source,
            dtype=dtype,
            attn_implementation=spec.attn,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # so that they are told, and refused below
            **options,
            **placement,
        )
    check_complete(source, told)
    processor.tokenizer.padding_side = "left"
    return (model if placement else model.to(device)).eval(), processor


def _placement(spec: ModelSpec, device: str) -> dict[str, Any]:
    """What transformers has to be told about devices; nothing where the finished model can simply be moved."""
    quantised = quantisation(spec.quant, getattr(torch, spec.dtype))
    placed = {"device_map": "auto"} if device == SPREAD else {"device_map": {"": device}} if quantised else {}
    return placed | ({"quantization_config": quantised} if quantised else {})


def remote_code(spec: ModelSpec, source: str) -> bool:
    """Whether the repository's own code may run: only where it is named.

    Raises
    ------
    WinnowError
        If another repository is named.
    """
    if spec.trust_remote_code is None:
        return False
    if spec.trust_remote_code != source:
        raise WinnowError(
            f"model.trust_remote_code={spec.trust_remote_code} is not what is loaded: name '{source}' itself to run "
            "the code that lies beside its weights, or null"
        )
    return True


def check_folder(source: str) -> None:
    """Refuse folders that hold no safetensors checkpoint; hub ids pass.

    Raises
    ------
    WinnowError
        Says what is missing.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        if folder.is_absolute() or source.startswith((".", "~")):
            raise WinnowError(f"'{source}' is no folder: give an existing one, or model.weights=random")
        return
    if not (folder / "config.json").exists():
        raise WinnowError(f"folder {source} holds no checkpoint: config.json is missing")
    if any(folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.pth") for path in folder.glob(kind))
    if pickled:
        raise WinnowError(
            f"folder {source} holds pickled weights alone ({pickled[0]}), which can run code when they are read: "
            "convert them to safetensors first"
        )
    raise WinnowError(f"folder {source} holds no weights: *.safetensors is missing")


def check_complete(source: str, told: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that leaves weights of the model to chance, as transformers would draw them at random.

    Raises
    ------
    WinnowError
        Lists the keys.
    """
    missing = sorted(map(str, told.get("missing_keys") or ()))
    other = sorted(str(key if isinstance(key, str) else key[0]) for key in told.get("mismatched_keys") or ())
    for keys, what in ((missing, "are missing from"), (other, "have another shape in")):
        if keys:
            more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
            unknown = sorted(map(str, told.get("unexpected_keys") or ()))[:3]
            hint = f"; it holds instead {', '.join(unknown)}" if unknown else ""
            raise WinnowError(f"{len(keys)} weights {what} {source}: {', '.join(keys[:5])}{more}{hint}")


@contextmanager
def one_line(source: str) -> Iterator[None]:
    """Say in one line what transformers says in many."""
    try:
        yield
    except WinnowError:
        raise
    except SafetensorError as error:
        raise WinnowError(f"the weights in {source} are damaged ({_first(error)}): get them again") from error
    except (OSError, ValueError, KeyError, ImportError) as error:
        text = str(error)
        if "trust_remote_code" in text:
            raise WinnowError(
                f"{source} cannot be loaded without code of its own: read that code, then allow it by "
                f"model.trust_remote_code={source}, or choose another repository"
            ) from error
        if "gated" in text:
            raise WinnowError(f"{source} is gated: accept its terms on the hub, then `hf auth login`") from error
        if Path(source).is_dir() or not isinstance(error, OSError):
            raise WinnowError(f"cannot load '{source}': {_first(error)}") from error
        raise WinnowError(
            f"cannot load '{source}': neither a folder with a checkpoint nor reachable on the hub. Download it where "
            f"there is a network (hf download {source}) and set HF_HOME, or use model.weights=random"
        ) from error


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def locate(repo: str) -> str:
    """Resolve ``package://`` to the folder inside the installed package; anything else stays as it is."""
    if not repo.startswith(PACKAGE):
        return str(Path(repo).expanduser()) if repo.startswith("~") else repo
    package, _, inside = repo.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WinnowError(f"'{repo}' names no installed package")
    return str(Path(spec.submodule_search_locations[0]) / inside)
