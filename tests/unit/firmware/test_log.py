# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware import log

LOGGER = logging.getLogger("tests.log")
KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIabc\nsecretbytes\n-----END EC PRIVATE KEY-----"
BASIC = base64.b64encode(b"CP001:0123456789abcdef").decode()


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the root logger; meanwhile the handler under test is its only one."""
    root = logging.getLogger()
    handlers, level, raising = root.handlers[:], root.level, logging.raiseExceptions
    quiet = {name: logging.getLogger(name).level for name in ("aioftp", "aiohttp", "asyncio", "websockets")}
    monkeypatch.setattr(log, "_secrets", [])
    root.handlers[:] = []
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raising
    for name, old in quiet.items():
        logging.getLogger(name).setLevel(old)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    log.setup("DEBUG", tmp_path / "log" / "hal.log", max_bytes=2_000)
    return tmp_path / "log" / "hal.log"


def test_one_line_a_record_in_utc(file: Path) -> None:
    LOGGER.info("EVSE %d is %s", 1, "idle")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO tests\.log: EVSE 1 is idle\n", file.read_text())
    assert file.stat().st_mode & 0o007 == 0


def test_to_standard_error_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("WARNING")
    LOGGER.info("not this")
    LOGGER.warning("but this")
    assert capsys.readouterr().err.endswith("WARNING tests.log: but this\n")


def test_a_second_set_up_replaces_the_first(file: Path, tmp_path: Path) -> None:
    log.setup("INFO", tmp_path / "other.log")
    LOGGER.info("hello")
    assert file.exists() is False
    assert (tmp_path / "other.log").read_text().count("hello") == 1


def test_libraries_do_not_log_frames(file: Path) -> None:
    logging.getLogger("websockets.client").debug("> authorization")
    LOGGER.debug("ours")
    assert "authorization" not in file.read_text()


# --- bounds -------------------------------------------------------------------------------------------


def test_two_files_of_bounded_size_hold_the_newest_lines(file: Path) -> None:
    for number in range(200):
        LOGGER.info("line %d", number)
    older = file.with_name("hal.log.1")
    assert sorted(path.name for path in file.parent.iterdir()) == ["hal.log", "hal.log.1"]
    assert 0 < file.stat().st_size <= 2_000
    assert 1_000 < older.stat().st_size <= 2_000
    numbers = [int(line.rsplit(" ", 1)[1]) for line in (older.read_text() + file.read_text()).splitlines()]
    assert numbers == list(range(numbers[0], 200))


def test_a_new_process_appends(file: Path) -> None:
    LOGGER.info("before")
    log.setup("INFO", file, max_bytes=2_000)
    LOGGER.info("after")
    assert [line.split()[-1] for line in file.read_text().splitlines()] == ["before", "after"]


def test_a_long_text_is_cut(tmp_path: Path) -> None:
    log.setup("INFO", tmp_path / "l")
    LOGGER.info("%s", "x" * 100_000)
    assert len((tmp_path / "l").read_text()) < log.MAX_LINE_CHARS + 200
    assert "(100000 characters)" in (tmp_path / "l").read_text()


def test_a_full_disk_costs_lines_and_nothing_else(
    file: Path, full_disk: Callable[[int], AbstractContextManager[None]], capsys: pytest.CaptureFixture[str]
) -> None:
    with full_disk(0):
        for _ in range(3):
            LOGGER.error("lost")
    LOGGER.error("there is room again")
    assert re.fullmatch(r"\(3 lines lost before this\)\n\S+ ERROR tests\.log: there is room again\n", file.read_text())
    assert capsys.readouterr().err == ""


def test_a_directory_that_can_not_be_made_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log.setup("INFO", tmp_path / "file" / "hal.log")
    LOGGER.error("lost")


def test_a_wrong_log_call_raises_nothing(file: Path) -> None:
    LOGGER.info("%d", "no number")
    assert "can't be formatted" in file.read_text()


# --- what may not be in a log -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"GET / Authorization: Basic {BASIC}", BASIC),
        (f"INFO services.ocpp.blocks.authorization: Authorization: Digest {BASIC}", BASIC),
        (f"2026-11-28T14:14:17.000Z INFO services.ocpp.csms.link: Authorization: Digest {BASIC}", BASIC),
        (f"2026-11-28T14:14:17.000Z INFO authorization: {BASIC}", BASIC),
        (f"sent services.ocpp.blocks.authorization: {BASIC}", BASIC),
        (f"{{'Authorization': 'Basic {BASIC}', 'Host': 'x'}}", BASIC),
        (f"('Authorization', 'Bearer {BASIC}')", BASIC),
        ('authorization: Digest username="u", response="6629fae49393a05397450978507c4ef1"', "6629fae"),
        (f"sent Basic {BASIC} to the proxy", BASIC),
        ("ftp://user:hunter22@files.example.com/x", "hunter22"),
        (f"key is {KEY} so", "secretbytes"),
        (f"key is {KEY!r} so", "secretbytes"),
        (KEY[:60], "MHcC"),
        ("password=hunter22", "hunter22"),
        ("Password: 'hunter22, and more'", "and more"),
        ('{"BasicAuthPassword": "hunter22"}', "hunter22"),
        ('{"idToken":"04AABBCC","type":"ISO14443"}', "04AABBCC"),
        ('{"idToken":{"idToken":"04AABBCC","type":"ISO14443"}}', "04AABBCC"),
        ("token = abcdef0123", "abcdef0123"),
        ("api_key=abcdef&x=1", "abcdef"),
        ("client_secret: abcdef", "abcdef"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    assert secret not in log.redact(text)
    assert "***" in log.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "profile 1 is basic authentication over TLS",
        "connected to wss://csms.example.com:443/ocpp/CP001",
        "the password was changed",
        "INFO services.ocpp.blocks.authorization: card: accepted (EVSE 1)",
        "2026-11-28T14:14:17.000Z INFO services.ocpp.blocks.authorization: card: accepted\n"
        "2026-11-28T14:14:17.001Z WARNING hal.authorization: no reader\n",
        "EVSE 1: phase charging, 400.0 V, 12:30:00",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    ],
)
def test_the_rest_is_not(text: str) -> None:
    assert log.redact(text) == text


def test_what_is_around_a_secret_stays() -> None:
    assert log.redact("user=me password=hunter22, host=x") == "user=me password=***, host=x"
    assert log.redact("ftp://me:hunter22@host/x") == "ftp://me:***@host/x"


def test_registered_secrets_are_hidden_everywhere(file: Path) -> None:
    log.register_secret("correct horse")
    log.register_secret("correct horse battery")
    log.register_secret("abc")
    LOGGER.info("%s", ["abc", "correct horse battery", "xcorrect horsex"])
    assert file.read_text().endswith(": ['abc', '***', 'x***x']\n")


def test_a_bounded_number_of_secrets_is_kept() -> None:
    for number in range(100):
        log.register_secret(f"secret-number-{number:03d}")
    assert log.redact("secret-number-099 secret-number-036") == "*** ***"
    assert log.redact("secret-number-035") == "secret-number-035"


def test_tracebacks_are_redacted_too(file: Path) -> None:
    log.register_secret("hunter22")
    try:
        raise ValueError(f"hunter22 {KEY}")
    except ValueError:
        LOGGER.exception("failed with password=%s", "swordfish")
    text = file.read_text()
    assert "ValueError" in text
    assert not any(secret in text for secret in ("hunter22", "secretbytes", "swordfish"))


def test_a_remote_text_forges_no_line(file: Path) -> None:
    LOGGER.info("said %s", "hi\n2026-01-01T00:00:00.000Z ERROR hal: forged\r\x1b[2J")
    text = file.read_text()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert r"\n2026" in text


@pytest.mark.parametrize(
    "piece",
    [
        "a-",
        "password",
        "token ",
        "://a:",
        "basic ",
        "-----BEGIN PRIVATE KEY",
        "Basic A",
        "'",
        "\nINFO a.",
        "\nx INFO a.b.c",
    ],
)
def test_hostile_text_takes_little_time(piece: str) -> None:
    text = (piece * log.MAX_LINE_CHARS)[: log.MAX_LINE_CHARS]
    started = time.process_time()
    log.redact(text)
    assert time.process_time() - started < 1.0


@given(st.text(max_size=200))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = log.redact(text)
    assert log.redact(once) == once
