# SPDX-License-Identifier: Apache-2.0
"""Writes `services/ocpp/messages.py`: the OCPP 2.0.1 messages as TypedDicts, from the JSON schemas of package `ocpp`.

    python -m tools.generate.messages           write the file
    python -m tools.generate.messages --check   exit 1 if the committed file is not what would be written

Only names, types and cardinalities are taken over, no text of the specification. An enumeration or a class that
several schemas define has one definition here; the generator stops if two schemas disagree about one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from services.ocpp.rpc.validation import schema_folder

__all__ = ["load_schemas", "main", "render", "schema_folder", "shared_definitions"]

TARGET: Final = Path(__file__).parents[2] / "services" / "ocpp" / "messages.py"
_WIDTH: Final = 120
_SCALARS: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}

_HEAD: Final = '''# SPDX-License-Identifier: Apache-2.0
"""OCPP 2.0.1 messages as TypedDicts with the specification's own keys; written by `tools/generate/messages.py`.

Enumerations and `Action` are real `Literal`s. Messages and classes are TypedDicts for type checkers only: at run time
each of their names is `dict` (`StatusInfoType(reasonCode="...")` makes one), because building them all would add
20 to 30 ms to the start. What came over the wire is checked by `services.ocpp.rpc.validation`, not by these types.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

'''

_RUNTIME: Final = """else:

    def __getattr__(name: str) -> Any:
        if name in _CLASSES:
            return dict
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
"""

Schema = dict[str, Any]


def load_schemas(folder: Path) -> dict[str, Schema]:
    """Name of the message (`AuthorizeRequest`) -> schema, in order of the names."""
    return {
        path.stem: msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        for path in sorted(folder.glob("*.json"))
    }


def shared_definitions(schemas: dict[str, Schema]) -> dict[str, Schema]:
    """Every definition of every schema once, by name; raises `ValueError` where two schemas differ."""
    found: dict[str, Schema] = {}
    for message, schema in schemas.items():
        for name, definition in schema.get("definitions", {}).items():
            shape = _shape(definition)
            if found.setdefault(name, shape) != shape:
                raise ValueError(f"{message} has another {name} than the schemas before it")
    return dict(sorted(found.items()))


def _shape(schema: Schema) -> Schema:
    """What decides the type: names, kinds and cardinality, without texts and limits."""
    if "enum" in schema:
        return {"enum": schema["enum"]}
    properties = {name: _annotation(value) for name, value in schema["properties"].items()}
    return {"properties": properties, "required": sorted(schema.get("required", ()))}


def _annotation(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix("#/definitions/")
    kind = schema.get("type")
    if kind is None:
        return "Any"
    if kind == "array":
        return f"list[{_annotation(schema['items'])}]"
    return _SCALARS[kind]


def _alias(name: str, values: list[str]) -> list[str]:
    line = f"{name}: TypeAlias = Literal[{', '.join(_quoted(value) for value in values)}]"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{name}: TypeAlias = Literal[", *(f"    {_quoted(value)}," for value in values), "]"]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _typed_dict(name: str, shape: Schema) -> list[str]:
    lines = [f"class {name}(TypedDict):"]
    for key, annotation in sorted(shape["properties"].items(), key=lambda item: item[0] not in shape["required"]):
        if key not in shape["required"]:
            annotation = f"NotRequired[{annotation}]"
        lines.append(f"    {key}: {annotation}")
    return lines


def _frozenset(name: str, values: list[str]) -> list[str]:
    return [f"{name}: Final = frozenset(", "    {", *(f"        {_quoted(value)}," for value in values), "    }", ")"]


def render(folder: Path) -> str:
    """The whole text of the module, for the schemas in `folder`."""
    schemas = load_schemas(folder)
    definitions = shared_definitions(schemas)
    actions = sorted(name.removesuffix("Request") for name in schemas if name.endswith("Request"))
    lines = [*_alias("Action", actions), "", "ACTIONS: Final[frozenset[str]] = frozenset(get_args(Action))", ""]
    for name, shape in definitions.items():
        if "enum" in shape:
            lines += _alias(name, shape["enum"])
    classes = {name: shape for name, shape in definitions.items() if "enum" not in shape}
    classes |= {name: _shape(schema) for name, schema in schemas.items()}
    lines += ["", *_frozenset("_CLASSES", list(classes)), "", *_typing_block(classes)]
    return _HEAD + "\n".join(lines) + "\n" + _RUNTIME


def _typing_block(classes: dict[str, Schema]) -> list[str]:
    lines = ["from typing import NotRequired, TypedDict"]
    for name, shape in classes.items():
        lines += ["", *_typed_dict(name, shape)]
    return ["if TYPE_CHECKING:", *(f"    {line}" if line else "" for line in lines), ""]


def main(arguments: list[str] | None = None) -> int:
    """The command line; 1 if `--check` found a difference."""
    parser = argparse.ArgumentParser(prog="generate", description="write services/ocpp/messages.py")
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(arguments)
    text = render(schema_folder())
    if not options.check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    return int(TARGET.read_text(encoding="utf-8") != text)


if __name__ == "__main__":
    sys.exit(main())
