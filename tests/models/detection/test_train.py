"""Training from labelled photos to a checkpoint: an interruption, what is held out, what is refused."""

from __future__ import annotations

import csv
import pickletools
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.detection import trainer as training
from models.detection.crops import CropSettings, RandomCrops
from models.detection.fsppf import FourierModulatedAttention
from models.detection.ss2d import SS2D
from models.detection.start_weights import load_detector, read_checkpoint, save_checkpoint
from models.detection.train import DetectorTraining, DivergedError, epochs_done, split_photos, train
from models.detection.trainer import DetectorTrainer
from models.detection.yolo_a import YoloA
from models.labelled_photos import LabelledPhoto, read_labelled_photos
from tests.models.drawn_photos import Square, draw_photo

APPLES = [Square(20, 30, 16, 16), Square(60, 50, 20, 20), Square(100, 20, 14, 14)]
FLOWERS = [Square(40, 40, 12, 12, label=1), Square(90, 70, 10, 10, label=1)]
PHOTOS = {
    "trees/DSC_1_17kv10r1k.png": APPLES,
    "trees/DSC_2_17kv10r2k.png": [],
    "trees/DSC_3_17kv1r4k.png": APPLES,
    "tiles/DSC_4_17kv9r5k_2.png": APPLES[:1],
    "tiles/DSC_5_17kv10r6k_2.png": [*APPLES[:1], *FLOWERS[:1]],
    "flowers/tree_1_a.png": FLOWERS,
    "flowers/tree_2_a.png": FLOWERS,
}
HELD_OUT = {"trees/DSC_3_17kv1r4k.png", "tiles/DSC_4_17kv9r5k_2.png", "flowers/tree_2_a.png"}


def _draw(folder: Path, names: Iterable[str] = PHOTOS) -> Path:
    for name in names:
        kind, file = name.split("/")
        draw_photo(folder, kind, file, (128, 96), PHOTOS[name], background=30)
    return folder


def _settings(folder: Path, **changes: Any) -> DetectorTraining:
    """Two epochs of two steps, on two crops each."""
    fast = {"epochs": 2, "crops_per_epoch": 4, "batch": 2, "image_px": 64, "validate_every": 1}
    return DetectorTraining(data=folder / "photos", output=folder / "run", **{**fast, **changes})


def _names(photos: Iterable[LabelledPhoto]) -> set[str]:
    return {f"{photo.kind}/{photo.path.name}" for photo in photos}


class _PowerCutError(Exception):
    """What interrupts a run in these tests."""


def _cut_power_in_the_second_epoch(trainer: DetectorTrainer) -> None:
    if trainer.epoch == 1:
        raise _PowerCutError


@dataclass(frozen=True)
class _Run:
    settings: DetectorTraining
    interrupted: dict[str, Any]
    best: Path

    @property
    def last(self) -> Path:
        return self.settings.output / "weights" / "last.pt"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> _Run:
    """A run of two epochs that is cut off in the second and started again."""
    folder = tmp_path_factory.mktemp("training")
    _draw(folder / "photos")
    settings = _settings(folder)
    trainer = DetectorTrainer(settings)
    trainer.add_callback("on_train_batch_end", _cut_power_in_the_second_epoch)
    with pytest.raises(_PowerCutError):
        trainer.train()
    interrupted = read_checkpoint(settings.output / "weights" / "last.pt")
    return _Run(settings, interrupted, train(settings))


def _steps(checkpoint: dict[str, Any]) -> set[float]:
    return {float(state["step"]) for state in checkpoint["optimizer"]["state"].values()}


def test_an_interrupted_run_goes_on_where_its_checkpoint_stands(run: _Run) -> None:
    finished = read_checkpoint(run.last)
    assert (run.interrupted["epoch"], finished["epoch"]) == (0, 1)
    assert (run.interrupted["updates"], finished["updates"]) == (2, 4), "of the averaged weights"
    assert (_steps(run.interrupted), _steps(finished)) == ({2.0}, {4.0}), "of the optimiser"
    assert epochs_done(run.settings.output) == 2


