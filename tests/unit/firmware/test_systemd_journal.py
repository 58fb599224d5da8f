# SPDX-License-Identifier: Apache-2.0
"""Records of systemd's journal: who gets them, with which fields, and what happens without it."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware import log
from firmware.log import fields
from firmware.message_ids import MessageId
from firmware.systemd_journal import find_journal
from firmware.trouble import Trouble

OPERATIONS = Path(__file__).parents[3] / "docs" / "operations.md"


class Journal:
    """In place of `systemd.journal.send`."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.gone: Exception | None = None

    def send(self, message: str, **fields: Any) -> None:
        if self.gone is not None:
            raise self.gone
        self.records.append({"MESSAGE": message, **fields})


@pytest.fixture
def journal() -> Iterator[Journal]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    raises = logging.raiseExceptions
    journal = Journal()
    log.setup("DEBUG", identifier="baywatt-test", journal=journal.send)
    yield journal
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.raiseExceptions = raises


LOGGER = logging.getLogger("drivers.test")


# --- records ----------------------------------------------------------------------------------------------------


def test_a_record_has_its_fields(journal: Journal) -> None:
    LOGGER.warning("fault %s", "door_open", extra=fields(evse=2, message_id=MessageId.FAULT_RAISED))
    (record,) = journal.records
    assert record.pop("CODE_LINE") > 0
    assert Path(record.pop("CODE_FILE")).name == Path(__file__).name
    assert record == {
        "MESSAGE": "fault door_open",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "baywatt-test",
        "LOGGER": "drivers.test",
        "CODE_FUNC": "test_a_record_has_its_fields",
        "EVSE": "2",
        "MESSAGE_ID": MessageId.FAULT_RAISED.value,
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3"), (logging.CRITICAL, "2")],
)
def test_priorities_are_those_of_syslog(journal: Journal, level: int, priority: str) -> None:
    LOGGER.log(level, "hello")
    assert journal.records[0]["PRIORITY"] == priority


def test_fields_of_an_adapter(journal: Journal) -> None:
    logging.LoggerAdapter(LOGGER, fields(evse=1, transaction="T-1")).info("charging")
    assert (journal.records[0]["EVSE"], journal.records[0]["TRANSACTION"]) == ("1", "T-1")


def test_a_trouble_names_its_device(journal: Journal) -> None:
    trouble = Trouble(LOGGER, "Modbus line /dev/ttyS1", device="/dev/ttyS1")
    trouble.failed(OSError("no answer"))
    trouble.worked()
    assert [(each["DEVICE"], each["MESSAGE_ID"]) for each in journal.records] == [
        ("/dev/ttyS1", MessageId.DEVICE_LOST.value),
        ("/dev/ttyS1", MessageId.DEVICE_BACK.value),
    ]


def test_secrets_and_control_characters_are_in_no_field(journal: Journal) -> None:
    log.register_secret("correct-horse-battery")
    LOGGER.info("it is %s\nPRIORITY=0", "correct-horse-battery", extra=fields(device="correct-horse-battery"))
    record = journal.records[0]
    assert record["MESSAGE"] == "it is ***\\nPRIORITY=0"
    assert record["DEVICE"] == "***"
    assert "correct-horse" not in str(record)


def test_a_traceback_is_part_of_the_message(journal: Journal) -> None:
    try:
        raise ZeroDivisionError("inside")
    except ZeroDivisionError:
        LOGGER.exception("failed")
    assert "ZeroDivisionError: inside" in journal.records[0]["MESSAGE"]


def test_text_that_is_no_unicode(journal: Journal) -> None:
    root = logging.getLogger()
    for handler in root.handlers[:]:
        if type(handler).__module__.startswith("_pytest."):  # its report, which quotes the log, must be Unicode
            root.removeHandler(handler)
    LOGGER.info("name %s", "\udcff", extra=fields(device="\udcff"))
    assert journal.records[0]["MESSAGE"] == journal.records[0]["DEVICE"].join(["name ", ""]) == "name \\udcff"


