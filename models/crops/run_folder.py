"""A run's folder holds one run: other data or settings want another folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.crops.series import CropError
from models.maps.runs import write_json


def same_run(path: Path, plan: dict[str, Any]) -> None:
    """Leave a run's plan in its folder, or see that the one there is the same.

    Args:
        path: of the plan.
        plan: with its ``sha256``.

    Raises:
        CropError: the folder holds another run.
    """
    if path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        if earlier["sha256"] != plan["sha256"]:
            raise CropError(f"{path.parent} holds a run with other data or settings; take another folder")
    else:
        write_json(path, plan)
