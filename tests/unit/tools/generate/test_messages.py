# SPDX-License-Identifier: Apache-2.0
"""The committed messages are the generator's output, and agree with the schemas."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from services.ocpp import messages
from tools.generate import messages as generate


def test_the_committed_file_is_the_output_of_the_generator() -> None:
    assert generate.TARGET.read_text(encoding="utf-8") == generate.render(generate.schema_folder())


def test_every_schema_has_a_name() -> None:
    for name in generate.load_schemas(generate.schema_folder()):
        assert getattr(messages, name) is dict
        assert name.removesuffix("Request").removesuffix("Response") in messages.ACTIONS


def test_there_are_sixty_four_actions() -> None:
    assert len(messages.ACTIONS) == 64
    assert frozenset(get_args(messages.Action)) == messages.ACTIONS


def test_enumerations_keep_their_values() -> None:
    assert get_args(messages.RegistrationStatusEnumType) == ("Accepted", "Pending", "Rejected")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchRequest"):
        getattr(messages, "NoSuch" + "Request")


def test_contradictory_schemas_are_an_error() -> None:
    one = {"definitions": {"T": {"enum": ["A"]}}}
    other = {"definitions": {"T": {"enum": ["A", "B"]}}}
    with pytest.raises(ValueError, match="another T"):
        generate.shared_definitions({"X": one, "Y": other})


def test_no_text_of_the_specification_is_copied(tmp_path: Path) -> None:
    (tmp_path / "PingRequest.json").write_bytes(
        b'\xef\xbb\xbf{"properties": {"status": {"type": "string", "description": "SECRET"},'
        b' "list": {"type": "array", "items": {"type": "integer"}}}, "required": ["status"]}'
    )
    text = generate.render(tmp_path)
    assert "SECRET" not in text
    assert "        status: str\n        list: NotRequired[list[int]]\n" in text


def test_check_compares(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stale = tmp_path / "messages.py"
    stale.write_text("old", encoding="utf-8")
    monkeypatch.setattr(generate, "TARGET", stale)
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