# --- without it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(2, "No such file or directory"), ValueError("field"), RuntimeError("?")])
def test_a_journal_that_is_gone_costs_a_field_and_no_line(
    capsys: pytest.CaptureFixture[str], journal: Journal, error: Exception
) -> None:
    log.setup("INFO", journal=journal.send)  # with the standard error of this phase of the test
    journal.gone = error
    LOGGER.info("still %s", "here")
    journal.gone = None
    LOGGER.info("and back")
    assert capsys.readouterr().err == "still here\n"
    assert [each["MESSAGE"] for each in journal.records] == ["and back"]


def test_a_file_gets_the_lines_too(journal: Journal, tmp_path: Path) -> None:
    log.setup("INFO", tmp_path / "hal.log", journal=journal.send)
    LOGGER.info("twice")
    assert "twice" in (tmp_path / "hal.log").read_text()
    assert journal.records[-1]["MESSAGE"] == "twice"


# --- who logs to it ---------------------------------------------------------------------------------------------


@pytest.fixture
def stream(tmp_path: Path) -> Iterator[int]:
    """A standard error that systemd could have made."""
    reading, writing = os.pipe()
    yield writing
    os.close(reading)
    os.close(writing)


def stream_of(descriptor: int) -> str:
    status = os.fstat(descriptor)
    return f"{status.st_dev}:{status.st_ino}"


def test_standard_error_that_is_the_journals(stream: int) -> None:
    assert find_journal({"JOURNAL_STREAM": stream_of(stream)}, stderr=stream) is not None


def test_a_service_without_standard_error() -> None:
    with open(os.devnull, "w") as nothing:
        assert find_journal({"INVOCATION_ID": "1"}, stderr=nothing.fileno()) is not None
        assert find_journal({}, stderr=nothing.fileno()) is None


@pytest.mark.parametrize(
    "environment", [{}, {"JOURNAL_STREAM": "1:2"}, {"JOURNAL_STREAM": "?"}, {"INVOCATION_ID": "1"}]
)
def test_a_standard_error_of_somebodys_choice(stream: int, environment: dict[str, str]) -> None:
    """A terminal of a desktop has inherited INVOCATION_ID; what runs in it logs to the terminal."""
    assert find_journal(environment, stderr=stream) is None


def test_a_standard_error_that_is_closed() -> None:
    assert find_journal({"JOURNAL_STREAM": "1:2"}, stderr=1 << 20) is None


def test_without_the_library(stream: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "systemd", None)
    assert find_journal({"JOURNAL_STREAM": stream_of(stream)}, stderr=stream) is None


def test_the_library_is_not_loaded_elsewhere() -> None:
    code = "import sys; from firmware import log, lifecycle; log.setup(); print('systemd' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# --- systemd's own socket ---------------------------------------------------------------------------------------

WRITER = """
    import logging, os, socket
    os.makedirs("/run/systemd/journal")
    journald = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    journald.bind("/run/systemd/journal/socket")
    from firmware import log
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    log.setup("INFO", identifier="baywatt-test")
    logging.getLogger("hal").info("hello", extra=log.fields(evse=1))
    print(journald.recv(65536).decode())
    os.unlink("/run/systemd/journal/socket")
    logging.getLogger("hal").info("nobody listens")
    print("and the process runs on")
"""


def test_a_record_arrives_at_journalds_socket() -> None:
    """In a namespace of its own, where /run is empty: the library knows no other path of the socket."""
    command = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /run && exec "$0" "$@"']
    if (
        shutil.which("unshare") is None
        or subprocess.run([*command, "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs root and namespaces")
    done = subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(WRITER)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    lines = done.stdout.split("\n")
    for expected in ("MESSAGE=hello", "PRIORITY=6", "SYSLOG_IDENTIFIER=baywatt-test", "EVSE=1", "LOGGER=hal"):
        assert expected in lines
    assert "and the process runs on" in lines


# --- the ids ----------------------------------------------------------------------------------------------------


def test_every_message_id_is_a_number_of_its_own_and_in_the_docs() -> None:
    page = OPERATIONS.read_text(encoding="utf-8")
    for each in MessageId:
        assert len(bytes.fromhex(each.value)) == 16
        assert f"`{each.value}`" in page, each.name
    assert len(set(MessageId)) == len(MessageId.__members__)
