# SPDX-License-Identifier: Apache-2.0
"""The image reader: what it returns, and everything that it must refuse."""

from __future__ import annotations

import contextlib
import hashlib
import io
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.errors import ImageError
from firmware.update.image import MAGIC, TOP_LEVEL, Entry, ImageReader, Limits, Manifest, check_allowed, embed
from tests.support.firmware import FAMILY, FILES, image

SMALL = Limits(manifest_bytes=4096, files=4, file_bytes=100, total_bytes=150, depth=4)


def read(data: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    """Everything in the image; raises `ImageError`."""
    reader = ImageReader(io.BytesIO(data), limits)
    files = {entry.path: b"".join(content) for entry, content in reader.files()}
    reader.finish()
    assert reader.digest == hashlib.sha256(data).digest()
    return files


def raw(manifest: Any, payload: bytes = b"") -> bytes:
    """An image with any manifest at all."""
    head = manifest if isinstance(manifest, bytes) else msgspec.json.encode(manifest)
    return MAGIC + len(head).to_bytes(4, "big") + head + payload


def named(*paths: str, content: bytes = b"x") -> bytes:
    entry = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    files = [{"path": path, **entry} for path in paths]
    fields = {"format": 1, "family": FAMILY, "version": "1.0.1", "min_version": "0.0.0", "files": files}
    return raw(fields, content * len(paths))


def refuses(data: bytes, text: str, limits: Limits | None = None) -> None:
    with pytest.raises(ImageError, match=text):
        read(data, limits)


def test_returns_what_was_written() -> None:
    assert read(image()) == FILES


def test_every_truncation_is_refused() -> None:
    data = image()
    for length in range(len(data)):
        with pytest.raises(ImageError):
            read(data[:length])


def test_every_flipped_byte_of_a_file_is_refused() -> None:
    data = bytearray(image())
    for place in range(len(data) - sum(map(len, FILES.values())), len(data)):
        data[place] ^= 1
        with pytest.raises(ImageError, match="does not match its hash"):
            read(bytes(data))
        data[place] ^= 1


def test_contents_swapped_between_files_are_refused() -> None:
    data = image({"hal/a.py": b"aaaa", "hal/b.py": b"bbbb"})
    refuses(data[:-8] + b"bbbbaaaa", "does not match its hash")


@pytest.mark.parametrize(
    "path",
    [
        "../etc/passwd",
        "hal/../../etc/passwd",
        "/etc/passwd",
        "hal//x",
        "hal/./x",
        "hal/..",
        "hal/.hidden",
        "hal\\x/y",
        "hal/x\0.py",
        "hal/x\n.py",
        "hal/a b.py",
        "hal/ü.py",
        "hal/-rf",
        "etc/passwd",
        "hal",
        "manifest.json",
        "tools/x.py",
        "HAL/x.py",
        "hal/" + "d/" * 10 + "x.py",
        "hal/" + "x" * 100,
        "hal/",
    ],
)
def test_path_outside_the_tree_is_refused(path: str) -> None:
    refuses(named(path), "is not an allowed file name")


@pytest.mark.parametrize(
    "paths", [("hal/a.py", "hal/a.py"), ("hal/a.py", "hal/A.py"), ("hal/a", "hal/a/b"), ("hal/a/b/c", "hal/A")]
)
def test_names_that_collide_are_refused(paths: tuple[str, ...]) -> None:
    refuses(named(*paths), "two files with one name")


def test_sizes_and_numbers_are_bounded() -> None:
    assert read(named("hal/a.py", content=b"x" * 100), SMALL)
    refuses(named("hal/a.py", content=b"x" * 101), "too large", SMALL)
    refuses(named("hal/a.py", "hal/b.py", content=b"x" * 76), "too large", SMALL)
    refuses(named(*[f"hal/{n}.py" for n in range(5)]), "5 files", SMALL)
    refuses(named(), "0 files", SMALL)
    refuses(MAGIC + b"\xff\xff\xff\xff" + b"{}", "too long")


def test_declared_size_is_not_read_into_memory() -> None:
    entry = {"path": "hal/a.py", "size": 30 << 20, "sha256": "0" * 64}
    fields = {"format": 1, "family": FAMILY, "version": "1.0.1", "min_version": "0.0.0", "files": [entry]}
    refuses(raw(fields, b"short"), "cut short")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", 2),
        ("version", "1.0"),
        ("version", "1.0.0; rm -rf /"),
        ("min_version", ""),
        ("family", ""),
        ("files", [{"path": "hal/a.py", "size": -1, "sha256": "0" * 64}]),
        ("files", [{"path": "hal/a.py", "size": 1, "sha256": "0" * 64, "link": "/etc/passwd"}]),
        ("files", [{"path": "hal/a.py", "size": 1, "sha256": "zz"}]),
        ("hooks", ["post-install.sh"]),
    ],
)
def test_manifest_has_no_other_fields(field: str, value: Any) -> None:
    fields = {"format": 1, "family": FAMILY, "version": "1.0.1", "min_version": "0.0.0", "files": []}
    with pytest.raises(ImageError):
        read(raw({**fields, field: value}))


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", b"BAYWATT\x02" + bytes(8), raw(b"not json"), raw(b"[" * 3000), raw(b'{"format":1}')],
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ImageError):
        read(data)


