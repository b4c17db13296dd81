"""Which models fit which orchards."""

from __future__ import annotations

import pytest

from export.runtime.bundle import Bundle
from export.runtime.fitting import fits


@pytest.mark.parametrize(
    ("crop", "region", "target", "said"),
    [
        ("apple", None, None, None),
        ("Apple", "Nowhere", "drawn discs", None),
        (None, "nowhere/east/far", None, None),
        ("pear", None, None, "discs 1.0.0 is made for apple, and the orchard grows pear"),
        (None, "elsewhere", None, "discs 1.0.0 is made for nowhere, and the orchard stands in elsewhere"),
        (None, "nowhereland", None, "discs 1.0.0 is made for nowhere, and the orchard stands in nowhereland"),
        (None, None, "yield", "discs 1.0.0 tells drawn discs, and yield is wanted"),
    ],
)
def test_crop_region_and_target_are_those_of_the_orchard(
    disc_bundle: Bundle, crop: str | None, region: str | None, target: str | None, said: str | None
) -> None:
    assert fits(disc_bundle.manifest, crop, region, target) == said
