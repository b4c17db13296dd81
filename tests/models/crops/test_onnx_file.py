"""The ONNX file computes what the network does and says what it eats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from models.crops.onnx_file import Eats, ask, export, open_session, what_it_eats
from models.crops.pixel_networks import Scales, predict_logits, probabilities
from models.crops.series import CropError, PixelSeries
from models.crops.stacked_lstm import StackedLSTM


def _eats(pixels: PixelSeries) -> Eats:
    return Eats(pixels.bands, pixels.steps, pixels.legend)


def test_probabilities_of_any_number_of_pixels_are_the_networks(pixels: PixelSeries, tmp_path: Path) -> None:
    network = StackedLSTM(Scales.of(pixels), pixels.classes)
    path = tmp_path / "model.onnx"
    assert export(network, _eats(pixels), path) <= 1e-5
    session = open_session(path, 1)
    for number in (1, 3, 240):
        expected = probabilities(predict_logits(network, pixels.values[:number]))
        assert np.abs(ask(session, pixels.values[:number]) - expected).max() <= 1e-5
    assert what_it_eats(session) == _eats(pixels)
    assert [node.op_type for node in onnx.load(path).graph.node].count("LSTM") == 3
    assert list(tmp_path.iterdir()) == [path]


class _Fickle(nn.Module):
    """Computes something else when it is traced."""

    def forward(self, series: Tensor) -> Tensor:
        traced = torch.onnx.is_in_onnx_export()
        mean: Tensor = series.mean(1) * (2.0 if traced else 1.0)
        return mean


def test_a_graph_that_differs_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CropError, match="differs from the network"):
        export(_Fickle(), Eats(("B04", "B08"), ("04", "05"), ("a", "b")), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_files_that_are_none_of_ours_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(CropError, match="cannot be opened"):
        open_session(tmp_path / "model.onnx", 1)
