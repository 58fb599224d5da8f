# SPDX-License-Identifier: Apache-2.0
"""The command `baywatt`: finds the module of the verb and passes it the remaining arguments.

Each verb is a module with `main(argv: list[str]) -> int` and `parser()`, imported only when it is used, so that no verb
waits for another's imports. Verbs that are not installed are not listed.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec

__all__ = ["VERBS", "main"]

VERBS = {
    "rig": ("tools.rig.cli", "a simulated station, its EV drivers, cars and surroundings"),
    "cockpit": ("tools.cockpit.cli", "a page of a running rig: its displays, cars, cards, faults, charts and messages"),
    "csms": ("tools.csms.cli", "a bench CSMS to connect stations to"),
    "conformance": ("tools.conformance.cli", "the test cases of OCPP 2.0.1 part 6 that apply to the product"),
    "fleet": ("tools.fleet.cli", "many stations at once, to see what a CSMS carries"),
    "image": ("tools.image.cli", "firmware images for the board"),
    "doctor": ("tools.doctor", "what is installed, what runs where, which ports it uses"),
    "completion": ("tools.completion", "what makes a shell complete verbs and options"),
}
"""Verb -> module, purpose."""


def main(argv: list[str] | None = None) -> int:
    """Runs one verb; returns its exit status, or 2 if there is no such verb."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage())
        return 0
    verb, *rest = arguments
    if verb == "--version":
        print(_version())
        return 0
    if verb not in VERBS or not _is_installed(verb):
        print(f"baywatt: no such verb: {verb} (`baywatt --help` lists them)", file=sys.stderr)
        return 2
    try:
        exit_code: int = import_module(VERBS[verb][0]).main(rest)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended: nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    return exit_code


def _usage() -> str:
    lines = [f"  {verb:<12} {purpose}" for verb, (_, purpose) in VERBS.items() if _is_installed(verb)]
    return "\n".join(["usage: baywatt VERB ... (`baywatt VERB --help` for more)", "", *lines, "", "  --version"])


def _is_installed(verb: str) -> bool:
    try:
        return find_spec(VERBS[verb][0]) is not None
    except ModuleNotFoundError:  # its package is missing, too
        return False


def _version() -> str:
    from importlib.metadata import version  # takes as long to import as everything else

    return f"baywatt {version('baywatt')}"


if __name__ == "__main__":
    sys.exit(main())
