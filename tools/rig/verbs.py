# SPDX-License-Identifier: Apache-2.0
"""`baywatt rig plug 1` and the like: the operations of the control socket as commands."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firmware.type_words import decode_json
from tools.arguments import number, whole
from tools.rig import message_log
from tools.rig.client import RigClient, RigGone, RigRefused

__all__ = ["add_verbs", "run"]

Request = tuple[str, dict[str, Any]]


def add_verbs(verbs: argparse._SubParsersAction[Any], control: argparse.ArgumentParser) -> None:
    """Add a parser for every verb; each sets `request`, a function from its options to an operation."""

    def verb(name: str, purpose: str, request: Callable[[argparse.Namespace], Request]) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = verbs.add_parser(name, help=purpose, parents=[control])
        parser.set_defaults(request=request)
        return parser

    _evse(verb("plug", "cable into a car", _plug)).add_argument("--soc", type=number, help="state of charge in %%")
    _evse(verb("unplug", "cable out of the car", _unplug)).add_argument("--force", action="store_true")
    card = verb("card", "hold a card to the reader", _card)
    card.add_argument("uid", help="hexadecimal")
    card.add_argument("--evse", type=whole, help="touch this EVSE's display first")
    _evse(verb("select", "touch an EVSE's display", lambda args: ("select_evse", {"evse": args.evse})))
    _evse(verb("stop", "press stop on an EVSE's display", lambda args: ("press_stop", {"evse": args.evse})))
    for name, purpose in (("fault", "raise a hardware fault"), ("clear", "clear a hardware fault")):
        parser = verb(name, purpose, _fault)
        parser.add_argument("code")
        parser.add_argument("--evse", type=whole)
    network = verb("network", "change the network to the CSMS", _network)
    network.add_argument("mode", choices=["up", "down", "refuse", "blackhole", "close"])
    network.add_argument("--interface")
    power = verb("power", "switch the mains", lambda args: (f"power_{args.mode}", {}))
    power.add_argument("mode", choices=["on", "off", "cycle"])
    verb("reboot", "press the board's reset button", lambda args: ("reboot", {}))
    kill = verb("kill", "kill one process", lambda args: ("process", {"kill": args.process}))
    kill.add_argument("process", choices=["hal", "ocpp", "commissioning"])
    verb("state", "print the state of the station", lambda args: ("state", {}))
    verb("watch", "print events as they come", lambda args: ("subscribe", {}))
    log = verb("log", "print the messages between station and CSMS", lambda args: ("state", {}))
    log.add_argument("--ocpp", action="store_true", required=True, help="the message log")
    log.add_argument("--follow", action="store_true", help="continue with what is written from now on")
    log.add_argument("--json", action="store_true", help="the lines as they are in the file")
    log.add_argument("--file", type=Path, metavar="PATH", help="read this file, for instance of a diagnostics archive")
    verb("op", "any operation, as JSON", _any).add_argument("json")


def _evse(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("evse", type=whole)
    return parser


def _plug(args: argparse.Namespace) -> Request:
    car = {} if args.soc is None else {"car": {"soc_percent": args.soc}}
    return "plug_in", {"evse": args.evse, **car}


def _unplug(args: argparse.Namespace) -> Request:
    return "plug_out", {"evse": args.evse, "force": args.force}


def _with_evse(args: argparse.Namespace, **fields: Any) -> dict[str, Any]:
    return fields if args.evse is None else {**fields, "evse": args.evse}


def _card(args: argparse.Namespace) -> Request:
    return "present_card", _with_evse(args, uid=args.uid)


def _fault(args: argparse.Namespace) -> Request:
    return "fault" if args.verb == "fault" else "clear_fault", _with_evse(args, code=args.code)


def _network(args: argparse.Namespace) -> Request:
    interface = {} if args.interface is None else {"interface": args.interface}
    return "network", {"mode": args.mode, **interface}


def _any(args: argparse.Namespace) -> Request:
    fields = decode_json(os.fsencode(args.json), dict[str, Any])
    if not isinstance(fields.get("op"), str):
        raise ValueError('an operation looks like {"op": "plug_in", "evse": 1}')
    fields.pop("id", None)
    return fields.pop("op"), fields


def run(args: argparse.Namespace, control: Path) -> int:
    """Carry out the verb. Returns 0, 1 if the rig refused, 2 if there is no rig or an argument is wrong."""
    try:
        name, fields = args.request(args)
    except ValueError as error:
        print(f"baywatt rig {args.verb}: {error}", file=sys.stderr)
        return 2
    try:
        if args.verb == "log":
            asyncio.run(message_log.show(control, args.file, follow=args.follow, as_json=args.json))
            return 0
        return asyncio.run(_talk(control, name, fields))
    except RigRefused as error:
        print(f"baywatt rig {args.verb}: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"baywatt rig {args.verb}: no file {error.filename}", file=sys.stderr)
        return 2
    except RigGone as error:
        print(f"baywatt rig {args.verb}: no rig at {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, BrokenPipeError):
        return 0


async def _talk(control: Path, name: str, fields: dict[str, Any]) -> int:
    async with await RigClient.connect(control) as rig:
        if name == "subscribe":
            rig.on_event(lambda event: print(json.dumps(event, ensure_ascii=False), flush=True))
            await rig.subscribe()
            await rig.ended()
            return 0
        answer = await rig.op(name, **fields)
        if "state" in answer:
            print(json.dumps(answer["state"], indent=2, ensure_ascii=False))
        return 0