def test_each_epoch_has_one_line_in_the_table_of_losses(run: _Run) -> None:
    with (run.settings.output / "results.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["epoch"] for line in lines] == ["1", "2"]
    rates = [float(line["lr/pg0"]) for line in lines]
    assert rates == pytest.approx([1e-3, 0.505e-3]), "falling to a hundredth behind the last epoch"
    assert all(float(line["train/box_loss"]) > 0 for line in lines)


def test_each_step_has_one_line_in_the_table_of_steps(run: _Run) -> None:
    with (run.settings.output / "steps.csv").open(encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["step"] for line in lines] == ["1", "2", "3", "4"], "the step that was cut off is not told twice"
    assert all(float(line["box_loss"]) > 0 for line in lines)


@pytest.mark.parametrize("weights", ["model", "averaged"])
def test_training_changes_the_weights(run: _Run, weights: str) -> None:
    before, after = run.interrupted[weights], read_checkpoint(run.last)[weights]
    assert before.keys() == after.keys()
    same = {name for name in before if name.endswith("conv.weight") and torch.equal(before[name], after[name])}
    assert same == {"model.23.dfl.conv.weight"}, "a constant"
    assert all(torch.isfinite(value).all() for value in after.values())


def test_a_finished_run_is_not_trained_further(run: _Run) -> None:
    before = run.last.read_bytes()
    assert train(run.settings) == run.best
    assert run.last.read_bytes() == before


def test_the_best_checkpoint_is_a_detector_without_the_training_state(run: _Run) -> None:
    network, settings = load_detector(run.best)
    content = read_checkpoint(run.best)
    assert content["optimizer"] is None
    assert content["model"] is None
    assert run.best.stat().st_size < 0.4 * run.last.stat().st_size
    assert settings["labels"] == ("apple", "apple_flower")
    assert settings["crops"]["scale"] == (0.6, 1.6)
    assert settings["data"] == str(run.settings.data)
    assert network(torch.rand(1, 3, 64, 64))[0].shape == (1, 6, 84)


@pytest.mark.parametrize("which", ["last", "best"])
def test_checkpoints_hold_no_classes_of_ours_or_of_ultralytics(run: _Run, which: str) -> None:
    with zipfile.ZipFile(getattr(run, which)) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        operations = list(pickletools.genops(archive.read(name)))
    modules = {str(argument).split()[0].split(".")[0] for op, argument, _ in operations if op.name == "GLOBAL"}
    assert modules == {"torch", "collections"}


# --- the split ------------------------------------------------------------------------------------------------------


def test_held_out_rows_are_on_the_other_side_of_the_split_tiles_included(tmp_path: Path) -> None:
    photos = read_labelled_photos(_draw(tmp_path))
    to_train_on, held_out = split_photos(photos, ("17kv1r", "17kv9r", "tree_2_*"))
    assert _names(held_out) == HELD_OUT
    assert _names(to_train_on) == set(PHOTOS) - HELD_OUT
    assert len(to_train_on) + len(held_out) == len(photos)


def test_held_out_photos_are_never_trained_on(tmp_path: Path) -> None:
    _draw(tmp_path / "photos")
    trainer = DetectorTrainer(_settings(tmp_path))
    crops = trainer.build_dataset("", "train")
    drawn = {Path(crops[i]["im_file"]) for i in range(60)}
    assert {f"{path.parents[1].name}/{path.name}" for path in drawn} == set(PHOTOS) - HELD_OUT
    squares = trainer.build_dataset("", "val")
    assert {Path(squares[i]["im_file"]).name for i in range(3)} == {name.split("/")[1] for name in HELD_OUT}


def test_other_rows_can_be_held_out(tmp_path: Path) -> None:
    _draw(tmp_path / "photos")
    trainer = DetectorTrainer(_settings(tmp_path, hold_out=("17kv10r",)))
    assert _names(trainer.held_out_photos) == {name for name in PHOTOS if "17kv10r" in name}


def test_training_one_label_leaves_out_photos_that_show_only_others(tmp_path: Path) -> None:
    _draw(tmp_path / "photos")
    trainer = DetectorTrainer(_settings(tmp_path, labels=("apple_flower",)))
    photos = {photo.path.name: photo for photo in trainer.training_photos}
    assert set(photos) == {"DSC_2_17kv10r2k.png", "DSC_5_17kv10r6k_2.png", "tree_1_a.png"}, "bare photos teach too"
    assert photos["tree_1_a.png"].classes.tolist() == [0, 0], "the label is the first of this network's"
    assert photos["DSC_5_17kv10r6k_2.png"].boxes.shape == (1, 4), "the apple beside the flower is no label"
    assert photos["DSC_5_17kv10r6k_2.png"].boxes[0, 0] == pytest.approx((40 + 6) / 128)


@pytest.mark.parametrize("missing", ["held out", "trained on"])
def test_photos_on_one_side_only_are_refused_before_anything_is_written(tmp_path: Path, missing: str) -> None:
    _draw(tmp_path / "photos", HELD_OUT if missing == "trained on" else set(PHOTOS) - HELD_OUT)
    with pytest.raises(ValueError, match=r"photos has \d photos to train on and \d held out by 17kv1r, .*both"):
        train(_settings(tmp_path))
    assert not list((tmp_path / "run").iterdir())


# --- crops, weights, optimiser --------------------------------------------------------------------------------------


@pytest.fixture
def trainer(tmp_path: Path) -> DetectorTrainer:
    _draw(tmp_path / "photos")
    return DetectorTrainer(_settings(tmp_path))


@pytest.mark.slow
def test_each_epoch_draws_other_crops_resumed_or_not(run: _Run, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    monkeypatch.setattr(RandomCrops, "__getitem__", _noting(drawn))
    folder = run.settings.output.parent
    trainer = DetectorTrainer(replace(run.settings, output=folder / "cut"))
    trainer.add_callback("on_train_batch_end", _cut_power_in_the_second_epoch)
    with pytest.raises(_PowerCutError):
        trainer.train()
    assert drawn == [0, 1, 2, 3, 4, 5]  # cut off behind the second epoch's first step
    drawn.clear()
    train(replace(run.settings, output=folder / "cut"))
    assert drawn == [4, 5, 6, 7]


def _noting(drawn: list[int]) -> Callable[[RandomCrops, int], dict[str, Any]]:
    draw = RandomCrops.__getitem__

    def note(crops: RandomCrops, index: int) -> dict[str, Any]:
        drawn.append(index)
        return draw(crops, index)

    return note


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hold_out": ("17kv10r", "17kv1r", "tree_2_*")}, r"hold_out .*17kv9r.* instead of .*17kv10r"),
        ({"seed": 3}, "seed 0 instead of 3"),
        ({"crops": CropSettings(flower_share=0.5)}, r"crops .*0\.2.* instead of .*0\.5"),
        ({"teacher": Path("teacher.pt")}, "no teacher"),
    ],
)
@pytest.mark.parametrize("epochs", [2, 3], ids=["finished", "to go on"])
def test_a_run_goes_on_as_it_was_begun(run: _Run, changes: dict[str, Any], named: str, epochs: int) -> None:
    with pytest.raises(
        ValueError, match=rf"last\.pt was begun with {named}.*; go on with that, or choose another output"
    ):
        train(replace(run.settings, epochs=epochs, **changes))


