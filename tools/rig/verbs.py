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

from firmware.contract.faults import Fault
from firmware.type_words import decode_json
from tools.arguments import number, whole
from tools.rig import message_log
from tools.rig.client import RigClient, RigGone, RigRefused
from tools.rig.summary import summary
from tools.running import controls

__all__ = ["add_verbs", "run"]

Request = tuple[str, dict[str, Any]]
_FAULTS = [fault.value for fault in Fault]
_OUTCOME_S = 10.0


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
        parser.add_argument("code", metavar="CODE", choices=_FAULTS, help=f"one of {', '.join(_FAULTS)}")
        parser.add_argument("--evse", type=whole, help="default: the station's, or that of every EVSE")
    network = verb("network", "change the network to the CSMS", _network)
    network.add_argument("mode", choices=["up", "down", "refuse", "blackhole", "close"])
    network.add_argument("--interface")
    power = verb("power", "switch the mains", lambda args: (f"power_{args.mode}", {}))
    power.add_argument("mode", choices=["on", "off", "cycle"])
    verb("reboot", "press the board's reset button", lambda args: ("reboot", {}))
    kill = verb("kill", "kill one process", lambda args: ("process", {"kill": args.process}))
    kill.add_argument("process", choices=["hal", "ocpp", "commissioning"])
    for name, purpose in (("state", "print the state of the station"), ("watch", "print events as they come")):
        parser = verb(name, purpose, lambda args: ("state" if args.verb == "state" else "subscribe", {}))
        parser.add_argument("--json", action="store_true", help="everything, as JSON")
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
        return asyncio.run(_talk(control, args, name, fields))
    except RigRefused as error:
        print(f"baywatt rig {args.verb}: {error}", file=sys.stderr)
        return 1
    except FileNotFoundError as error:
        print(f"baywatt rig {args.verb}: no file {error.filename}", file=sys.stderr)
        return 2
    except RigGone as error:
        print(f"baywatt rig {args.verb}: no rig at {error}{_elsewhere(control)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 0


def _elsewhere(control: Path) -> str:
    """Where rigs do run, and how to name one; or how to start one."""
    others = [str(path) for path in controls() if path.absolute() != control.absolute()]
    return f"; running: --control {' or '.join(others)}" if others else " (`make run` or `baywatt rig up` starts one)"


async def _talk(control: Path, args: argparse.Namespace, name: str, fields: dict[str, Any]) -> int:
    as_json = getattr(args, "json", False)
    async with await RigClient.connect(control) as rig:
        if name == "subscribe":
            rig.on_event(lambda event: _print_event(event, as_json=as_json))
            await rig.subscribe()
            await rig.ended()
        elif args.verb == "card":
            await rig.subscribe()
            await rig.op(name, **fields)
            print(await _outcome(rig, fields["uid"]))
        else:
            answer = await rig.op(name, **fields)
            if "state" in answer:
                state = answer["state"]
                print(summary(state) if args.verb == "state" and not as_json else _json(state))
    return 0


async def _outcome(rig: RigClient, uid: str) -> str:
    """What the station made of the card: `04A1: started`."""
    try:
        event = await rig.wait("card", timeout_s=_OUTCOME_S)
    except TimeoutError:
        return f"{uid}: nothing within {_OUTCOME_S:g} s; see `baywatt rig state`, and whether the CSMS answers"
    return f"{event['uid'] or uid}: {event['outcome']}"


def _print_event(event: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(event, ensure_ascii=False), flush=True)
        return
    fields = (f"{name} {value}" for name, value in event.items() if name not in ("event", "t") and value is not None)
    print(f"{event['t']:12.3f} {event['event']:<16} {', '.join(fields)}", flush=True)


def _json(data: object) -> str:
    return json.dumps(data, indent=2, ensure_ascii=False)