def test_nothing_may_follow_the_files() -> None:
    refuses(image() + b"#!/bin/sh", "bytes after the last file")
    signed = image() + embed(b"certificate", b"signature")
    assert read(signed) == FILES
    refuses(signed + b"x", "bytes after the signature")
    refuses(image() + embed(b"certificate", b"signature")[:-1], "cut short")


def test_embedded_signature_covers_what_is_before_it() -> None:
    reader = ImageReader(io.BytesIO(image() + embed(b"certificate", b"signature")))
    reader.check_files()
    embedded = reader.finish()
    assert embedded is not None
    assert (embedded.certificate, embedded.signature) == (b"certificate", b"signature")
    assert embedded.digest == hashlib.sha256(image()).digest()


def manifest(**fields: Any) -> Manifest:
    entries = [Entry(f"{folder}/__init__.py", 1, "0" * 64) for folder in TOP_LEVEL]
    return Manifest(
        **{"format": 1, "family": FAMILY, "version": "1.2.0", "min_version": "1.0.0", "files": entries, **fields}
    )


@pytest.mark.parametrize("running", ["1.0.0", "1.1.9", "1.2.0", "1.2.0-rc2"])
def test_newer_or_same_version_is_allowed(running: str) -> None:
    check_allowed(manifest(), family=FAMILY, running=running, rollback=False)


@pytest.mark.parametrize(
    ("running", "text"),
    [("1.2.1", "older"), ("2.0.0", "older"), ("0.9.9", "replaces only 1.0.0"), ("1.0.0-rc1", "only")],
)
def test_older_version_and_too_great_a_step_are_not(running: str, text: str) -> None:
    with pytest.raises(ImageError, match=text):
        check_allowed(manifest(), family=FAMILY, running=running, rollback=False)


def test_candidate_is_older_than_its_release() -> None:
    with pytest.raises(ImageError, match="older"):
        check_allowed(manifest(version="1.2.0-rc3"), family=FAMILY, running="1.2.0", rollback=False)


def test_older_version_only_where_the_product_allows_it() -> None:
    check_allowed(manifest(), family=FAMILY, running="1.3.0", rollback=True)


def test_image_for_another_family_is_not_allowed() -> None:
    with pytest.raises(ImageError, match="for OTHER"):
        check_allowed(manifest(family="OTHER"), family=FAMILY, running="1.0.0", rollback=True)


@pytest.mark.parametrize("folder", range(len(TOP_LEVEL)))
def test_image_without_a_top_level_folder_is_not_allowed(folder: int) -> None:
    """Python would import the missing folder from the running version, unnoticed."""
    files = manifest().files
    del files[folder]
    with pytest.raises(ImageError, match=f"no {TOP_LEVEL[folder]}/__init__.py"):
        check_allowed(manifest(files=files), family=FAMILY, running="1.0.0", rollback=True)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_reader_survives_anything(data: bytes) -> None:
    with contextlib.suppress(ImageError):
        read(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_reader_survives_any_damage_to_a_good_image(data: st.DataObject) -> None:
    good = image() + embed(b"c" * 20, b"s" * 20)
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=6))
        if not damaged:
            break
    try:
        files = read(bytes(damaged))
    except ImageError:
        return
    assert all(path.split("/")[0] in ("drivers", "firmware", "hal", "services") for path in files)
    assert all(".." not in path for path in files)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=20),
        lambda part: (
            st.lists(part, max_size=4)
            | st.dictionaries(
                st.sampled_from(["format", "family", "version", "min_version", "files", "path", "size", "sha256"]),
                part,
                max_size=8,
            )
        ),
        max_leaves=20,
    )
)
def test_reader_survives_any_manifest(fields: Any) -> None:
    with pytest.raises(ImageError):
        read(raw(msgspec.json.encode(fields)))