def test_coco_weights_are_measured_on_crops_as_they_are_trained_on(
    trainer: DetectorTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Tensor] = []

    def start(network: YoloA, weights: Path, batches: Iterable[Tensor]) -> float:
        assert weights == Path("yolo11n.pth")
        assert isinstance(network, YoloA)
        seen.extend(batches)
        return 0.5

    monkeypatch.setattr(training, "start_from_coco", start)
    trainer.settings = replace(trainer.settings, weights=Path("yolo11n.pth"))
    trainer.setup_model()
    images = torch.cat(seen)
    assert images.shape == (128, 3, 64, 64)
    assert 0 <= float(images.min()) < float(images.max()) <= 1
    assert trainer.initialised == 0.5


def test_a_run_can_start_from_a_finished_detector(trainer: DetectorTrainer, run: _Run) -> None:
    trainer.settings = replace(trainer.settings, weights=run.best)
    assert trainer.setup_model() is None, "another run: its own epochs and optimiser"
    averaged = read_checkpoint(run.best)["averaged"]
    assert all(torch.equal(value, averaged[name]) for name, value in trainer.model.state_dict().items())


@pytest.mark.parametrize("change", [{"labels": ("apple",)}, {"network": "yolo11n"}], ids=["labels", "network"])
def test_a_detector_of_another_kind_is_refused_as_start(
    trainer: DetectorTrainer, run: _Run, change: dict[str, Any]
) -> None:
    trainer.settings = replace(trainer.settings, weights=run.best, **change)
    with pytest.raises(ValueError, match=r"best\.pt is yolo-a with labels .*choose other weights"):
        trainer.setup_model()


