# SPDX-License-Identifier: Apache-2.0
"""A machine with the libraries of the bench alone: those of hardware can't be imported by any process."""

from __future__ import annotations

import os
import re
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.support.rig import ROOT

__all__ = ["HARDWARE", "bench_alone"]

_LOCKS = ROOT / "packaging" / "locks"
_SITE = """\
import os, pathlib, sys


class _Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)


sys.meta_path.insert(0, _Missing())
pathlib.Path({folder!r}, f"started-{{os.getpid()}}").touch()
"""
"""Python imports it at its start, from the first place of its path that has one."""


def _locked(name: str) -> set[str]:
    lines = (_LOCKS / f"{name}.txt").read_text().splitlines()
    return {found[1].lower() for line in lines if (found := re.match(r"([\w.-]+)==", line))}


def _imports() -> set[str]:
    """The modules of what only the device's lock has, as far as it is installed here."""
    only = _locked("device") - _locked("bench")
    return {module for module, names in packages_distributions().items() if {each.lower() for each in names} & only}


HARDWARE = frozenset(_imports())


def bench_alone(folder: Path) -> dict[str, str]:
    """An environment for processes that find none of them; each writes a file `started-PID` into the folder."""
    (folder / "sitecustomize.py").write_text(_SITE.format(names=set(HARDWARE), folder=str(folder)))
    return {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
