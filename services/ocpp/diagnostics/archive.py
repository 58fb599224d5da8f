# SPDX-License-Identifier: Apache-2.0
"""The files of a log upload: the diagnostics archive, and the security log as one file (N01).

The archive is a tar.gz of the log files of all processes, of the message log, and of the documents that the block has
made (device model, versions, state). Only regular files of the log folder are read, without following links: at most
the last `MAX_FILE_BYTES` of each, and `MAX_BYTES` together. Secrets, which should not be there, are replaced once more;
in the message log only those that are known by their value, so that its lines remain JSON.

These functions block: call them in a thread.
"""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import msgspec

from firmware.log import redact

if TYPE_CHECKING:
    from services.ocpp.diagnostics.period import Period

__all__ = ["MAX_BYTES", "MAX_FILE_BYTES", "write_diagnostics", "write_security_log"]

MAX_FILE_BYTES: Final = 2 * 1024 * 1024
MAX_BYTES: Final = 16 * 1024 * 1024
"""Before compression, which leaves about a tenth."""
_LOG_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,40}\.log(?:\.[0-9])?")
_STAMP: Final = re.compile(r'(?:\{"time":")?(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)')
_SECURITY_STAMP: Final = re.compile(r'"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)')
_LEAST_SECRET_CHARS: Final = 4
_BLOCK_LINES: Final = 500


def write_diagnostics(
    target: Path,
    folder: Path | None,
    documents: Mapping[str, Any],
    *,
    messages: Collection[Path],
    secrets: Iterable[str],
    period: Period,
) -> None:
    """Write the archive to `target` (mode 0600); `documents` become JSON files, `messages` are those of the message
    log. Raises `OSError`."""
    hidden = _hidden(secrets)
    left = MAX_BYTES
    with _create(target) as file, tarfile.open(fileobj=file, mode="w:gz", compresslevel=6) as archive:
        for name, content in documents.items():
            data = msgspec.json.format(msgspec.json.encode(content), indent=1).decode()
            left -= _add(archive, f"{name}.json", _clean(data, hidden).encode()[:left])
        for path in (*_log_files(folder), *filter(_is_file, messages)):
            clean = _without_secrets if path in messages else _clean
            lines = _tail(path, min(MAX_FILE_BYTES, left))
            text = "".join(clean(block, hidden) for block in _blocks(lines, period))
            left -= _add(archive, f"log/{path.name}", text.encode(errors="replace")[:left])


def write_security_log(target: Path, files: Iterable[Path], *, period: Period) -> None:
    """Write the lines of the period, oldest first and unchanged, so that their hashes hold. Raises `OSError`."""
    with _create(target) as out:
        for path in files:
            for line in path.read_bytes().splitlines(keepends=True):
                stamp = _SECURITY_STAMP.search(line.decode(errors="replace"))
                if stamp is None or period.admits(stamp[1]):
                    out.write(line)


def _create(target: Path) -> Any:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(target, flags, 0o600), "wb")


def _log_files(folder: Path | None) -> list[Path]:
    if folder is None or not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _LOG_NAME.fullmatch(path.name) and _is_file(path)]


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _tail(path: Path, limit: int) -> list[str]:
    """The last whole lines of at most `limit` bytes."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return [f"(can't be read: {error.strerror})\n"]
    with os.fdopen(descriptor, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - limit))
        lines = file.read(limit).decode(errors="replace").splitlines(keepends=True)
    return lines[1:] if size > limit else lines


def _blocks(lines: list[str], period: Period) -> Iterator[str]:
    """The lines of the period, in blocks. A line without a stamp belongs to the one before it (a traceback)."""
    included = True
    kept: list[str] = []
    for line in lines:
        if stamp := _STAMP.match(line):
            included = period.admits(stamp[1])
        if included:
            kept.append(line)
        if len(kept) >= _BLOCK_LINES:
            yield "".join(kept)
            kept.clear()
    yield "".join(kept)


def _hidden(secrets: Iterable[str]) -> list[str]:
    """Each secret as JSON, Python and URLs write it, too; the longest first, so that no end of one is left over."""
    forms = {
        form
        for secret in secrets
        if len(secret) >= _LEAST_SECRET_CHARS
        for form in (secret, *(made[1:-1] for made in (json.dumps(secret), _json(secret), repr(secret))), quote(secret))
    }
    return sorted(forms, key=len, reverse=True)


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _clean(text: str, hidden: list[str]) -> str:
    return redact(_without_secrets(text, hidden))


def _without_secrets(text: str, hidden: list[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> int:
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    entry.mode = 0o600
    archive.addfile(entry, io.BytesIO(data))
    return len(data)
