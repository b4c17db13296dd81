"""Virtual orchards: drawn photos of trees whose fruit is known, for trying everything out without an orchard."""

from device.virtual_orchard.errors import OrchardSettingsError
from device.virtual_orchard.orchard import OrchardTruth, draw_orchard
from device.virtual_orchard.settings import OrchardSettings
from device.virtual_orchard.writing import TreeTruth

__all__ = ["OrchardSettings", "OrchardSettingsError", "OrchardTruth", "TreeTruth", "draw_orchard"]
