"""What people call the features of a season."""

from __future__ import annotations

# what a person calls the weather's variables; factor and zero of the unit in which people think
WEATHER = {
    "Evap_tavg": ("evaporation, mm/day", 86_400.0, 0.0),
    "LWdown_f_tavg": ("longwave, W/m²", 1.0, 0.0),
    "Psurf_f_tavg": ("pressure, hPa", 0.01, 0.0),
    "Rainf_f_tavg": ("rain, mm/day", 86_400.0, 0.0),
    "SoilMoi00_10cm_tavg": ("soil moisture 0-10, %", 100.0, 0.0),
    "SoilMoi10_40cm_tavg": ("soil moisture 10-40, %", 100.0, 0.0),
    "SoilTemp00_10cm_tavg": ("soil 0-10 cm, °C", 1.0, 273.15),
    "SoilTemp10_40cm_tavg": ("soil 10-40 cm, °C", 1.0, 273.15),
    "SWdown_f_tavg": ("solar radiation, W/m²", 1.0, 0.0),
    "Tair_f_tavg": ("air, °C", 1.0, 273.15),
    "Wind_f_tavg": ("wind, m/s", 1.0, 0.0),
}


def spoken(feature: str) -> str:
    """A feature as a person takes it, with the name it has in files where that is another."""
    if feature not in WEATHER:
        return feature
    return f"{WEATHER[feature][0].split(',')[0]} ({feature})"
