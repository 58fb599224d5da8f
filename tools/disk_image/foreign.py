# SPDX-License-Identifier: Apache-2.0
"""Programs of another architecture run on this machine while its root is made: QEMU's user emulation, by binfmt_misc.

The registration holds for the whole machine, and is removed again by whoever made it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.disk_image.host import ImageError, need, run
from tools.package.libraries import MACHINES, native

__all__ = ["foreign_programs"]

_KERNEL = Path("/proc/sys/fs/binfmt_misc")
_RULES = Path("/usr/lib/binfmt.d")


@contextmanager
def foreign_programs(architecture: str) -> Iterator[None]:
    """While it is open, programs of this architecture (Debian's name) run here. Raises `ImageError`."""
    if architecture == native():
        yield
        return
    name = f"qemu-{MACHINES[architecture]}"
    rule = _RULES / f"{name}.conf"
    need({str(rule): "qemu-user-static", "arch-test": "arch-test"}, what=f"a root for {architecture}")
    try:
        if not (_KERNEL / "register").exists():
            run(["mount", "-t", "binfmt_misc", "binfmt_misc", _KERNEL])
        ours = not (_KERNEL / name).exists()
        if ours:
            (_KERNEL / "register").write_text(rule.read_text().strip())
    except (ImageError, OSError) as error:
        raise ImageError(f"this machine can't run programs for {architecture} (binfmt_misc): {error}") from error
    try:
        yield
    finally:
        if ours:
            (_KERNEL / name).write_text("-1")
