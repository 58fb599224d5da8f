# SPDX-License-Identifier: Apache-2.0
"""Users by name."""

from __future__ import annotations

import pytest

from firmware.errors import ConfigError
from firmware.users import gid_of, uids_of


def test_uids_of_names() -> None:
    assert uids_of(["root", "root"], "hal.toml") == {0}
    assert uids_of([], "hal.toml") == frozenset()


def test_gid_of_a_name() -> None:
    assert gid_of("root") == 0
    assert gid_of("somebodys-group") is None
    assert gid_of("") is None


def test_a_user_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"hal\.toml: there is no user somebody-else on this machine"):
        uids_of(["root", "somebody-else"], "hal.toml")
