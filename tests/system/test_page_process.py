"""Which browser the tests of the pages take."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.system import page_process


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder with programs, and no Chromium of playwright's own."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(page_process, "CHROMIUMS", ("chromium", "chromium-browser", "google-chrome"))
    return folder


def add_program(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def real_chromium() -> str:
    """The system's, else playwright's own."""
    found = next(filter(None, map(shutil.which, page_process.CHROMIUMS)), None)
    if found is None:
        with sync_playwright() as playwright:
            found = playwright.chromium.executable_path
    return found


def test_without_a_browser_the_remedy_is_named(programs: Path) -> None:
    remedy = "apt-get install chromium, or python -m playwright install chromium"
    with pytest.raises(RuntimeError, match=remedy), page_process.chromium():
        pass


def test_a_chromium_that_only_says_how_to_get_it_is_none(programs: Path) -> None:
    """As Ubuntu's does."""
    add_program(programs, "chromium-browser", "echo 'requires the chromium snap to be installed' >&2; exit 1")
    with pytest.raises(RuntimeError, match="requires the chromium snap"), page_process.chromium():
        pass


def test_a_chromium_of_another_name_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = real_chromium()
    add_program(tmp_path, "chromium-browser", "exit 1")
    add_program(tmp_path, "google-chrome", f'exec "{program}" "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(page_process, "CHROMIUMS", ("chromium-browser", "google-chrome"))
    with page_process.chromium() as browser:
        page = browser.new_page()
        page.set_content("<h1>Pomona</h1>")
        assert page.inner_text("h1") == "Pomona"
