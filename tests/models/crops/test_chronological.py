"""Chronological batches, training, transfer and the score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr

from models.crops.chronological import CycleSettings, fit_patches, iou, mask_loss, predict, schedule
from models.crops.patches import PatchSeries, cut, open_store
from models.crops.recurrent_unet import NormByDate, RecurrentUNet
from models.crops.series import CropError
from models.crops.training import TrainingSettings
from models.crops.transfer import fine_tuned, random_start, with_bands, with_dates
from tests.models.crops.drawn_patches import drawn_patches

WIDTHS = (4, 6)
SHORT = CycleSettings(TrainingSettings(epochs=8, learning_rate=2e-2, optimizer="adamw", patience=0), batch=6, of_each=1)


def _start(patches: PatchSeries) -> RecurrentUNet:
    return random_start(patches.scales(), 0, WIDTHS)


def _trained() -> tuple[RecurrentUNet, PatchSeries]:
    patches = drawn_patches().with_bands(("VH",))
    network = _start(patches)
    fit_patches(network, patches, None, SHORT, seed=0)
    return network, patches


def test_a_cycle_walks_the_dates_in_order_and_every_patch_once_before_any_again() -> None:
    settings = CycleSettings(batch=4, of_each=2)
    batches = list(schedule(10, 3, settings, seed=0, cycle=0))
    assert [known for _, known in batches] == [1, 1, 2, 2, 3, 3]
    drawn = np.concatenate([patches for patches, _ in batches])
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    again, other = (list(schedule(10, 3, settings, 0, cycle)) for cycle in (0, 1))
    assert np.array_equal(again[0][0], batches[0][0])
    assert not np.array_equal(other[0][0], batches[0][0])


def test_training_sees_the_first_dates_only_in_that_order(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = RecurrentUNet.forward

    def told(self: RecurrentUNet, series: torch.Tensor, known: int | None = None) -> torch.Tensor:
        seen.append(series.shape[1])
        return forward(self, series, known)

    monkeypatch.setattr(RecurrentUNet, "forward", told)
    patches = drawn_patches()
    settings = replace(SHORT, training=replace(SHORT.training, epochs=2))
    fit_patches(_start(patches), patches, None, settings, seed=0)
    assert seen == [1, 2, 3, 4, 1, 2, 3, 4]


def test_it_learns_and_maps_early() -> None:
    network, patches = _trained()
    test = drawn_patches(seed=5).with_bands(("VH",))
    assert iou(test, predict(network, test) >= 0.5) > 0.9
    assert iou(test, predict(network, test, known=1) >= 0.5) > 0.8
    for level in network.carry.levels:
        assert isinstance(level, torch.nn.Conv2d)
        assert float(torch.linalg.matrix_norm(level.weight.detach()[..., 0, 0], 2)) <= 1 + 1e-5
    assert len(patches) == 12


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    patches = drawn_patches()
    four = replace(SHORT, training=replace(SHORT.training, epochs=4))
    whole, parts = _start(patches), _start(patches)
    fit_patches(whole, patches, None, four, seed=1)
    fit_patches(_start(patches), patches, None, replace(SHORT, training=replace(four.training, epochs=2)), 1, tmp_path)
    fit_patches(parts, patches, None, four, 1, tmp_path)
    for one, other in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_validation_decides_which_weights_stay() -> None:
    patches = drawn_patches()
    seen = fit_patches(_start(patches), patches, drawn_patches(seed=2), SHORT, seed=0)
    assert len(seen) == 8
    assert min(seen) < seen[0]


def test_fine_tuning_the_encoder_leaves_the_decoder_to_the_last_bit() -> None:
    before, _ = _trained()
    target = drawn_patches(seed=3).with_bands(("VH",))
    after = fine_tuned(before, "FT_E")
    fit_patches(after, target, None, SHORT, seed=0)
    for name, value in before.state_dict().items():
        same = torch.equal(value, after.state_dict()[name])
        if name.startswith(("decoder", "bands")):  # weights, biases, running means and variances, counters
            assert same, name
        elif "weight" in name:
            assert not same, name
    assert any("running_var" in name for name in before.decoder.state_dict())


def test_a_longer_series_gets_statistics_of_its_own_and_maps_of_early_dates_stay() -> None:
    before, patches = _trained()
    shorter = with_dates(RecurrentUNet(patches.scales(), widths=WIDTHS, dates=2), 4)
    assert [len(part.running_mean) for part in shorter.modules() if isinstance(part, NormByDate)] == [4] * 6
    longer = with_dates(before, 12)
    assert longer.dates == 12
    assert np.array_equal(predict(longer, patches), predict(before, patches))


def test_fine_tuning_everything_changes_the_decoder_and_not_the_original() -> None:
    before, _ = _trained()
    kept = {name: value.clone() for name, value in before.state_dict().items()}
    after = fine_tuned(before, "FT")
    fit_patches(after, drawn_patches(seed=3).with_bands(("VH",)), None, SHORT, seed=0)
    assert all(torch.equal(value, before.state_dict()[name]) for name, value in kept.items())
    changed = [name for name, value in kept.items() if not torch.equal(value, after.state_dict()[name])]
    assert "decoder.out.weight" in changed
    assert "decoder.levels.0.norms.0.running_mean" in changed


def test_another_crop_begins_the_last_layer_anew_and_trains_it_in_both_modes() -> None:
    before, _ = _trained()
    for mode in ("FT", "FT_E"):
        network = fine_tuned(before, mode, other_crop=True)
        assert not torch.equal(network.decoder.out.weight, before.decoder.out.weight)
        assert network.decoder.out.weight.requires_grad
        assert network.decoder.levels[0].convolutions[0].weight.requires_grad == (mode == "FT")  # type: ignore[index, union-attr]
    with pytest.raises(CropError, match="RI takes no trained network"):
        fine_tuned(before, "RI")


def test_a_new_band_without_weight_changes_no_logit() -> None:
    before, _ = _trained()
    both = drawn_patches(seed=3)
    extended = with_bands(before, ("VH",), ("VV", "VH"), both.with_bands(("VV", "VH")).scales())
    alone = predict(before, both.with_bands(("VH",)))
    assert predict(extended, both.with_bands(("VV", "VH"))) == pytest.approx(alone, abs=1e-6)
    copied = with_bands(before, ("VH",), ("VV", "VH"), both.with_bands(("VV", "VH")).scales(), "copy")
    kernels = copied.encoder.levels[0].convolutions[0].weight  # type: ignore[index, union-attr]
    old = before.encoder.levels[0].convolutions[0].weight  # type: ignore[index, union-attr]
    assert torch.equal(kernels, old.repeat(1, 2, 1, 1) / 2)
    with pytest.raises(CropError, match="reads VH, which is not among VV"):
        with_bands(before, ("VH",), ("VV",), both.with_bands(("VV",)).scales())


def test_a_zero_band_is_learned_once_it_is_trained() -> None:
    before, _ = _trained()
    both = drawn_patches(seed=3)
    extended = with_bands(before, ("VH",), ("VH", "VV"), both.scales())
    fit_patches(extended, both, None, SHORT, seed=0)
    assert extended.encoder.levels[0].convolutions[0].weight[:, 1].abs().max() > 0  # type: ignore[index, union-attr]


def test_intersection_over_union_by_hand() -> None:
    mask = np.array([[[1, 1, 0, -1], [1, 0, 0, -1], [0, 0, 0, 0], [0, 0, 0, 0]]], np.int8)
    mapped = np.array([[[1, 0, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]], bool)
    patches = PatchSeries(np.zeros((1, 1, 1, 4, 4), np.float32), mask, ("VH",), ("01",), np.zeros(1, np.int64))
    assert iou(patches, mapped) == pytest.approx(2 / 4)
    assert iou(patches, mask == 1) == 1
    assert np.isnan(iou(replace(patches, mask=np.zeros_like(mask)), np.zeros_like(mapped)))


def test_unlabelled_pixels_change_no_loss() -> None:
    mask = torch.tensor([[[1, 0], [-1, -1]]], dtype=torch.int8)
    logits = torch.randn(1, 1, 2, 2)
    changed = logits.clone()
    changed[..., 1, :] = 9
    assert torch.equal(mask_loss(logits, mask), mask_loss(changed, mask))
    assert mask_loss(logits, torch.full_like(mask, -1)) == 0


def test_patches_without_a_label_are_refused() -> None:
    patches = drawn_patches()
    with pytest.raises(CropError, match="no patch to train on has a label"):
        fit_patches(_start(patches), replace(patches, mask=np.full_like(patches.mask, -1)), None, SHORT, seed=0)


def test_patches_of_a_store(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    image = xr.DataArray(random.random((3, 20, 37), dtype=np.float32), dims=("time", "y", "x"))
    image[1, 2, 3] = np.nan
    codes = np.full((20, 37), 9, np.int16)
    codes[:, 8:16], codes[:8, 24:32] = 7, 0
    times = np.array(["2026-04-01", "2026-05-01", "2026-06-01"], "datetime64[ns]")
    xr.Dataset({"VH": image, "VV": 2 * image, "crop": (("y", "x"), codes)}, coords={"time": times}).to_zarr(
        tmp_path / "store.zarr", zarr_format=2
    )
    store = open_store(tmp_path / "store.zarr")
    patches = cut(store, ("VH", "VV"), {7}, side=8, unlabelled=0)
    assert patches.values.shape == (2 * 4 - 1, 3, 2, 8, 8)  # one of the eight says nothing
    assert patches.mask.mean((1, 2)).tolist() == [0, 1, 0, 0, 1, 0, 0]
    assert patches.values[0, 1, 0, 2, 3] == pytest.approx(float(image[0, 2, 3] + image[2, 2, 3]) / 2)
    assert patches.values[:, :, 1] == pytest.approx(2 * patches.values[:, :, 0])
    assert patches.steps == ("2026-04-01", "2026-05-01", "2026-06-01")
    with pytest.raises(CropError, match="no variable 'HH'"):
        cut(store, ("HH",), {7}, side=8)
    with pytest.raises(CropError, match="no patch of 64 x 64 px"):
        cut(store, ("VH",), {7}, side=64)
    with pytest.raises(CropError, match="cannot be read"):
        open_store(tmp_path / "none.zarr")


def test_patches_that_do_not_fit_or_lack_a_band_are_refused() -> None:
    patches = drawn_patches()
    with pytest.raises(CropError, match="do not fit"):
        replace(patches, steps=("01",))
    with pytest.raises(CropError, match="no band HH; they have VH, VV"):
        patches.with_bands(("HH",))
    assert len(patches.take(patches.place < 5)) == 5
