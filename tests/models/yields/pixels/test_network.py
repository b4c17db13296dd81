"""The networks of the paper: sizes, shapes, what removing parts leaves, and what reaches which weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.maps.errors import MapError
from models.yields.pixels.encoders import ENCODERS
from models.yields.pixels.network import PAPER_NETWORKS, Form, NetworkSettings, YieldMapNetwork

SMALL = NetworkSettings(encoder="small", bands=4, classes=4, width=8)


def parameters(module: nn.Module) -> int:
    return sum(values.numel() for values in module.parameters())


def series(dates: int = 1, bands: int = 4, side: int = 16, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    days = torch.linspace(60, 200, dates).expand(batch, dates)
    return torch.randn(batch, dates, bands, side, side), torch.ones(batch, dates, side, side, dtype=torch.bool), days


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("MT-CYP-Net (ResNet-50)", 41.86),
        ("MT-CYP-Net (DenseNet-161)", 51.35),
        ("MT-CYP-Net (ResNeSt-50d)", 43.76),
        ("CY-Unet (ResNet-50)", 32.55),
        ("CY-Unet (DenseNet-161)", 38.79),
        ("CY-Unet (ResNeSt-50d)", 34.45),
    ],
)
def test_the_networks_are_as_large_as_the_papers(name: str, millions: float) -> None:
    with torch.device("meta"):
        assert parameters(YieldMapNetwork(PAPER_NETWORKS[name])) == pytest.approx(millions * 1e6, abs=5_000)


def test_five_consistency_blocks_have_298700_parameters() -> None:
    with torch.device("meta"):
        both = YieldMapNetwork(PAPER_NETWORKS["MT-CYP-Net (ResNeSt-50d)"])
        hard = YieldMapNetwork(PAPER_NETWORKS["MT-CYP-Net-hard (ResNeSt-50d)"])
    assert parameters(both) - parameters(hard) == 298_700


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_tile_need_not_be_square_and_comes_back_whole(encoder: str) -> None:
    network = YieldMapNetwork(NetworkSettings(encoder=encoder, bands=4, width=8)).eval()
    with torch.no_grad():
        maps = network(torch.randn(1, 1, 4, 64, 96), torch.ones(1, 1, 64, 96, dtype=torch.bool), torch.tensor([[200]]))
    assert maps.yields is not None
    assert maps.crops is not None
    assert maps.yields.shape == (1, 64, 96)
    assert maps.crops.shape == (1, 6, 64, 96)
    assert len(maps.levels) == (3 if encoder == "small" else 5)
    assert [level.yields.shape[2:] for level in maps.levels][-1] == (64, 96)


def test_a_tile_of_256_has_five_levels_from_16_to_256() -> None:
    with torch.device("meta"):
        network = YieldMapNetwork(PAPER_NETWORKS["MT-CYP-Net (ResNet-50)"])
        clear = torch.ones(1, 1, 256, 256, dtype=torch.bool)
        maps = network(torch.zeros(1, 1, 13, 256, 256), clear, torch.zeros(1, 1))
    assert [tuple(level.crops.shape[1:]) for level in maps.levels] == [
        (256, 16, 16),
        (128, 32, 32),
        (64, 64, 64),
        (32, 128, 128),
        (16, 256, 256),
    ]


def test_without_consistency_the_decoders_are_two_of_the_single_tasks() -> None:
    hard = YieldMapNetwork(NetworkSettings(**SMALL.as_dict() | {"form": "mt-cyp-net-hard"})).eval()
    forms: dict[Form, str] = {"cy-unet": "yields", "cc-unet": "crops"}
    images = series()
    with torch.no_grad():
        both = hard(*images)
        for form, said in forms.items():
            alone = YieldMapNetwork(NetworkSettings(**SMALL.as_dict() | {"form": form})).eval()
            left = alone.load_state_dict(hard.state_dict(), strict=False)
            assert not left.missing_keys
            torch.testing.assert_close(getattr(alone(*images), said), getattr(both, said), rtol=0, atol=0)


def test_with_consistency_each_task_reaches_the_other_decoder() -> None:
    network = YieldMapNetwork(SMALL)
    maps = network(*series())
    assert maps.yields is not None
    maps.yields.sum().backward()
    learned = {name.split(".crops.")[0] for name, weight in network.named_parameters() if weight.grad is not None}
    assert "body.decoders" in learned
    assert "body.heads" not in learned


@pytest.mark.parametrize("form", ["mt-cyp-net", "mt-cyp-net-hard", "cy-unet", "cc-unet"])
@pytest.mark.parametrize("over_time", ["stack", "attention"])
def test_every_weight_learns(form: Form, over_time: str) -> None:
    more = {"form": form, "over_time": over_time, "dates": 3, "uncertainty": True, "cloud_mask": True}
    network = YieldMapNetwork(NetworkSettings(**SMALL.as_dict() | more))
    maps = network(*series(dates=3))
    said = [values.square().sum() for values in (maps.yields, maps.log_variance, maps.crops) if values is not None]
    torch.stack(said).sum().backward()  # type: ignore[no-untyped-call]
    assert [name for name, weight in network.named_parameters() if weight.grad is None] == []


def test_the_feature_pyramid_predicts_yields_alone() -> None:
    network = YieldMapNetwork(PAPER_NETWORKS["FPN-DenseNet161"]).eval()
    with torch.no_grad():
        maps = network(*series(bands=13, side=64, batch=1))
    assert maps.yields is not None
    assert maps.yields.shape == (1, 64, 64)
    assert maps.crops is None


def test_radar_is_a_second_series_of_other_dates() -> None:
    network = YieldMapNetwork(NetworkSettings(**SMALL.as_dict() | {"radar_bands": 2, "over_time": "attention"})).eval()
    radar, radar_days = torch.randn(2, 5, 2, 16, 16), torch.arange(5.0).expand(2, 5)
    images = series(dates=3)
    with torch.no_grad():
        one, other = (network(*images, values, radar_days).yields for values in (radar, radar + 1))
    assert not torch.equal(one, other)
    with pytest.raises(MapError, match="needs radar"):
        network(*images)
    with pytest.raises(MapError, match="takes no radar"):
        YieldMapNetwork(SMALL)(*series(), radar, radar_days)


def test_a_side_that_does_not_halve_is_told() -> None:
    with pytest.raises(MapError, match="multiples of 4"):
        YieldMapNetwork(SMALL)(*series(side=18))


def test_names_that_are_none_are_told() -> None:
    with pytest.raises(MapError, match="no encoder 'vgg'"):
        YieldMapNetwork(NetworkSettings(encoder="vgg"))
    with pytest.raises(MapError, match="five levels"):
        NetworkSettings(form="fpn", encoder="small")
