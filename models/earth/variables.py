"""What a season file tells of each month: names, units and bounds. Needs none of the satellite libraries."""

from __future__ import annotations

from dataclasses import dataclass

# surface reflectance from 0 to 1, and indices of it
BANDS = ("B02", "B04", "B08", "B11", "B12")
INDICES = ("NDVI", "EVI")


@dataclass(frozen=True)
class Variable:
    """One environmental variable.

    Attributes:
        name: as FLDAS calls it.
        unit: what it is held in.
        gldas: what GLDAS calls it.
        lowest: nothing on Earth's land is lower.
        highest: nor higher.
        layer_mm: thickness of the soil layer, where water in kg/m² becomes a share of its volume.
    """

    name: str
    unit: str
    gldas: str
    lowest: float
    highest: float
    layer_mm: float | None = None


# Table 1 of the apple yield paper, in its order
VARIABLES = (
    Variable("Evap_tavg", "kg m-2 s-1", "Evap_tavg", -1e-4, 5e-4),
    Variable("LWdown_f_tavg", "W m-2", "LWdown_f_tavg", 50, 600),
    Variable("Psurf_f_tavg", "Pa", "Psurf_f_inst", 40_000, 110_000),
    Variable("Rainf_f_tavg", "kg m-2 s-1", "Rainf_f_tavg", 0, 2e-3),
    Variable("SoilMoi00_10cm_tavg", "m3 m-3", "SoilMoi0_10cm_inst", 0, 1, 100),
    Variable("SoilMoi10_40cm_tavg", "m3 m-3", "SoilMoi10_40cm_inst", 0, 1, 300),
    Variable("SoilTemp00_10cm_tavg", "K", "SoilTMP0_10cm_inst", 200, 350),
    Variable("SoilTemp10_40cm_tavg", "K", "SoilTMP10_40cm_inst", 200, 350),
    Variable("SWdown_f_tavg", "W m-2", "SWdown_f_tavg", 0, 600),
    Variable("Tair_f_tavg", "K", "Tair_f_inst", 190, 330),
    Variable("Wind_f_tavg", "m s-1", "Wind_f_inst", 0, 50),
)
