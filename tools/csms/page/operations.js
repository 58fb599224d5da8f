// SPDX-License-Identifier: Apache-2.0
// Requests to the chosen station: which can be sent now, and what its answer means in words.

import { api, el, pill } from "../look/dom.js";

export const newId = () => Math.floor(Date.now() / 1000) % 1000000;

// By action and status; what is not here is shown as the station says it.
const WORDS = {
  RequestStartTransaction: { Accepted: "the station starts a transaction; without a cable it waits for one", Rejected: "the station starts nothing" },
  RequestStopTransaction: { Accepted: "the station stops the transaction", Rejected: "the station does not stop it" },
  UnlockConnector: {
    Unlocked: "the connector is unlocked", UnlockFailed: "the connector is not unlocked",
    OngoingAuthorizedTransaction: "not unlocked: a transaction is going on", UnknownConnector: "the station has no such connector",
  },
  ChangeAvailability: { Accepted: "it is so now", Scheduled: "it will be so when the transaction is over", Rejected: "nothing changes" },
  GetBaseReport: {
    Accepted: "the report is on its way", Rejected: "the station reports nothing now",
    NotSupported: "the station has no such report", EmptyResultSet: "the report would be empty",
  },
  GetMonitoringReport: {
    Accepted: "the report is on its way", Rejected: "the station reports nothing now",
    NotSupported: "the station has no such report", EmptyResultSet: "nothing is monitored",
  },
  InstallCertificate: { Accepted: "it is installed", Rejected: "the certificate is not accepted", Failed: "it could not be installed" },
  DeleteCertificate: { Accepted: "it is deleted", Failed: "it could not be deleted", NotFound: "there is no such certificate" },
  TriggerMessage: { Accepted: "the message follows", Rejected: "the message will not come", NotImplemented: "the station has no such message" },
  SetVariables: {
    Accepted: "set", RebootRequired: "set, and in force after a restart", Rejected: "not set",
    UnknownComponent: "the station has no such component", UnknownVariable: "the station has no such variable",
    NotSupportedAttributeType: "the station has no such attribute",
  },
};
const GOOD = new Set(["Accepted", "Unlocked", "Scheduled", "RebootRequired"]);

// {good, text} of a status with its StatusInfo.
export function inWords(action, status, info) {
  const reason = [info?.reasonCode, info?.additionalInfo].filter(Boolean).join(": ");
  const words = [WORDS[action]?.[status], reason].filter(Boolean).join(" · ");
  return { good: GOOD.has(status), text: words ? `${status}: ${words}` : status };
}

// Sends a request; the outcome is {good, text} and, if there was one, the payload of the answer as `result`.
export async function ask(station, action, payload) {
  try {
    const answer = await api(`/api/stations/${encodeURIComponent(station)}/call`, { method: "POST", body: { action, payload } });
    const error = answer.call_error;
    if (error) return { good: false, text: `refused with ${error.code}${error.description ? `: ${error.description}` : ""}` };
    if (answer.problem) return { good: false, text: `the answer breaks its schema: ${answer.problem}`, result: answer.result };
    const { status, statusInfo } = answer.result;
    return { ...(status ? inWords(action, status, statusInfo) : { good: true, text: "answered" }), result: answer.result };
  } catch (error) {
    return { good: false, text: error.message };
  }
}

// Why nothing can be sent to the station now, or "".
export function whyMute(station) {
  if (!station) return "no station is chosen";
  if (!station.connected) return "the station is offline";
  return station.registration === "Rejected" ? "the station was rejected at its boot: it is sent nothing" : "";
}

// Where the outcome of a button is shown.
export class Outcome {
  constructor() {
    this.node = el("p", { class: "outcome", role: "status", hidden: true });
  }

  show(name, { good, text }) {
    this.node.hidden = false;
    this.node.replaceChildren(pill(name, good ? "good" : "bad"), ` ${text}`);
  }
}

// A button that, while it can't work, says why when it is pressed (and to a pointer that rests on it): it keeps its place
// in the order of the keyboard. `act` returns an outcome.
export class Operation {
  constructor(name, label, outcome, act) {
    Object.assign(this, { name, outcome, act, why: "", busy: false });
    this.node = el("button", { type: "button", textContent: name, onclick: () => this.press() });
    if (label) this.node.setAttribute("aria-label", label);
  }

  allow(why) {
    this.why = why;
    this.node.title = why;
    if (why) this.node.setAttribute("aria-disabled", "true");
    else this.node.removeAttribute("aria-disabled");
  }

  async press() {
    if (this.busy) return;
    if (this.why) return this.outcome.show(this.name, { good: false, text: `not possible: ${this.why}` });
    this.busy = true;
    this.outcome.show(this.name, { good: true, text: "asked; no answer yet" });
    try {
      const outcome = await this.act();
      if (outcome) this.outcome.show(this.name, outcome);
    } finally {
      this.busy = false;
    }
  }
}
