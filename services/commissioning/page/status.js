// SPDX-License-Identifier: Apache-2.0
// The state of the station at a glance.

import { ago, cell, el, facts, fixed, pill, scroller, span, table } from "../look/dom.js";
import { get } from "./api.js";

const TONES = {
  Available: "good", Occupied: "info", Reserved: "warn", Unavailable: "warn", Faulted: "bad",
  Accepted: "good", Pending: "warn", Rejected: "bad",
};
const SOON_DAYS = 30;

export function show(place, page) {
  const csms = el("section", { class: "card" }), evses = el("div", { class: "columns" }), others = el("div", { class: "columns" }), devices = el("div");
  const certificates = el("section", { class: "card" });
  place.append(csms, evses, devices, others, certificates);
  const draw = (status) => {
    if (selecting(place)) return;
    csms.replaceChildren(...csmsParts(status));
    evses.replaceChildren(...status.evses.map(evseCard));
    devices.replaceChildren(devicesCard(status));
    others.replaceChildren(linksCard(status), boardCard(status), versionsCard(status));
  };
  page.on("status", draw);
  if (page.status) draw(page.status);
  showCertificates(certificates, page);
}

// Text that somebody is selecting must not be redrawn.
function selecting(place) {
  const selection = document.getSelection();
  return !selection.isCollapsed && place.contains(selection.anchorNode);
}

function csmsParts({ csms, service, hal, faults }) {
  const pills = csms ? [pill(csms.connected ? "connected" : "not connected", csms.connected ? "good" : "bad")] : [];
  if (csms?.registration) pills.push(pill(csms.registration, TONES[csms.registration]));
  const parts = [el("h2", {}, "CSMS ", ...pills)];
  if (csms) {
    const { slot, security_profile, last_contact_s, last_failure } = csms;
    parts.push(facts({
      "Configuration slot": slot ?? "–", "Security profile": security_profile ?? "–", Interface: csms.interface ?? "–",
      "Messages in the queue": csms.queued_messages, "Last contact": last_contact_s === null ? "none yet" : `${span(last_contact_s)} ago`,
    }));
    if (last_failure) parts.push(el("div", { class: csms.connected ? "past" : "notice", textContent: `${csms.connected ? "Last failure" : "No connection"}, ${ago(last_failure.time)}: ${last_failure.text}` }));
  }
  if (!service) parts.push(el("div", { class: "notice", textContent: "The OCPP service does not answer: it starts, or has stopped. Its log says why." }));
  if (!hal) parts.push(el("div", { class: "notice", textContent: "The HAL does not answer: no energy can flow. Its log says why." }));
  if (faults.length) parts.push(el("div", { class: "notice bad", textContent: `Faults of the station: ${faults.map(words).join(", ")}` }));
  return parts;
}

const words = (name) => name.replaceAll("_", " ");
const unit = (value, digits, name, scale = 1) => (value === null || value === undefined ? "–" : `${fixed(value / scale, digits)} ${name}`);
const yes = (value, [on, off]) => (value === null ? "–" : value ? on : off);

function evseCard(evse) {
  const head = el("h2", {}, `EVSE ${evse.evse} `, pill(evse.status ?? "unknown", TONES[evse.status]), " ", pill(words(evse.phase ?? "no HAL"), evse.phase === "charging" ? "good" : ""));
  const parts = [head, facts({
    Plug: evse.plugged ? yes(evse.locked, ["in the car, locked", "in the car"]) : yes(evse.plugged, ["", "not plugged in"]),
    Contactors: yes(evse.contactor_closed, ["closed", "open"]), Availability: evse.availability ?? "–",
    Voltage: unit(evse.voltage_v, 1, "V"), Current: unit(evse.current_a, 1, "A"), Power: unit(evse.power_w, 1, "kW", 1000),
    Offered: unit(evse.offered_w, 1, "kW", 1000), "Meter register": unit(evse.energy_wh, 3, "kWh", 1000), "Car’s charge": unit(evse.soc_percent, 0, "%"),
    Transaction: evse.transaction_id ? `${evse.charging_state ?? "running"}` : "none",
  })];
  if (evse.faults.length) parts.push(el("div", { class: "notice bad", textContent: `Faults: ${evse.faults.map(words).join(", ")}` }));
  return el("section", { class: "card" }, ...parts);
}

export const linkTable = (links) => table([["Interface"], ["State"], [""]], linkRows(links));