def test_a_run_of_another_kind_is_not_resumed(tmp_path: Path) -> None:
    _draw(tmp_path / "photos")
    (tmp_path / "run" / "weights").mkdir(parents=True)
    theirs = {"labels": ("apple",), "parts": ("glicm",)}
    save_checkpoint(tmp_path / "run" / "weights" / "last.pt", {"epoch": 0, "settings": theirs})
    with pytest.raises(ValueError, match=r"last\.pt is yolo-a-glicm with labels \('apple',\), this run is yolo-a with"):
        train(_settings(tmp_path))


def test_values_that_must_not_decay_are_in_a_group_without_decay(trainer: DetectorTrainer) -> None:
    network = YoloA(2)
    optimiser = trainer.build_optimizer(network, name="AdamW", lr=1e-3, momentum=0.9, decay=0.01, iterations=10)
    decay = {id(p): group["weight_decay"] for group in optimiser.param_groups for p in group["params"]}
    assert (
        len(decay) == sum(len(group["params"]) for group in optimiser.param_groups) == len(list(network.parameters()))
    )
    for module in network.modules():
        if isinstance(module, SS2D | FourierModulatedAttention):
            assert {decay[id(p)] for p in module.no_weight_decay()} == {0}
        elif isinstance(module, nn.BatchNorm2d):
            assert {decay[id(p)] for p in module.parameters()} == {0}
        elif isinstance(module, nn.Conv2d):
            assert decay[id(module.weight)] == 0.01
            assert module.bias is None or decay[id(module.bias)] == 0
        if isinstance(module, SS2D):
            assert decay[id(module.x_proj_weight)] == decay[id(module.dt_proj_weight)] == 0.01


def test_a_loss_that_is_no_number_ends_the_run_with_its_remedy(trainer: DetectorTrainer) -> None:
    trainer.loss = torch.tensor(1.0)
    assert trainer._handle_nan_recovery(3) is False
    trainer.loss = torch.tensor(float("nan"))
    with pytest.raises(
        DivergedError, match=r"epoch 4 of yolo-a; .*lower --learning-rate and with another --out"
    ) as caught:
        trainer._handle_nan_recovery(3)
    assert caught.value.exit_code == 1


def test_what_diverged_after_an_epoch_can_start_from_there(trainer: DetectorTrainer) -> None:
    trainer.last.parent.mkdir(parents=True, exist_ok=True)
    trainer.last.touch()
    trainer.loss = torch.tensor(float("nan"))
    with pytest.raises(DivergedError, match=r"lower --learning-rate, from .*last\.pt as --weights and with another"):
        trainer._handle_nan_recovery(3)


def test_a_run_that_cannot_draw_its_page_is_not_finished(
    run: _Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would otherwise never be drawn: a finished run is left as it is."""

    def full(*_: object) -> None:
        raise OSError("no space left on device")

    settings = replace(run.settings, output=tmp_path / "run", epochs=1)
    with monkeypatch.context() as patched:
        patched.setattr(training, "write_results_page", full)
        with pytest.raises(OSError, match="no space left"):
            train(settings)
    assert epochs_done(settings.output) == 0
    train(settings)
    assert (settings.output / "results.html").exists()
