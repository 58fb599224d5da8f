// SPDX-License-Identifier: Apache-2.0
// The faults that a station has reported, with their ChargeX codes (Minimum Required Error Codes) in words.

import { dayAndClock, el } from "../look/dom.js";

const CODES = {
  CX001: "the connector's lock failed", CX002: "ground fault", CX003: "too hot", CX004: "too much current",
  CX005: "voltage too high", CX006: "voltage too low", CX007: "weak signal of the reader", CX008: "emergency stop",
  CX009: "authorisation took too long", CX010: "the vehicle is in a state that it may not be in", CX011: "cable check failed",
  CX012: "pre-charge failed", CX013: "no connection to the network", CX014: "pilot fault", CX015: "no power from the grid or the modules",
  CX016: "the vehicle's contactor failed", CX017: "the station's contactor failed", CX018: "less power: the cable is warm",
  CX019: "stopped: the cable is too hot", CX020: "the plug is not fully in", CX021: "capacitance fault", CX022: "insulation fault",
  CX023: "proximity fault", CX024: "voltage at the connector too high", CX025: "broken latch", CX026: "the cable is cut",
};

// Elements; none without a fault.
export function faultList(faults) {
  if (!faults.length) return [];
  return [el("ul", { class: "faults" }, ...faults.map((fault) => el("li", {},
    el("b", { textContent: [fault.code, CODES[fault.code]].filter(Boolean).join(" ") || "fault" }),
    ` ${[fault.component, fault.detail].filter(Boolean).join(": ")}`, el("small", { textContent: ` since ${dayAndClock(fault.since)}` }))))];
}
