"""Feature plans: which kinds of features a map is made from.

The paper compares three plans in its Table 6. Its third is all of them; which of the kinds the first two leave out is
shown there by ticks that its text does not carry, so those two are our reading.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from models.maps.errors import MapError

GROUPS = ("elevation", "spectral", "texture", "radar", "weather")
PLANS: dict[str, tuple[str, ...]] = {
    "1": ("spectral", "elevation"),
    "2": ("spectral", "texture"),
    "3": ("spectral", "elevation", "texture"),
}
_WORDS = {
    # a texture of a band is a texture, so these come first
    "texture": {"asm", "contrast", "var", "variance", "corr", "correlation", "savg", "ent", "entropy", "glcm"},
    "elevation": {"elevation", "altitude", "dem", "slope", "aspect"},
    "radar": {"vv", "vh", "hh", "hv"},
    "weather": {"precip", "precipitation", "temperature", "tmean", "humidity", "evapotranspiration"},
    "spectral": {"ndvi", "evi", "savi", "vari", "bsi", "opai", "ogdi", "omi", "ndwi", "ndre", "gndvi", "lswi", "nbr"},
}
_BAND = re.compile(r"b(0?[1-9]|1[0-2]|8a)")


def group_of(name: str) -> str | None:
    """The kind of a feature by its name, such as ``B08_06``, ``NDVI_median``, ``B08_asm``, ``slope``, ``VH_04``."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    for group, known in _WORDS.items():
        if known & set(words):
            return group
    return "spectral" if any(_BAND.fullmatch(word) for word in words) else None


def columns_of(names: Sequence[str], groups: Iterable[str]) -> list[int]:
    """Positions of the features of some groups.

    Raises:
        MapError: a group that no feature belongs to.
    """
    wanted = tuple(groups)
    kinds = [group_of(name) for name in names]
    if not any(kinds):
        raise MapError(
            f"no feature has a name we know (there are: {', '.join(names) or 'none'}); name them such as B08_06, "
            "NDVI_06, B08_asm, slope, VH_04"
        )
    missing = [group for group in wanted if group not in kinds]
    if missing:
        held = ", ".join(f"{group} {kinds.count(group)}" for group in GROUPS if group in kinds)
        raise MapError(
            f"there are no {' and no '.join(missing)} features (there are: {held}); add them or take another plan"
        )
    return [index for index, kind in enumerate(kinds) if kind in wanted]


def groups_of_plan(plan: str, names: Sequence[str]) -> tuple[str, ...]:
    """The groups a plan takes.

    Args:
        plan: key in :data:`PLANS`; or groups joined by ``+``, such as ``spectral+radar``; or ``all``, those that are
            there.
        names: of the features that are there.

    Raises:
        MapError: no such plan or group.
    """
    if plan == "all":
        kinds = {group_of(name) for name in names}
        return tuple(group for group in GROUPS if group in kinds)
    groups = PLANS.get(plan, tuple(plan.split("+")))
    if not set(groups) <= set(GROUPS):
        raise MapError(
            f"there is no plan {plan!r}; there are {', '.join(PLANS)}, all, and {', '.join(GROUPS)} joined by +"
        )
    return groups
