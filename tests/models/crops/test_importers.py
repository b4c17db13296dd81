"""Importers against the real sets, where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.crops.importers import CDL, PEERS, an_giang_rice, bavaria_parcels, mctnet, mctnet_joint
from models.crops.series import CropError


def test_arkansas_by_the_codes_of_its_peers(data: Path) -> None:
    folder = data / "satellite" / "mctnet_us_s2"
    pixels = mctnet(folder, "arkansas", PEERS["arkansas"])
    assert dict(zip(pixels.legend, pixels.counts().tolist(), strict=True)) == {
        "corn": 1520, "cotton": 760, "rice": 2420, "soybean": 4680, "other": 620,
    }  # fmt: skip
    assert pixels.values.shape == (10_000, 12, 10)
    assert np.isfinite(pixels.values).all()
    assert 0.05 < pixels.values.mean() < 0.5
    assert len(np.unique(pixels.block)) == 126


def test_cloudy_steps_are_missing_and_months_are_their_medians(data: Path) -> None:
    folder = data / "satellite" / "mctnet_us_s2"
    steps = mctnet(folder, "arkansas", PEERS["arkansas"], steps=36)
    missing = np.isnan(steps.values)
    assert missing.any(2).mean() == pytest.approx(0.211, abs=1e-3)
    assert np.array_equal(missing.any(2), missing.all(2))
    july = steps.values[:, 18:21]
    clear = ~np.isnan(july).any((1, 2))
    months = mctnet(folder, "arkansas", PEERS["arkansas"])
    assert months.values[clear, 6] == pytest.approx(np.median(july[clear], 1))


def test_the_class_called_pistachios_elsewhere_is_pears_by_its_code(data: Path) -> None:
    pixels = mctnet(data / "satellite" / "mctnet_us_s2", "california", PEERS["california"])
    counts = dict(zip(pixels.legend, pixels.counts().tolist(), strict=True))
    assert counts["pears"] == 640
    assert counts["other"] == 3520


def test_both_states_have_sixteen_classes_and_no_block_in_common(data: Path) -> None:
    pixels = mctnet_joint(data / "satellite" / "mctnet_us_s2")
    assert pixels.legend == tuple(CDL.values())
    assert pixels.counts().min() >= 190
    assert not set(pixels.block[pixels.region == 0]) & set(pixels.block[pixels.region == 1])


def test_windows_of_an_giang(data: Path) -> None:
    pixels, windows = an_giang_rice(data / "satellite" / "ey_rice_s1_angiang")
    assert (pixels.values.shape, windows.shape) == ((600, 57, 2), (600, 57, 2, 10, 10))
    assert pixels.counts().tolist() == [300, 300]
    assert -20 < pixels.values[..., 0].mean() < -5 < 0
    assert (pixels.values[..., 0] > pixels.values[..., 1]).mean() > 0.95  # VV is the stronger one
    assert all(len(np.unique(pixels.label[pixels.block == block])) == 1 for block in np.unique(pixels.block))


def test_parcels_of_bavaria(data: Path) -> None:
    pixels = bavaria_parcels(data / "satellite" / "bavaria_parcels_s2", least=10)
    assert pixels.values.shape[1:] == (14, 13)
    assert pixels.counts().min() >= 10
    assert len(np.unique(pixels.block)) == len(pixels)


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CropError, match="arkansas_s2_10day_2021"):
        mctnet(tmp_path, "arkansas", PEERS["arkansas"])
    with pytest.raises(CropError, match="13 steps"):
        mctnet(tmp_path, "arkansas", PEERS["arkansas"], steps=13)
