# SPDX-License-Identifier: Apache-2.0
"""What a person at a terminal reads after a mistake: one plain line, and the exit status."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.plain_words import assert_plain

FILES = {
    "identity.toml": 'identity = "CP 1"',
    "slot.toml": 'identity = "CP1"\n[[network_profile]]\nslot = 100\nurl = "ws://a"',
    "url.toml": 'identity = "CP1"\n[[network_profile]]\nslot = 1\nurl = "http://a"',
    "password.toml": 'identity = "CP1"\nbasic_auth_password = 1234567890123456',
    "key.toml": 'identity = "CP1"\ncolour = "red"',
    "broken.toml": 'identity = "CP1"\n[a.b]\n[a.b]\n',
    "member.toml": 'identity = "CP1"\n[[variable]]\ncomponent = "TxCtrlr"\nvariable = "TxStartPoint"\nvalue = "Coffee"',
    "product.toml": 'extends = "c7am-400-cc"\n[limits]\nnetwork_slots = "six"',
    "other.toml": 'identity = "CP1"\nproduct = "./product.toml"',
    "passwords.toml": "CP1 = 7",
    "binary": "\x00",
}
CASES = {
    "rig up --state new --station identity.toml": "identity: expected 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .",
    "rig up --state new --station slot.toml": "network_profile 1, slot: expected a whole number from 1 to 99, got 100",
    "rig up --state new --station url.toml": "expected a ws:// or wss:// URL without user, query or fragment",
    "rig up --state new --station password.toml": "basic_auth_password: expected a text, got a whole number",
    "rig up --state new --station key.toml": "unknown key colour, expected one of identity, product",
    "rig up --state new --station broken.toml": "cannot declare a.b twice (at line 3, column 5)",
    "rig up --state new --station member.toml": "'Coffee' is no member, expected members separated by commas, each",
    "rig up --state new --station other.toml": "limits.network_slots: expected a whole number of at least ",
    "rig up --state new --station none.toml": "none.toml: No such file or directory",
    "rig up": "the following arguments are required: --state",
    "rig up --state new --log-level LOUD": "invalid choice: 'LOUD'",
    "rig plug one": "argument evse: expected a whole number, got 'one'",
    "rig plug 1 --soc nan": "argument --soc: expected a number, got 'nan'",
    "rig plug 1": "no rig at .run/rig/control.sock: No such file or directory",
    "rig op {": "not JSON: it ends too early",
    "rig op []": "expected an object, got an empty list",
    "rig fly": "invalid choice: 'fly'",
    "rig fault door": "argument CODE: invalid choice: 'door' (choose from 'emergency_stop', 'ground_fault', ",
    "csms up --host 192.0.2.7 --port 0": "--host 192.0.2.7: this machine does not have that address",
    "conformance --report binary": "--report binary: File exists",
    "conformance --report binary/below": "--report binary/below: Not a directory",
    "completion fish": "argument shell: invalid choice: 'fish'",
    "csms up --port many": "argument --port: expected a whole number, got 'many'",
    "csms up --port 70000": "--port must be 0 to 65535, not 70000",
    "csms up --passwords passwords.toml": "passwords.toml: CP1: the password must be a string",
    "csms up --passwords broken.toml": "broken.toml: not TOML: cannot declare a.b twice (at line 3, column 5)",
    "csms up --passwords none.toml": "none.toml: No such file or directory",
    "csms call CP1 Reset {": "the payload is not a JSON object: not JSON: it ends too early",
    "csms call CP1 Reset {} --timeout soon": "argument --timeout: expected a number, got 'soon'",
    "csms stations --url http://127.0.0.1:1": "no bench CSMS answers at http://127.0.0.1:1: Connection refused",
    "csms stations --url nowhere": "expected a URL like http://127.0.0.1:9000",
    "csms stations --url http://127.0.0.1:port": "expected a URL like http://127.0.0.1:9000",
    "csms messages --limit few": "argument --limit: expected a whole number, got 'few'",
    "conformance --jobs no": "argument --jobs: expected a whole number of at least 1, got 'no'",
    "conformance --jobs 0": "argument --jobs: expected a whole number of at least 1, got '0'",
    "conformance --patience 0": "argument --patience: expected a number above 0, got '0'",
    "conformance --listen here": "argument --listen: expected HOST:PORT, not 'here'",
    "conformance --station-file identity.toml": "identity: expected 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .",
    "conformance --cases TC_X_99_CS --list": "no case matches TC_X_99_CS",
    "image verify --root binary binary": "the image is cut short",
    "image sign --certificate binary --key binary binary": "the signing certificate can't be read",
    "image build --product toaster out": "not a checkout: it has no firmware/version.py",
    "image build --checkout new --version x out": "new is not a checkout",
    "image verify --root none none": "none: No such file or directory",
    "brew": "baywatt: no such verb: brew",
}


@pytest.mark.parametrize("line", CASES)
def test_a_mistake_is_answered_with_one_plain_line(tmp_path: Path, line: str) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-P", "-m", "tools.cli", *line.split()]
    environment = {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode in (1, 2, 3)
    assert CASES[line] in done.stderr
    (said,) = [text for text in done.stderr.splitlines() if text]
    assert_plain(said)
