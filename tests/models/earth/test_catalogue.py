"""Catalogues: static ones, saved pages, and services that answer as the public ones do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from models.earth.catalogue import Search, find_items
from models.earth.errors import CatalogueError, EarthInputError
from models.earth.scenes import newest_of_each, sentinel2_scene
from tests.models.earth.catalogues import save_catalogue
from tests.models.earth.drawn import draw_scene, draw_season, orchard

SPRING = (date(2023, 4, 1), date(2023, 5, 31))
PAGES = Path(__file__).parent / "recorded"


def search(**changed: Any) -> Search:
    first, last = SPRING
    told = {"collection": "sentinel-2-l2a", "bounds": orchard().bounds, "first": first, "last": last}
    return Search(**told | changed)


def test_a_static_catalogue_is_searched_by_place_day_and_clouds(tmp_path: Path) -> None:
    catalogue = save_catalogue(tmp_path, draw_season(tmp_path / "files", range(4, 7)))
    for where in (catalogue, tmp_path):
        assert len(find_items(str(where), search())) == 4
    assert len(find_items(str(tmp_path), search(most_cloud_percent=20))) == 2
    assert find_items(str(tmp_path), search(bounds=(0, 0, 1, 1))) == []
    assert find_items(str(tmp_path), search(collection="landsat")) == []


def test_a_catalogue_can_be_moved_with_its_files(tmp_path: Path) -> None:
    save_catalogue(tmp_path / "here", [draw_scene(tmp_path / "here/files", date(2023, 4, 5))])
    (tmp_path / "here").rename(tmp_path / "there")
    (item,) = find_items(str(tmp_path / "there"), search())
    assert Path(sentinel2_scene(item, ["B02"]).hrefs["B02"]).is_file()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "there is no catalogue at .*; check the path"),
        ("{", "is no STAC catalogue"),
        ('{"type": "Feature"}', "is no STAC"),
    ],
)
def test_what_is_no_catalogue_is_named(tmp_path: Path, content: str | None, said: str) -> None:
    file = tmp_path / "catalog.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(EarthInputError, match=said):
        find_items(str(file), search())


def test_a_catalogue_that_lost_an_item_says_so(tmp_path: Path) -> None:
    catalogue = save_catalogue(tmp_path, [draw_scene(tmp_path / "files", date(2023, 4, 5))])
    next(tmp_path.glob("sentinel-2-l2a/*/*.json")).unlink()
    with pytest.raises(EarthInputError, match="or one of its files is missing"):
        find_items(str(catalogue), search())


class _Service(BaseHTTPRequestHandler):
    """Answers with recorded pages: the landing page, then one page of items after another."""

    pages: tuple[dict[str, Any], ...] = ()
    asked: list[dict[str, Any]]
    broken: int = 0

    def do_GET(self) -> None:
        self._answer(self._landing())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append(body)
        number = int(body.get("next", 0))
        page = dict(self.pages[number])
        following: dict[str, Any] = {
            "rel": "next",
            "method": "POST",
            "href": f"{self._root()}/search",
            "body": {**body, "next": number + 1},
        }
        page["links"] = [following] if number + 1 < len(self.pages) else []
        self._answer(page)

    def _root(self) -> str:
        return f"http://{self.headers['Host']}"

    def _landing(self) -> dict[str, Any]:
        landing: dict[str, Any] = json.loads((PAGES / "landing.json").read_text().replace("{root}", self._root()))
        return landing

    def _answer(self, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode() if not self.broken else b"<html>Bad gateway</html>"
        self.send_response(200 if not self.broken else self.broken)
        self.send_header("Content-Type", "application/geo+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def service(pages: list[dict[str, Any]], broken: int = 0) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    asked: list[dict[str, Any]] = []
    handler = type("_Recorded", (_Service,), {"pages": tuple(pages), "asked": asked, "broken": broken})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()


def recorded(name: str) -> dict[str, Any]:
    page: dict[str, Any] = json.loads((PAGES / name).read_text())
    return page


HERE = Search("sentinel-2-l2a", (11.7, 48.39, 11.71, 48.41), date(2023, 7, 1), date(2023, 7, 31), 60)


def test_a_service_is_asked_page_by_page() -> None:
    with service([recorded("earth-search-1.json"), recorded("earth-search-2.json")]) as (address, asked):
        items = find_items(address, HERE)
    assert [item.id for item in items] == [
        "S2B_32UPU_20230703_0_L2A",
        "S2B_32UPU_20230703_1_L2A",
        "S2A_32UPU_20230708_0_L2A",
    ]
    assert asked[0]["collections"] == ["sentinel-2-l2a"]
    assert asked[0]["bbox"] == list(HERE.bounds)
    assert asked[0]["datetime"] == "2023-07-01T00:00:00Z/2023-07-31T23:59:59Z"
    assert [body.get("next") for body in asked] == [None, 1]


def test_a_service_s_items_become_scenes() -> None:
    with service([recorded("earth-search-1.json"), recorded("earth-search-2.json")]) as (address, _):
        items = newest_of_each(find_items(address, HERE))
    # of one acquisition processed twice the later baseline stays, and its offset is still in
    scenes = [sentinel2_scene(item, ["B02", "B8A", "B11", "SCL"]) for item in items]
    assert [(scene.id, scene.offset, scene.epsg) for scene in scenes] == [
        ("S2B_32UPU_20230703_1_L2A", -1000, 32632),
        ("S2A_32UPU_20230708_0_L2A", 0, 32632),
    ]
    assert scenes[0].hrefs["B8A"].endswith("/S2B_32UPU_20230703_1_L2A/B8A.tif")
    assert scenes[0].day == date(2023, 7, 3)


def test_another_service_calls_its_assets_otherwise() -> None:
    with service([recorded("planetary-computer.json")]) as (address, _):
        (item,) = find_items(address, HERE)
    scene = sentinel2_scene(item, ["B02", "B11", "SCL"])
    assert scene.offset == -1000
    assert scene.epsg == 32632
    assert scene.hrefs["SCL"].endswith("_SCL_20m.tif")


def test_a_saved_page_is_a_catalogue_too(tmp_path: Path) -> None:
    page = tmp_path / "page.json"
    page.write_text(json.dumps(recorded("earth-search-1.json")))
    assert len(find_items(str(page), HERE)) == 2


def test_a_service_that_is_away_is_named() -> None:
    with service([]) as (address, _):
        pass
    with pytest.raises(CatalogueError, match=rf"catalogue {address} does not answer .*: what was fetched is kept"):
        find_items(address, HERE)


def test_a_page_that_is_no_catalogue_is_named() -> None:
    with (
        service([{"type": "FeatureCollection"}], broken=404) as (address, _),
        pytest.raises(CatalogueError, match="does not answer"),
    ):
        find_items(address, HERE)