function linkRows(links) {
  return links.map(({ interface: name, up, details }) => el("tr", {}, cell(name), cell(pill(up ? "up" : "down", up ? "good" : "bad")),
    cell([details.device, details.operator, details.signal_percent !== undefined && details.signal_percent !== null ? `${details.signal_percent} %` : null, details.default ? "default route" : null].filter(Boolean).join(", ") || "–", "wrap")));
}

function linksCard({ links, clock, screens }) {
  const rows = linkRows(links);
  for (const { screen, page } of screens) rows.push(el("tr", {}, cell(`Display ${screen}`), cell(pill("on", "good")), cell(`shows ${words(page)}`)));
  const time = clock ? `${clock.utc.slice(0, 19).replace("T", " ")} UTC` : "–";
  return el("section", { class: "card" }, el("h2", { textContent: "Links and displays" }),
    scroller("Links and displays", table([["Device"], ["State"], [""]], rows)),
    facts({ Clock: time, "Set by": clock ? (clock.synchronised ? "a time server" : clock.is_set ? "the board" : "nobody: it is not set") : "–" }));
}

// In two columns where there is room: a cabinet has many.
function devicesCard({ devices }) {
  const rows = devices.map(({ name, ok, text }) => el("tr", {}, cell(words(name).replace("evse", "EVSE")), cell(pill(ok ? "ok" : "fault", ok ? "good" : "bad")), cell(text, "wrap")));
  const half = Math.ceil(rows.length / 2);
  const parts = [rows.slice(0, half), rows.slice(half)].filter((part) => part.length);
  return el("section", { class: "card" }, el("h2", { textContent: "Devices" }),
    parts.length ? scroller("Devices", el("div", { class: "columns" }, ...parts.map((part) => table([["Device"], ["Health"], [""]], part)))) : el("p", { class: "empty", textContent: "The HAL does not answer." }));
}

const megabytes = (bytes) => (bytes > 4e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`);

function boardCard({ machine }) {
  const used = (total, available) => (total ? 100 * (1 - available / total) : null);
  return el("section", { class: "card" }, el("h2", { textContent: "Controller board" }),
    gauge("Processor", machine.cpu_percent, `${fixed(machine.cpu_percent, 0)} % of ${machine.cores} cores, load ${fixed(machine.load, 2)}`),
    gauge("Memory", used(machine.memory_total, machine.memory_available), `${megabytes(machine.memory_available)} free of ${megabytes(machine.memory_total)}`),
    gauge("Disk", used(machine.disk_total, machine.disk_available), `${megabytes(machine.disk_available)} free of ${megabytes(machine.disk_total)}`),
    facts({ "Running for": machine.up_s === null ? "–" : span(machine.up_s) }));
}

function gauge(name, percent, text) {
  const bar = el("meter", { min: 0, max: 100, high: 80, optimum: 0, value: percent ?? 0, "aria-label": name });
  return el("div", { class: "gauge" }, el("span", { textContent: name }), bar, el("small", { textContent: text }));
}

function versionsCard(status) {
  const { machine } = status;
  return el("section", { class: "card" }, el("h2", { textContent: "Versions" }),
    facts({ Firmware: status.firmware_version, "Serial number": status.serial_number || "–", Kernel: machine.kernel, Python: machine.python }));
}

// --- certificates --------------------------------------------------------------------------------------------------------------

const USES = { csms: "CSMS root", manufacturer: "Manufacturer root", station: "Station", page: "This page" };

async function showCertificates(place, page) {
  place.append(el("h2", { textContent: "Certificates" }));
  const own = (page.status ?? (await get("/api/status"))).page_certificate;
  const { certificates, problem } = await get("/api/certificates").catch((error) => ({ certificates: [], problem: error.message }));
  place.append(scroller("Certificates", certificateTable([...certificates, { use: "page", ...own }])));
  if (problem) place.append(el("div", { class: "notice", textContent: problem }));
}

export function certificateTable(certificates, action = null) {
  const rows = certificates.map((each) => el("tr", {}, cell(USES[each.use] ?? each.use), cell(each.subject, "wrap"),
    cell(each.not_after.slice(0, 10)), cell(expiry(each.not_after)), ...(action ? [cell(action(each), "number")] : [])));
  return table([["Use"], ["Subject"], ["Valid until"], [""], ...(action ? [[""]] : [])], rows);
}

function expiry(notAfter) {
  const days = Math.floor((Date.parse(notAfter) - Date.now()) / 86_400_000);
  return days < 0 ? pill("expired", "bad") : days < SOON_DAYS ? pill(`${days} days left`, "warn") : pill(`${days} days left`, "good");
}
