# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.errors import ConfigError
from tools.fleet import scenario


@pytest.mark.parametrize("name", scenario.names())
def test_each_installed_scenario_is_good_and_says_what_it_does(name: str) -> None:
    found, product = scenario.load(name)
    assert found.description
    assert product.hardware.evse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[sessions]\narrival = 3", "sessions: unknown key arrival, expected one of arrival_s"),
        ("[sessions]\narrival_s = 0", "sessions.arrival_s: expected a number above 0 and at most 86400, got 0"),
        ("[sessions]\nshortest_s = 9\nlongest_s = 8", "sessions.longest_s: expected at least shortest_s, 9"),
        ('[sessions]\nid_tokens = ["4711"]', "sessions.id_tokens 1: expected a UID of 8, 14 or 20 digits"),
        ("[sessions]\nid_tokens = []", "sessions.id_tokens: expected a list of at least 1"),
        ('[stations]\nidentity = "FLEET"', "stations.identity: expected a text with {number}"),
        ('[stations]\nidentity = "A {number}"', "stations.identity: expected a text with {number}"),
        ('[stations]\nidentity = "{number:x"', "stations.identity: expected a text with {number}"),
        ('[stations]\nidentity = "{serial}"', "stations.identity: expected a text with {number}"),
        ('[stations]\nproduct = "none"', "stations.product: "),
        ("[stations]\nsecurity_profile = 3", "stations.security_profile: expected a whole number from 1 to 2, got 3"),
        ("[[outage]]\nlength_s = 3", "outage 1, at_s is missing, expected a number from 0 to 86400"),
        (
            "[[outage]]\nat_s = 10\nlength_s = 9\n[[outage]]\nat_s = 5\nlength_s = 6",
            "outage: the one at 10 s begins before the one before it has ended",
        ),
        ('[[variable]]\ncomponent = "None"\nvariable = "A"\nvalue = "1"', "None"),
        ("[sessions", "not TOML: "),
    ],
)
def test_a_bad_file_is_refused_with_file_key_and_what_is_expected(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        scenario.load(str(file))
    assert str(refused.value).startswith(f"{file}: ")
    assert expected in str(refused.value)


def test_an_unknown_name_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no scenario 'stedy': expected a file or one of .*steady"):
        scenario.load("stedy")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_a_share_takes_about_as_many_stations_evenly_spread(share: float) -> None:
    taken = [scenario.takes_part(number, share) for number in range(1, 501)]
    assert sum(taken) == pytest.approx(500 * share, abs=3)
    assert sum(taken[:250]) == pytest.approx(250 * share, abs=3)
