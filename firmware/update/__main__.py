# SPDX-License-Identifier: Apache-2.0
"""`python -m firmware.update DIRECTORY`: the boot loader's step for a slot directory, once for each boot.

Prints the tree that this boot runs (`DIRECTORY/current` points to it), or nothing if that is the factory's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from firmware.update.slot_directory import SlotDirectory


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m firmware.update DIRECTORY", file=sys.stderr)
        return 2
    tree = SlotDirectory(Path(arguments[0])).select()
    if tree is not None:
        print(tree)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
