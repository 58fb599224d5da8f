# SPDX-License-Identifier: Apache-2.0
"""The causes of a missing connection: two texts for each, and what may not be in them."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.contract import Offline
from firmware.contract.status import FailureKind
from firmware.factory_settings import NetworkProfile
from firmware.log import register_secret
from services.ocpp.no_connection import Cause, NoConnection, peer_text, place_of, plain

PAGE = Path("docs/connection-failures.md")


@pytest.mark.parametrize("cause", Cause)
def test_every_cause_has_a_text_for_the_engineer(cause: Cause) -> None:
    assert cause.kind in get_args(FailureKind)
    assert NoConnection(cause, 1, "csms.example:80", "detail").text


def test_each_cause_reads_differently() -> None:
    assert len({cause.for_engineer for cause in Cause}) == len(Cause)


def test_every_kind_has_a_cause() -> None:
    assert {cause.kind for cause in Cause} == set(get_args(FailureKind))
    assert {cause.for_driver for cause in Cause} == set(Offline) - {Offline.UNKNOWN}


def row(cause: Cause) -> str:
    """The start of the cause's row on the page."""
    text = NoConnection(cause, 1, "HOST:PORT", "…").text
    return f"| `{cause.kind}` | {text} | `{cause.for_driver.value}` |"


def test_the_page_has_a_row_for_each_cause_and_no_other() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    expected = [row(cause) for cause in Cause]
    assert [line[: len(start)] for line, start in zip(rows, expected, strict=True)] == expected
    assert [line for line, start in zip(rows, expected, strict=True) if len(line) < len(start) + 10] == []


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("ws://csms.example/ocpp", "csms.example:80"),
        ("wss://csms.example/ocpp", "csms.example:443"),
        ("wss://user:secret@csms.example:9000/ocpp?token=secret", "csms.example:9000"),
        ("ws://[::1]:9000/ocpp", "[::1]:9000"),
        ("ws://csms:99999/ocpp", "the URL"),
        ("ws://[::1/ocpp", "the URL"),
    ],
)
def test_the_place_is_host_and_port_alone(url: str, place: str) -> None:
    assert place_of(url) == place


def test_the_name_stands_without_its_port() -> None:
    failure = NoConnection.of(Cause.NAME, NetworkProfile(slot=1, url="ws://csms.example:9000/ocpp"), "not known")
    assert failure.text == "no address is found for the name csms.example: not known"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("card 04A1B2C3D4E580 refused", "card *** refused"),
        ("card 04a1b2c3", "card ***"),
        ("04:A1:B2:C3:D4:E5:80", "***"),
        ("DEABC12345678", "***"),
        ("DEADBEEF", "***"),
        ("ocpp1.6", "ocpp1.6"),
        ("unsupported subprotocol: ocpp2.1", "unsupported subprotocol: ocpp2.1"),
        ("station CP001 is unknown", "station CP001 is unknown"),
        ("Basic dXNlcjpwYXNzd29yZA==", "Basic ***"),
        ("password=hunter2", "password=***"),
        ("the-Secret-of-slot_1", "***"),
        ("{place} {0} %s", "{place} {0} %s"),
    ],
)
def test_what_a_peer_wrote_names_no_card_and_no_secret(text: str, shown: str) -> None:
    register_secret("the-Secret-of-slot_1")
    assert peer_text(text) == shown


def test_a_secret_is_hidden_before_the_text_is_cut() -> None:
    register_secret("a-secret-at-the-edge")
    assert "a-secret" not in plain("x" * 105 + " a-secret-at-the-edge")


@given(detail=st.text(max_size=2000))
def test_a_text_is_one_bounded_printable_line(detail: str) -> None:
    text = NoConnection(Cause.CLOSED, 1, "csms.example:80", detail).text
    assert text.isprintable()
    assert len(text) <= 600
    assert len(peer_text(detail)) <= 120
