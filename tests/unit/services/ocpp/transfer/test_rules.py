# SPDX-License-Identifier: Apache-2.0
"""URLs that the station accepts, and those that it refuses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ocpp.transfer.rules import DEFAULT_RULES, Reach, Rules, TransferError, check_name, parse, redirected

HTTP_TOO = Rules(schemes=frozenset({"http", "https"}))


def test_a_url_with_everything() -> None:
    place = parse("HTTPS://user:p%40ss@Files.example:8443/logs/a%20b?sig=abc")
    assert (place.scheme, place.host, place.port) == ("https", "files.example", 8443)
    assert (place.user, place.password) == ("user", "p@ss")
    assert place.url == "https://files.example:8443/logs/a%20b?sig=abc"


def test_a_password_with_an_at_sign_as_in_the_specification() -> None:
    place = parse("https://username:password@d@csms.org/logs")  # N01.FR.17
    assert (place.host, place.password) == ("csms.org", "password@d")


def test_nothing_secret_is_in_its_text() -> None:
    place = parse("https://user:s3cret@files.example/logs?signature=s3cret")
    assert "s3cret" not in f"{place} {place!r}"
    assert str(place) == "https://files.example/logs"


@pytest.mark.parametrize(("requested", "kept"), [(-1, 1), (0, 1), (1, 1), (30, 30), (2**31 - 1, 86_400)])
def test_attempts_are_a_second_apart_at_least(requested: float, kept: float) -> None:
    assert DEFAULT_RULES.interval_s(requested) == kept


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/shadow",
        "http://files.example/x",
        "sftp://files.example/x",
        "gopher://files.example/x",
        "javascript:alert(1)",
        "//files.example/x",
        "files.example/x",
        "https:///x",
        "https://",
        "https://files.example:0/x",
        "https://files.example:99999/x",
        "https://files.example:x/x",
        "https://[::1/x",
        "https://[fe80::1%25eth0]/x",
        "https://-rf/x",
        "https://127.1/x",
        "https://2130706433/x",
        "https://127.0.0.01/x",
        "https://0x7f.1/x",
        "https://0x7f000001/x",
        "https://0/x",
        "https://127.0.0.1./x",
        "https://files.1/x",
        "https://files.example/a/../../etc/shadow",
        "https://files.example/%2e%2e/shadow",
        "https://files.example/..%5cshadow",
        "ftp://files.example/a%0d%0aDELE%20b",
        "ftp://me%0d%0aQUIT:x@files.example/a",
        "ftp://me:x%00y@files.example/a",
        "https://files.example/a b",
        "https://files.example/a\r\nX: y",
        "https://fil€s.example/",
        "https://files.example/" + "a" * 3000,
        "",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(TransferError) as caught:
        parse(url)
    assert caught.value.kind == "scheme"


def test_http_only_where_the_product_has_it() -> None:
    assert parse("http://files.example/x", HTTP_TOO).port == 80
    assert Rules.of(("HTTPS", "FTP"), ()).schemes == {"https", "ftp"}
    assert Rules.of(("HTTP", "SFTP"), ()).schemes == {"http"}  # SFTP: no code for it, so never accepted


@given(st.text(max_size=80) | st.from_regex(r"(https|ftp)://[ -~]{0,60}", fullmatch=True))
def test_any_text_is_accepted_or_refused(url: str) -> None:
    with contextlib.suppress(TransferError):
        place = parse(url)
        assert place.scheme in DEFAULT_RULES.schemes
        assert place.host
        assert 0 < place.port < 65536
        assert "\r" not in place.url
        assert parse(place.url).origin == place.origin


@given(st.text(max_size=60))
def test_a_redirect_to_any_text_stays_in_the_rules(location: str) -> None:
    start = parse("https://user:pw@files.example/x")
    with contextlib.suppress(TransferError):
        target = redirected(start, location, DEFAULT_RULES)
        assert target.scheme == "https"
        assert target.user is None or target.origin == start.origin


@pytest.mark.parametrize("location", ["file:///etc/shadow", "http://files.example/x", "ftp://files.example/x"])
def test_redirects_that_are_not_followed(location: str) -> None:
    rules = Rules(schemes=frozenset({"http", "https", "ftp"}))
    with pytest.raises(TransferError):
        redirected(parse("https://files.example/x", rules), location, rules)


def test_credentials_stay_with_their_origin() -> None:
    start = parse("https://user:pw@files.example/x")
    assert redirected(start, "/y", DEFAULT_RULES).password == "pw"
    assert redirected(start, "https://files.example:444/y", DEFAULT_RULES).password is None
    assert redirected(start, "https://other.example/y", DEFAULT_RULES).user is None


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "fe80::1%eth0", "224.0.0.1", "0.0.0.0", "::", "ff02::1", "::ffff:169.254.1.1", "nonsense"],
)
def test_addresses_that_are_never_allowed(address: str) -> None:
    assert not Reach(DEFAULT_RULES).allows(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_the_station_itself_only_on_a_bench(address: str) -> None:
    assert Reach(Rules.of(("HTTPS",), ["ws://localhost:9000/ocpp"])).allows(address)
    assert not Reach(Rules.of(("HTTPS",), ["wss://csms.example/ocpp"])).allows(address)


def test_a_redirect_never_leads_nearer() -> None:
    reach = Reach(DEFAULT_RULES)
    assert reach.allows("9.9.9.9")
    reach.redirect()
    assert not reach.allows("192.168.1.1")
    assert not reach.allows("127.0.0.1")
    assert reach.allows("1.1.1.1")


def test_from_one_private_address_to_another() -> None:
    reach = Reach(DEFAULT_RULES)
    assert reach.allows("192.168.1.1")
    reach.redirect()
    assert reach.allows("10.0.0.1")
    assert not reach.allows("127.0.0.1")


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a b", ".hidden", "-rf", "a\r\nDELE b", "a" * 300, "ü"])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ValueError):
        check_name(name)


def test_a_name_that_is_accepted() -> None:
    check_name("CP001-diagnostics-20261123T101500Z-7.tar.gz")
