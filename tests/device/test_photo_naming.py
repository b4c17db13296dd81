"""Which tree and side a photo shows."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from device.errors import InputError
from device.photo_naming import TreePhoto, name_trees, name_trees_by_csv

CARD = Path("/card")


def named(*names: str) -> list[tuple[str, str]]:
    return [(photo.tree, photo.side) for photo in name_trees(CARD, [CARD / name for name in names])]


@pytest.mark.parametrize(
    ("name", "tree", "side"),
    [
        ("T07.jpg", "T07", "a"),
        ("T07_a.jpg", "T07", "a"),
        ("T07_b.jpg", "T07", "b"),
        ("T07-B.JPG", "T07", "b"),
        ("row 3 tree 7 left.jpg", "row 3 tree 7", "left"),
        ("R1_T2_east.heic", "R1_T2", "east"),
        ("T07_c.jpg", "T07_c", "a"),
        ("a.jpg", "a", "a"),
    ],
)
def test_a_photo_in_the_folder_itself_is_named_after_its_tree(name: str, tree: str, side: str) -> None:
    assert named(name) == [(tree, side)]


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("T07/DSC_0001.jpg", "a"),
        ("T07/B.jpg", "b"),
        ("T07/front.jpg", "front"),
        ("T07/x_back.jpg", "back"),
        ("T07/2/x.jpg", "a"),
    ],
)
def test_a_sub_folder_is_a_tree(name: str, side: str) -> None:
    assert named(name) == [("T07", side)]


@pytest.mark.parametrize("name", ["DCIM/100CANON/DSC_0001.jpg", "100CANON/1.jpg", "101_0901/1.jpg", "100MSDCF/1.jpg"])
def test_a_folder_that_cameras_make_is_no_tree(name: str) -> None:
    said = rf"/card/{Path(name).parts[0]} is a camera's folder and names no tree; .* a folder with its name, .* --trees"
    with pytest.raises(InputError, match=said):
        named("T01/1.jpg", name)


@pytest.mark.parametrize("name", ["R1/100CANON/1.jpg", "R1/DCIM/1.jpg", "R1/1.jpg"])
def test_inside_a_trees_folder_there_may_be_any(name: str) -> None:
    assert named(name) == [("R1", "a")]


def test_names_are_written_in_one_way() -> None:
    """A Mac's card says ü in two characters, a phone's in one."""
    decomposed = unicodedata.normalize("NFD", "Grün-1")
    assert named(f"{decomposed}_b.jpg", f"{decomposed}/1.jpg", "Grün-1 .jpg", "row 1  tree 2/1.jpg") == [
        *[("Grün-1", "b"), ("Grün-1", "a"), ("Grün-1", "a"), ("row 1 tree 2", "a")]
    ]


def write_table(folder: Path, text: str) -> Path:
    path = folder / "trees.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_names_trees_and_sides(tmp_path: Path) -> None:
    table = write_table(tmp_path, "\ufeffphoto,tree,side\n1.jpg, T01 ,b\nx/2.jpg,T02,\n3.jpg,T03, \n")
    photos = [CARD / "1.jpg", CARD / "x" / "2.jpg", CARD / "y" / "3.jpg"]
    assert name_trees_by_csv(CARD, photos, table) == [
        TreePhoto(photos[0], "T01", "b"),
        TreePhoto(photos[1], "T02", "a"),
        TreePhoto(photos[2], "T03", "a"),
    ]


def test_a_table_and_its_photos_may_be_written_in_different_ways(tmp_path: Path) -> None:
    photos = [CARD / unicodedata.normalize("NFD", "grün.jpg"), CARD / "x" / unicodedata.normalize("NFD", "süß.jpg")]
    decomposed = unicodedata.normalize("NFD", "Grün")
    table = write_table(tmp_path, f"photo,tree\ngrün.jpg,{decomposed}  1\nx/süß.jpg,Grün 1\n")
    assert [photo.tree for photo in name_trees_by_csv(CARD, photos, table)] == ["Grün 1", "Grün 1"]


def test_photos_of_one_name_need_their_folders_in_the_table(tmp_path: Path) -> None:
    """Cameras begin again at DSC_0001."""
    photos = [CARD / "x" / "1.jpg", CARD / "y" / "1.jpg"]
    with pytest.raises(
        InputError, match=r"trees\.csv: there are several 1\.jpg; write each with its folder, as x/1\.jpg"
    ):
        name_trees_by_csv(CARD, photos, write_table(tmp_path, "photo,tree\n1.jpg,T01\n"))
    both = write_table(tmp_path, "photo,tree\nx/1.jpg,T01\ny/1.jpg,T02\n")
    assert [photo.tree for photo in name_trees_by_csv(CARD, photos, both)] == ["T01", "T02"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "lacks the column photo and tree; expected photo,tree"),
        ("photo;tree\n1.jpg;T01\n", "lacks the column photo and tree"),
        ("photo,code\n1.jpg,T01\n", "lacks the column tree"),
        ("photo,tree\n2.jpg,T01\n", r"does not say which tree 1\.jpg shows; add a line for it"),
        ("photo,tree\n1.jpg,\n", r"does not say which tree 1\.jpg shows"),
        ("photo,tree\n1.jpg\n", r"does not say which tree 1\.jpg shows"),
    ],
)
def test_a_table_that_leaves_a_photo_without_a_tree_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=rf"trees\.csv {said}"):
        name_trees_by_csv(CARD, [CARD / "1.jpg"], write_table(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "cannot be read: it is not written in UTF-8; save it again in UTF-8"),
        (b"photo,tree\n" + b"x" * 200_000, "cannot be read as CSV: field larger than field limit"),
        (None, "cannot be read: No such file or directory; check the path"),
    ],
    ids=["not UTF-8", "one endless line", "missing"],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, said: str) -> None:
    table = tmp_path / "trees.csv"
    if content is not None:
        table.write_bytes(content)
    with pytest.raises(InputError, match=rf"trees\.csv {said}"):
        name_trees_by_csv(CARD, [CARD / "1.jpg"], table)
