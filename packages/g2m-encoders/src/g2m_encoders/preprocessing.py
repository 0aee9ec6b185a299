"""How a backbone's makers fed it: size, normalisation and resampling of images, under timm's names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from g2m_encoders.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Triple = tuple[float, float, float]

_NAMES = ("input_size", "mean", "std", "interpolation", "crop_pct", "crop_mode")


def read_preprocessing(published: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """What a published configuration says of the images; mean and std are ImageNet's where it says nothing, as in timm.

    Parameters
    ----------
    published
        timm's `pretrained_cfg`, from a JSON file.
    file
        That file, for the error.

    Raises
    ------
    InputError
        If mean or std are not three numbers each.
    """
    found = {"mean": IMAGENET_MEAN, "std": IMAGENET_STD} | {
        name: published[name] for name in _NAMES if published.get(name) is not None
    }
    for name, least in (("mean", -math.inf), ("std", 0.0)):
        values = found[name]
        numbers = isinstance(values, list | tuple) and all(isinstance(value, int | float) for value in values)
        if not numbers or len(values) != 3 or not all(math.isfinite(value) and value > least for value in values):
            raise InputError(
                f"{file}: {name} is {values!r}; expected three numbers" + (" above 0" if name == "std" else "")
            )
    return found


def attach_preprocessing(backbone: nn.Module, preprocessing: Mapping[str, Any]) -> None:
    """Make a backbone carry it where timm looks for it, in place of what its architecture's usual weights want."""
    carried = {name: tuple(value) if isinstance(value, list) else value for name, value in preprocessing.items()}
    backbone.pretrained_cfg = {**_carried_by(backbone), **carried}  # type: ignore[assignment]


def preprocessing_of(backbone: nn.Module) -> dict[str, Any]:
    """What a backbone carries, fit for a `BackboneRecord`."""
    carried = _carried_by(backbone)
    return {name: carried[name] for name in _NAMES if name in carried}


def own_normalisation(backbone: nn.Module) -> tuple[Triple, Triple]:
    """Mean and std of [0, 1] RGB that a backbone was trained with; ImageNet's if it does not say."""
    carried = _carried_by(backbone)
    return carried.get("mean", IMAGENET_MEAN), carried.get("std", IMAGENET_STD)


def _carried_by(backbone: nn.Module) -> dict[str, Any]:
    return dict(getattr(backbone, "pretrained_cfg", None) or {})
