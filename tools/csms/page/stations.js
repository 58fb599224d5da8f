// SPDX-License-Identifier: Apache-2.0
// The list of all stations, in pages, and the card of the chosen one.

import { $, ago, el, facts, pill, place } from "../look/dom.js";
import { faultList } from "./faults.js";
import { ask, Operation, Outcome, whyMute } from "./operations.js";

const REGISTRATION_TONE = { Accepted: "good", Pending: "warn", Rejected: "bad" };
const WIDE = new Set(["Security profile", "Certificate"]);
const PAGE = 24, SEARCHED = 9;
const IS = {
  "": () => true, connected: (line) => line.connected, offline: (line) => !line.connected,
  charging: (line) => line.charging > 0, fault: (line) => line.faults > 0 || line.statuses.includes("Faulted"),
};
const tabs = new Map();
let page = 0, choose = () => {};

export function watchStations(chooser, render) {
  choose = chooser;
  for (const id of ["stations-filter", "stations-state"]) $(id).addEventListener("input", () => { page = 0; render(); });
  const turn = (by) => el("button", { class: "quiet", textContent: by < 0 ? "Previous" : "Next", onclick: () => { page += by; render(); } });
  $("stations-pages").replaceChildren(turn(-1), el("span", { class: "muted" }), turn(1));
}

export function renderList(state) {
  const all = [...state.lines.values()];
  $("stations-card").hidden = all.length < 2;
  if (all.length < 2) return;
  $("stations-count").textContent = `${all.filter(IS.connected).length} of ${all.length} connected`;
  $("stations-search").hidden = all.length < SEARCHED;
  const text = $("stations-filter").value.trim().toLowerCase();
  const found = all.filter((line) => IS[$("stations-state").value](line) && line.id.toLowerCase().includes(text));
  found.sort((a, b) => (a.id < b.id ? -1 : 1));
  const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
  page = Math.min(Math.max(page, 0), last);
  place($("tabs"), found.slice(page * PAGE, (page + 1) * PAGE).map((line) => tab(line, state.chosen)));
  const [before, where, after] = $("stations-pages").children;
  $("stations-pages").hidden = !last;
  where.textContent = `page ${page + 1} of ${last + 1}`;
  before.disabled = page === 0;
  after.disabled = page === last;
}

function tab(line, chosen) {
  const signature = JSON.stringify([line, line.id === chosen]);
  const old = tabs.get(line.id);
  if (old?.signature === signature) return old.node;
  const node = old?.node ?? el("button", { onclick: () => choose(line.id) });
  node.ariaPressed = String(line.id === chosen);
  const words = [line.connected ? "connected" : "offline", ...line.statuses, line.charging ? "charging" : "", line.faults ? "fault" : ""];
  node.title = words.filter(Boolean).join(", ");
  node.replaceChildren(el("span", { class: line.connected ? "dot on" : "dot" }), line.id,
    ...(IS.fault(line) ? [pill("fault", "bad")] : line.charging ? [pill("charging", "info")] : []));
  tabs.set(line.id, { node, signature });
  return node;
}

export function forgetTabs() {
  tabs.clear();
  page = 0;
}

// The chosen station's card. Its nodes stay, so that a button keeps the focus while the texts change.
export class StationCard {
  constructor(state) {
    this.head = el("div", { class: "station-head" });
    this.body = el("div");
    const outcome = new Outcome();
    const available = (operationalStatus) => () => ask(state.chosen, "ChangeAvailability", { operationalStatus });
    this.out = new Operation("Take the station out of service", "", outcome, available("Inoperative"));
    this.back = new Operation("Put the station into service", "", outcome, available("Operative"));
    this.node = el("section", { class: "card" }, this.head, this.body, el("div", { class: "row" }, this.out.node, this.back.node), outcome.node);
  }

  update(station) {
    const pills = [pill(station.connected ? "connected" : "offline", station.connected ? "good" : "bad")];
    if (station.registration) pills.push(pill(station.registration, REGISTRATION_TONE[station.registration]));
    this.head.replaceChildren(el("h1", { textContent: station.id }), ...pills);
    this.body.replaceChildren(facts(shownFacts(station), WIDE), ...notices(station), ...faultList(station.faults.filter((fault) => fault.evse === null)));
    const mute = whyMute(station);
    const statuses = new Set(station.connectors.map((connector) => connector.status));
    const all = (status) => statuses.size === 1 && statuses.has(status);
    this.out.allow(mute || (all("Unavailable") ? "it is out of service already" : ""));
    this.back.allow(mute || (all("Available") ? "it is in service already" : ""));
  }
}

function shownFacts(station) {
  const boot = station.boot ?? {};
  return {
    Product: [boot.vendorName, boot.model].filter(Boolean).join(" ") || "–",
    Serial: boot.serialNumber ?? "–",
    Firmware: boot.firmwareVersion ?? "–",
    ...progress("Firmware update", station.firmware_status),
    ...progress("Log upload", station.log_status),
    "Last boot": station.boot_reason ?? "not seen",
    Address: station.remote ?? "–",
    [station.connected ? "Connected" : "Disconnected"]: ago(station.connected ? station.connected_since : station.disconnected_since),
    "Last message": ago(station.last_seen),
    "Security profile": [station.security_profile ?? "–", station.tls?.version, station.tls?.cipher].filter(Boolean).join(" · "),
    ...certificate(station.tls?.certificate),
  };
}

function progress(name, status) {
  const tone = /Fail|Invalid|Denied|Error|Bad|Rejected/i.test(status) ? "bad" : /^(Installed|Uploaded)$/.test(status) ? "good" : "info";
  return status ? { [name]: pill(status, tone) } : {};
}

function certificate(shown) {
  if (!shown) return {};
  const number = shown.serial_number.slice(0, 8).toLowerCase();
  return { Certificate: `${shown.common_name}, ${shown.organization} · number ${number}… · until ${shown.not_after.slice(0, 10)}` };
}

function notices(station) {
  const texts = [];
  const times = (count) => (count === 1 ? "once" : `${count} times`);
  if (station.replaced) texts.push(`A second connection with this identity replaced the first ${times(station.replaced)}: two stations with the same identity, or a half-open connection.`);
  if (station.malformed) texts.push(`${station.malformed} malformed ${station.malformed === 1 ? "frame" : "frames"} received: see the messages.`);
  return texts.map((text) => el("div", { class: "notice", textContent: text }));
}
