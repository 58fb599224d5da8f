# SPDX-License-Identifier: Apache-2.0
"""A full disk: a limit on file sizes (RLIMIT_FSIZE) in a child process; each write beyond it fails with EFBIG."""

from __future__ import annotations

import os
import resource
import traceback
from collections.abc import Callable

__all__ = ["full", "in_child"]


def full(is_full: bool) -> None:
    """Only in a child: the limit holds for the whole process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0 if is_full else resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def in_child(test: Callable[[], None]) -> None:
    """Run `test` in a process of its own; its traceback is the assertion's text."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            try:
                test()
            except BaseException:
                full(False)
                os.write(writer, traceback.format_exc().encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as lines:
        problem = lines.read()
    os.waitpid(child, 0)
    assert not problem, problem
