"""Photos, previews and thumbnails."""

from __future__ import annotations

import io
from html import unescape
from pathlib import Path

import pillow_heif
import pytest
from fastapi.testclient import TestClient
from PIL import ExifTags, Image

from device.page.pictures import PREVIEW_PX, THUMBNAIL_PX
from tests.device.page.conftest import VisitedDevice
from tests.device.page.helpers import browser, draw_photo, full_disk, send_photos, wait_for_counts


def open_image(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def upload(client: TestClient, name: str, content: bytes) -> str:
    """Upload a photo; returns its SHA-256."""
    wait_for_counts(client, send_photos(client, (name, content)))
    (visit,) = client.get("/api/blocks/B1/visits").json()
    (tree,) = client.get(f"/api/visits/{visit['id']}/trees").json()
    (sha256,) = tree["photos"]
    return str(sha256)


def test_the_photo_itself_is_served_as_it_came(page: TestClient, visited: VisitedDevice) -> None:
    answer = page.get(f"/photos/{visited.photos[0]}")
    assert answer.content == draw_photo(0)
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_a_thumbnail_is_made_once_and_kept_beside_the_store(page: TestClient, visited: VisitedDevice) -> None:
    sha256 = visited.photos[0]
    answer = page.get(f"/photos/{sha256}/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    assert "immutable" in answer.headers["cache-control"]
    assert max(open_image(answer.content).size) == THUMBNAIL_PX
    (kept,) = (visited.folder / "thumbnails").rglob("*.*")
    changed = kept.stat().st_mtime_ns
    assert page.get(f"/photos/{sha256}/thumbnail").content == kept.read_bytes() == answer.content
    assert kept.stat().st_mtime_ns == changed
    kept.unlink()
    assert page.get(f"/photos/{sha256}/thumbnail").content == answer.content


def test_a_large_photo_has_a_smaller_preview(home: Path) -> None:
    with browser(home) as client:
        sha256 = upload(client, "large.jpg", draw_photo(1, size=(3000, 400)))
        assert open_image(client.get(f"/photos/{sha256}/preview").content).size == (PREVIEW_PX, 273)


def test_a_photo_held_upright_stays_upright(home: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # to be turned by 90 degrees
    content = io.BytesIO()
    Image.new("RGB", (800, 400)).save(content, "JPEG", exif=exif)
    with browser(home) as client:
        sha256 = upload(client, "upright.jpg", content.getvalue())
        assert open_image(client.get(f"/photos/{sha256}/preview").content).size == (400, 800)
        assert open_image(client.get(f"/photos/{sha256}/thumbnail").content).size == (240, 480)
        assert 'viewBox="0 0 400 800"' in client.get(f"/photos/{sha256}/boxes").text


def test_heic_is_shown_as_jpeg(home: Path) -> None:
    pillow_heif.register_heif_opener()
    with browser(home) as client:
        sha256 = upload(client, "IMG_1.HEIC", draw_photo(2, kind="HEIF"))
        for path in ("", "/preview", "/thumbnail"):
            answer = client.get(f"/photos/{sha256}{path}")
            assert answer.headers["content-type"] == "image/jpeg"
            assert open_image(answer.content).format == "JPEG"


def test_png_has_its_own_type(home: Path) -> None:
    with browser(home) as client:
        sha256 = upload(client, "tree.png", draw_photo(3, kind="PNG"))
        assert client.get(f"/photos/{sha256}").headers["content-type"] == "image/png"
        assert open_image(client.get(f"/photos/{sha256}/thumbnail").content).format == "JPEG"


@pytest.mark.parametrize(
    ("is_full", "says"),
    [(True, "No space left on device; free some space"), (False, "check the folder's permissions and the disk")],
)
def test_a_thumbnail_that_cannot_be_kept_says_why(
    page: TestClient, visited: VisitedDevice, monkeypatch: pytest.MonkeyPatch, is_full: bool, says: str
) -> None:
    if is_full:
        full_disk(monkeypatch)
    else:
        (visited.folder / "thumbnails").write_text("in the way")
    answer = page.get(f"/photos/{visited.photos[0]}/thumbnail")
    assert answer.status_code == 503
    assert says in unescape(answer.text)


def test_a_file_that_is_gone_or_broken_is_said_so(page: TestClient, visited: VisitedDevice) -> None:
    gone, broken, _ = visited.photos
    files = {path.stem: path for path in (visited.folder / "photos").rglob("*.jpg")}
    files[gone].unlink()
    files[broken].write_bytes(b"\xff\xd8\xff nothing more")
    for path in ("", "/thumbnail", "/preview"):
        answer = page.get(f"/photos/{gone}{path}")
        assert answer.status_code == 404
        assert "restore it from a backup" in answer.text
    for path in ("/thumbnail", "/preview"):
        answer = page.get(f"/photos/{broken}{path}")
        assert answer.status_code == 500
        assert "cannot be shown" in answer.text
    assert not list((visited.folder / "thumbnails").rglob("*.*"))
    assert page.get(f"/photos/{gone}/boxes").status_code == 200  # its counts are still there
