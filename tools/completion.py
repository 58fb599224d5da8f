# SPDX-License-Identifier: Apache-2.0
"""`baywatt completion`: prints what makes a shell complete verbs, options and choices.

    eval "$(.venv/bin/baywatt completion bash)"       # or zsh

The words are read from the parsers of the verbs once, when the script is made.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from importlib import import_module

from tools.arguments import Parser

__all__ = ["main", "parser", "words"]

_SCRIPT = """\
_baywatt() {{
    local word path= words
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        case "$word" in -*) ;; *) path="${{path:+$path }}$word" ;; esac
    done
    while :; do
        case "$path" in
{cases}
        esac
        path="${{path% *}}"
    done
    COMPREPLY=($(compgen -o default -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _baywatt baywatt
"""


def parser() -> Parser:
    found = Parser(prog="baywatt completion", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("shell", choices=["bash", "zsh"])
    return found


def main(argv: Sequence[str] | None = None) -> int:
    shell = parser().parse_args(argv).shell
    known = words()
    cases = [f'            "{path}") words="{" ".join(known[path])}"; break ;;' for path in known if path]
    cases += [f'            *" "*) ;;\n            *) words="{" ".join(known[""])}"; break ;;']
    if shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    print(_SCRIPT.format(cases="\n".join(cases)), end="")
    return 0


def words() -> dict[str, list[str]]:
    """What may follow a path of verbs: `""` for the verbs of `baywatt`, `"rig plug"` for that verb's options."""
    from tools.cli import VERBS

    known = {"": [*VERBS, "--help", "--version"]}
    for verb, (module, _purpose) in VERBS.items():
        known |= dict(_below(verb, import_module(module).parser()))
    return known


def _below(path: str, found: argparse.ArgumentParser) -> Iterator[tuple[str, list[str]]]:
    own: list[str] = []
    for action in found._actions:
        if isinstance(action, argparse._SubParsersAction):
            own += action.choices
            for name, inner in action.choices.items():
                yield from _below(f"{path} {name}", inner)
        elif action.help is not argparse.SUPPRESS:
            own += action.option_strings or [str(choice) for choice in action.choices or ()]
    yield path, own
