# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from drivers.net.kernel import default_interface, is_up

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"


@pytest.mark.parametrize(
    ("interface", "operstate", "up"),
    [
        ("eth0", "up\n", True),
        ("eth0", "down\n", False),
        ("eth0", "lowerlayerdown\n", False),
        ("eth0", "unknown\n", False),
        ("wwan0", "unknown\n", True),
        ("ppp0", "unknown\n", True),
        ("wwan0", "down\n", False),
        ("eth0", "", False),
    ],
)
def test_operstate(tmp_path: Path, interface: str, operstate: str, up: bool) -> None:
    (tmp_path / interface).mkdir()
    (tmp_path / interface / "operstate").write_text(operstate)
    assert is_up(interface, tmp_path) is up


def test_an_interface_that_is_not_there(tmp_path: Path) -> None:
    assert not is_up("wwan0", tmp_path)
    assert not is_up("", tmp_path)


@pytest.mark.parametrize(
    ("rows", "interface"),
    [
        ("eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", "eth0"),
        (
            "wwan0\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n"
            "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n",
            "eth0",
        ),
        (
            "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
            "wwan0\t00000000\t00000000\t0001\t0\t0\t700\t00000000\t0\t0\t0\n",
            "wwan0",
        ),
        ("eth0\t00000000\t0101A8C0\t0002\t0\t0\t100\t00000000\t0\t0\t0\n", None),
        ("eth0 00000000\n\n", None),
        ("", None),
    ],
)
def test_the_default_route_of_the_lowest_metric(tmp_path: Path, rows: str, interface: str | None) -> None:
    (tmp_path / "route").write_text(HEAD + rows)
    assert default_interface(tmp_path / "route") == interface


def test_no_routes_at_all(tmp_path: Path) -> None:
    assert default_interface(tmp_path / "route") is None


def test_this_machine_answers() -> None:
    assert not is_up("no-such-interface", Path("/sys/class/net"))
    default_interface(Path("/proc/net/route"))
