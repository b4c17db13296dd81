"""Folders of labelled photos: what is read, which row a photo belongs to, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.labelled_photos import LABELS, read_labelled_photos
from tests.models.drawn_photos import Square, draw_photo, write_counts


def _names(folder: Path, *kinds: str) -> list[str]:
    photos = read_labelled_photos(folder, kinds) if kinds else read_labelled_photos(folder)
    return [f"{photo.kind}/{photo.path.name}" for photo in photos]


def test_photos_come_by_kind_and_name(tmp_path: Path) -> None:
    for kind, name in (("flowers", "c.png"), ("tiles", "b.png"), ("trees", "z.png"), ("trees", "a.png")):
        draw_photo(tmp_path, kind, name, (8, 8), [])
    assert _names(tmp_path) == ["trees/a.png", "trees/z.png", "tiles/b.png", "flowers/c.png"]
    assert _names(tmp_path, "flowers", "leaves") == ["flowers/c.png"]


def test_only_pictures_are_photos(tmp_path: Path) -> None:
    for name in ("a.png", "b.JPG", "c.jpeg"):
        draw_photo(tmp_path, "trees", name, (8, 8), [])
    for name in ("notes.txt", "thumbs.db", "d.png.part"):
        (tmp_path / "trees" / "images" / name).touch()
    assert _names(tmp_path) == ["trees/a.png", "trees/b.JPG", "trees/c.jpeg"]


def test_boxes_and_classes_are_read_as_they_stand(tmp_path: Path) -> None:
    draw_photo(tmp_path, "trees", "a.png", (40, 20), [Square(10, 5, 4, 2), Square(0, 0, 8, 8, label=1)])
    (photo,) = read_labelled_photos(tmp_path)
    assert photo.boxes == pytest.approx(np.array([[0.3, 0.3, 0.1, 0.1], [0.1, 0.2, 0.2, 0.4]]))
    assert [LABELS[c] for c in photo.classes] == ["apple", "apple_flower"]
    assert photo.corners_px(40, 20) == pytest.approx(np.array([[10, 5, 14, 7], [0, 0, 8, 8]]))
    assert photo.corners_px(80, 20) == pytest.approx(np.array([[20, 5, 28, 7], [0, 0, 16, 8]]))


@pytest.mark.parametrize("labels", [None, "", "\n\n"], ids=["no file", "empty file", "empty lines"])
def test_a_photo_without_labels_has_no_boxes(tmp_path: Path, labels: str | None) -> None:
    path = draw_photo(tmp_path, "trees", "a.png", (8, 8), [])
    file = tmp_path / "trees" / "labels" / "a.txt"
    if labels is None:
        file.unlink()
    else:
        file.write_text(labels, encoding="utf-8")
    (photo,) = read_labelled_photos(tmp_path)
    assert photo.path == path
    assert photo.boxes.shape == (0, 4)
    assert photo.classes.shape == (0,)
    assert photo.corners_px(8, 8).shape == (0, 4)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0 0.5 0.5 0.1", "expected 'class x y width height', found '0 0.5 0.5 0.1'"),
        ("0 0.5 0.5 0.1 0.1 0.9", "expected 'class x y width height'"),
        ("apple 0.5 0.5 0.1 0.1", "expected 'class x y width height'"),
        ("2 0.5 0.5 0.1 0.1", "class 2 is unknown; 0 is apple, 1 apple_flower"),
        ("0.5 0.5 0.5 0.1 0.1", "class 0.5 is unknown"),
        ("-1 0.5 0.5 0.1 0.1", "class -1 is unknown"),
        ("0 532 300 40 40", "not in shares of the photo"),
        ("0 0.5 0.5 -0.1 0.1", "not in shares of the photo"),
        ("0 0.5 nan 0.1 0.1", "not in shares of the photo"),
    ],
)
def test_a_line_that_is_no_box_is_named_with_its_file_and_number(tmp_path: Path, line: str, complaint: str) -> None:
    draw_photo(tmp_path, "trees", "a.png", (8, 8), [])
    file = tmp_path / "trees" / "labels" / "a.txt"
    file.write_text(f"0 0.5 0.5 0.1 0.1\n\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.txt, line 3: ") as caught:
        read_labelled_photos(tmp_path)
    assert complaint in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_folder_without_photos_says_what_belongs_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no labelled photos; expected .*trees/images/\*\.jpg"):
        read_labelled_photos(tmp_path)


def test_row_comes_from_the_table_then_from_the_name_then_is_the_photo_itself(tmp_path: Path) -> None:
    names = ("DSC_1_17kv3r5k.png", "DSC_2_17kv3r5k.png", "DSC_3_17kv3r6k.png", "tree_4.png", "tree_5.png")
    for name in names:
        draw_photo(tmp_path, "trees", name, (8, 8), [])
    write_counts(tmp_path, [(names[0], "row 9", "ripe"), (names[2], "", "green"), (names[3], "unknown", "")])
    found = {photo.path.name: (photo.row, photo.stage) for photo in read_labelled_photos(tmp_path)}
    assert found == {
        names[0]: ("row 9", "ripe"),
        names[1]: ("17kv3r", ""),
        names[2]: ("17kv3r", "green"),
        names[3]: ("tree_4", ""),
        names[4]: ("tree_5", ""),
    }


def test_a_table_saved_by_a_spreadsheet_is_read_too(tmp_path: Path) -> None:
    draw_photo(tmp_path, "trees", "a.png", (8, 8), [])
    (tmp_path / "counts.csv").write_bytes("\ufeffimage,row,stage\r\na.png,7,gr\u00fcn\r\n".encode())
    (photo,) = read_labelled_photos(tmp_path)
    assert (photo.row, photo.stage) == ("7", "gr\u00fcn")


def test_a_tree_is_the_one_that_counts_csv_names_else_the_name_without_its_date(tmp_path: Path) -> None:
    flowers = ("20190421_34_1.png", "20190502_34_1.png", "tree_2_27-03-19_b.png", "tree_2_12-05-19_a.png", "other.png")
    for name in flowers:
        draw_photo(tmp_path, "flowers", name, (8, 8), [])
    for name in ("a.png", "b.png"):
        draw_photo(tmp_path, "trees", name, (8, 8), [])
    (tmp_path / "counts.csv").write_text("image,tree_id,row,stage\na.png,17kv1r4k,17kv1r,\nb.png,,,\n")
    trees = {photo.path.name: photo.tree for photo in read_labelled_photos(tmp_path)}
    assert trees == dict(zip(flowers, ("34_1", "34_1", "tree_2", "tree_2", "other"), strict=True)) | {
        "a.png": "17kv1r4k",
        "b.png": "b",
    }


def test_tiles_of_one_photo_show_one_tree(tmp_path: Path) -> None:
    for kind, name in (("tiles", "DSC_7_1r2k_3.png"), ("tiles", "DSC_7_1r2k_11.png"), ("trees", "DSC_8_3.png")):
        draw_photo(tmp_path, kind, name, (8, 8), [])
    assert [photo.tree for photo in read_labelled_photos(tmp_path)] == ["DSC_8_3", "DSC_7_1r2k", "DSC_7_1r2k"]


def test_photos_are_told_apart_as_objects(tmp_path: Path) -> None:
    """Their arrays have no single answer to being equal, so a photo equals itself alone."""
    draw_photo(tmp_path, "trees", "a.png", (8, 8), [Square(0, 0, 2, 2), Square(4, 4, 2, 2)])
    (one,), (other,) = read_labelled_photos(tmp_path), read_labelled_photos(tmp_path)
    assert one != other
    assert [other, one].index(one) == 1
