"""What blocks measured before say of the correction factor: a document the server fits, kept beside the records."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.errors import CalibrationError
from calibration.pooling import FactorPrior, prior_from_document
from cloud_sync.files import write_whole
from device.errors import InputError, StoreError
from device.names import clean_name, require_name

SCHEMA = "pomona-factor-prior/1"
_FOLDER, _FILE = "documents", "factor-prior.json"


@dataclass(frozen=True)
class FactorPriorDocument:
    """A prior, and where this device's orchards lie.

    Attributes:
        prior: the prior.
        regions: region of each orchard by its name, as the prior names it.
    """

    prior: FactorPrior
    regions: Mapping[str, str]

    def levels(self, effect: str) -> list[str]:
        """The levels of an effect it has seen, such as its regions."""
        return [level for name, level in self.prior.levels if name == effect]


def keep_prior(home: Path, path: Path) -> FactorPriorDocument:
    """Check a prior and keep it in place of an earlier one: whole or, also when the power is cut, not at all.

    Args:
        home: folder of the device's records.
        path: the file.

    Raises:
        InputError: it cannot be read, or is no prior; names what is wrong in it.
        StoreError: it cannot be kept.
    """
    content = _read(path)
    document = _parse(content, path)
    kept = home / _FOLDER / _FILE
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole(kept, content)
    except OSError as error:
        raise StoreError(f"{kept}: {error.strerror}; free some space, or let this user write there") from error
    return document


def kept_prior(home: Path) -> FactorPriorDocument | None:
    """The prior that is kept, None where there is none.

    Raises:
        InputError: it was damaged.
    """
    path = home / _FOLDER / _FILE
    return _parse(_read(path), path) if path.exists() else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"prior {path} cannot be read: {error.strerror}; name the file the server made") from error


def _parse(content: bytes, path: Path) -> FactorPriorDocument:
    try:
        told = json.loads(content)
    except ValueError as error:
        raise InputError(f"prior {path} is no JSON ({error}); fetch it again from the server") from error
    if not isinstance(told, dict) or told.get("schema") != SCHEMA:
        schema = told.get("schema") if isinstance(told, dict) else None
        raise InputError(
            f"prior {path} is of schema {schema!r} and this Pomona reads {SCHEMA!r}; upgrade Pomona, or fetch the file "
            "again from the server"
        )
    try:
        return FactorPriorDocument(_prior(told), _regions(told.get("regions", {})))
    except (CalibrationError, InputError) as error:
        raise InputError(f"{path}: {error}") from error
    except OverflowError as error:
        raise InputError(f"{path} holds a number beyond all measure; fetch it again from the server") from error


def _prior(told: Mapping[str, Any]) -> FactorPrior:
    prior = prior_from_document(told)
    covariance = np.array(prior.covariance)
    scale = float(np.abs(covariance).max())
    symmetric = np.allclose(covariance, covariance.T, rtol=0, atol=1e-9 * scale)
    if not symmetric or np.linalg.eigvalsh(covariance).min() < -1e-9 * scale:
        raise InputError("covariance is not that of any effects; fetch the file again from the server")
    return prior


def _regions(told: object) -> dict[str, str]:
    if not isinstance(told, dict):
        raise InputError("regions is no object of orchards and their regions; fetch the file again from the server")
    regions = {}
    for orchard, region in told.items():
        require_name(region if isinstance(region, str) else "", f"the region of orchard {orchard!r}")
        regions[clean_name(orchard)] = region
    return regions
