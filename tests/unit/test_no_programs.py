# SPDX-License-Identifier: Apache-2.0
"""The code on a charger starts no other program and runs no text as code: commands can't be injected."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("firmware", "hal", "drivers", "services")
_MODULES = {"subprocess", "pty", "pickle", "marshal", "shelve", "code", "runpy"}
_CALLS = {"eval", "exec", "compile", "__import__"}
_OF_OS = {"system", "popen", "fork", "forkpty", "posix_spawn", "posix_spawnp", "startfile"}
_EXEC = re.compile(r"(exec|spawn)[lv]p?e?")
_OF_ASYNCIO = {"create_subprocess_exec", "create_subprocess_shell", "subprocess_exec", "subprocess_shell"}


def starts(source: str) -> Iterator[str]:
    """Yield each way in which a module's source could start a program or run text as code."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import():
                yield from (name.name for name in node.names if name.name.split(".")[0] in _MODULES)
            case ast.ImportFrom() if (node.module or "").split(".")[0] in _MODULES:
                yield str(node.module)
            case ast.Call(func=ast.Name(id=name)) if name in _CALLS:
                yield name
            case ast.Attribute(attr=name) if name in _OF_OS | _OF_ASYNCIO or _EXEC.fullmatch(name):
                yield name


def test_nothing_on_a_charger_starts_a_program() -> None:
    found = {
        str(path): list(names)
        for package in PACKAGES
        for path in sorted(Path(package).rglob("*.py"))
        if (names := list(starts(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize(
    "source",
    [
        "import subprocess",
        "from subprocess import run",
        "import os; os.system('x')",
        "import os; os.execv('x', [])",
        "await loop.subprocess_shell(x, 'y')",
        "eval('1')",
        "import pickle",
    ],
)
def test_each_way_is_found(source: str) -> None:
    assert list(starts(f"async def f(loop, x):\n    {source}"))
