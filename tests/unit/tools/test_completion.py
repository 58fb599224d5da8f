# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess

import pytest

from tools import completion


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["baywatt", "con"], "conformance"),
        (["baywatt", "rig", "unp"], "unplug"),
        (["baywatt", "rig", "fault", "door"], "door_open"),
        (["baywatt", "rig", "plug", "1", "--s"], "--soc"),
        (["baywatt", "csms", "tokens", "s"], "set"),
        (["baywatt", "csms", "up", "--security"], "--security-profile"),
        (["baywatt", "completion", "z"], "zsh"),
    ],
)
def test_bash_completes(typed: list[str], offered: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion.main(["bash"]) == 0
    script = capsys.readouterr().out
    asked = f'COMP_WORDS=({" ".join(typed)}); COMP_CWORD={len(typed) - 1}; _baywatt; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(["bash", "-c", script + asked], capture_output=True, text=True, timeout=20, check=True)
    assert (done.stdout.strip(), done.stderr) == (offered, "")


def test_every_verb_has_its_words() -> None:
    known = completion.words()
    assert {path.split()[0] for path in known if path} == set(known[""]) - {"--help", "--version"}
