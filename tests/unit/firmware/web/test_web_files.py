# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.web.web_files import WebFile, WebFiles

IMMUTABLE = "max-age=31536000, immutable"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "parts"
    place.mkdir()
    (place / "app.js").write_text('import { el } from "./dom.js";')
    (place / "dom.js").write_text("export const el = 1;")
    (place / "index.html").write_text('<script src="/static/app.js"></script><a href="/api/status"></a>')
    (place / "secret.py").write_text("")
    return place


def find(files: WebFiles, path: str) -> WebFile:
    file = files.find(path)
    assert file is not None
    return file


def address_of(files: WebFiles, folder: Path) -> str:
    """Of the page's script."""
    return files.page(folder / "index.html").body.decode().split('"')[1]


def test_a_page_is_asked_for_each_time_and_its_parts_are_kept(folder: Path) -> None:
    files = WebFiles({"static": folder})
    page = files.page(folder / "index.html")
    assert page.cache_control == "no-cache"
    assert 'href="/api/status"' in page.body.decode()
    script = address_of(files, folder)
    assert script.startswith("/v/")
    assert script.endswith("/static/app.js")
    assert find(files, script).cache_control == IMMUTABLE
    assert find(files, script.replace("app.js", "dom.js")).cache_control == IMMUTABLE  # as the module imports it


def test_without_the_version_a_part_is_asked_for_each_time(folder: Path) -> None:
    file = find(WebFiles({"static": folder}), "/static/app.js")
    assert (file.cache_control, file.content_type) == ("no-cache", "text/javascript; charset=utf-8")


def test_a_change_of_one_part_changes_all_addresses(folder: Path) -> None:
    before = address_of(WebFiles({"static": folder}), folder)
    (folder / "dom.js").write_text("export const el = 2;")
    after = WebFiles({"static": folder})
    assert address_of(after, folder) != before
    old = find(after, before)  # a page from before the update
    assert (old.body, old.cache_control) == ((folder / "app.js").read_bytes(), "no-cache")


def test_a_file_that_was_changed_after_the_start_is_not_kept(folder: Path) -> None:
    files = WebFiles({"static": folder})
    (folder / "app.js").write_text("changed")
    file = find(files, address_of(files, folder))
    assert (file.body, file.cache_control) == (b"changed", "no-cache")


def test_the_tag_is_that_of_the_content(folder: Path) -> None:
    files = WebFiles({"static": folder})
    file = find(files, "/static/app.js")
    assert ("ETag", file.etag) in file.headers
    for header in (file.etag, f'"other", W/{file.etag}', "*"):
        assert file.is_known_to(header)
    assert not file.is_known_to(None)
    assert not file.is_known_to(file.etag.strip('"'))
    assert not file.is_known_to(find(files, "/static/dom.js").etag)


@pytest.mark.parametrize(
    "path",
    [
        "/static/secret.py",
        "/static/index.html",
        "/static/",
        "/static",
        "/v/",
        "/v/static/app.js/x",
        "/v/0/../static/app.js",
        "/static/../static/app.js",
        "/v/0/v/0/static/app.js",
        "//static/app.js",
        "",
    ],
)
def test_nothing_else_is_found(folder: Path, path: str) -> None:
    assert WebFiles({"static": folder}).find(path) is None


def test_no_file_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WebFiles({"static": tmp_path / "none"})
