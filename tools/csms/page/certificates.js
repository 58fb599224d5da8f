// SPDX-License-Identifier: Apache-2.0
// The certificates that the chosen station has installed: list, install, delete, and a new one for the station itself.

import { $, api, cell, el, pill, scroller, table } from "../look/dom.js";
import { ask, Operation, Outcome, whyMute } from "./operations.js";

const KINDS = {
  CSMSRootCertificate: "root of a CSMS", ManufacturerRootCertificate: "root of a manufacturer",
  V2GRootCertificate: "V2G root", MORootCertificate: "root of a mobility operator", V2GCertificateChain: "V2G certificate chain",
};
const HEADS = [["Kind"], ["Subject"], ["Valid until"], ["Serial number"], [""]];
const SOON_MS = 30 * 86400 * 1000;

export class Certificates {
  constructor(state) {
    Object.assign(this, { state, of: null });
    this.outcome = new Outcome();
    this.list = scroller("Installed certificates");
    this.list.hidden = true;
    this.kind = el("select", { "aria-label": "Kind of certificate" }, ...Object.keys(KINDS).slice(0, 4).map((value) => el("option", { value, textContent: KINDS[value] })));
    this.pem = el("textarea", { rows: 4, spellcheck: false, placeholder: "-----BEGIN CERTIFICATE-----", "aria-label": "Certificate, PEM", oninput: () => this.describe() });
    this.file = el("input", { type: "file", accept: ".pem,.crt,.cer", "aria-label": "Certificate from a file", onchange: () => this.takeFile() });
    this.facts = el("p", { class: "muted", role: "status" });
    const { outcome } = this;
    const make = (name, act) => new Operation(name, "", outcome, act);
    this.operations = [
      make("List what is installed", () => this.read()),
      make("Install the bench's CSMS root", () => this.install("CSMSRootCertificate", state.about.root)),
      make("Install the bench's manufacturer root", () => this.install("ManufacturerRootCertificate", state.about.manufacturer_root)),
      make("New certificate for the station", () => ask(state.chosen, "TriggerMessage", { requestedMessage: "SignChargingStationCertificate" })),
      make("Install it", () => this.installTyped()),
    ];
    const [list, csms, manufacturer, renew, install] = this.operations.map((operation) => operation.node);
    renew.title = "The station makes a key and a signing request; the bench's authority signs it, and the station installs the certificate";
    $("certificates").replaceChildren(el("div", { class: "row" }, list, renew), this.list, el("div", { class: "row" }, csms, manufacturer),
      el("details", {}, el("summary", { textContent: "Install another one" }), el("div", { class: "row" }, this.kind, this.file), this.pem, this.facts, el("div", { class: "row" }, install)), outcome.node);
  }

  update(station) {
    for (const operation of this.operations) operation.allow(whyMute(station));
    if (this.of && this.of !== this.state.chosen) {
      this.of = null;
      this.list.hidden = true;
      $("certificates-count").textContent = "";
    }
  }

  async read() {
    const station = this.state.chosen;
    try {
      const found = await api(`/api/stations/${encodeURIComponent(station)}/certificates`);
      this.of = station;
      $("certificates-count").textContent = `${found.length} installed`;
      this.list.hidden = false;
      this.list.replaceChildren(found.length ? table(HEADS, found.flatMap((each) => this.rows(each)), "cards") : el("p", { class: "empty", textContent: "None is installed." }));
      return { good: true, text: `${found.length} ${found.length === 1 ? "certificate" : "certificates"}` };
    } catch (error) {
      return { good: false, text: error.message };
    }
  }

  // The station has a new certificate.
  again() {
    if (this.of === this.state.chosen) this.read();
  }

  rows({ type, hash_data: hashes, facts, children }) {
    const one = (kind, hash, known, button) => el("tr", {}, cell(kind, "wrap"), cell(known ? known.subject : el("small", { textContent: "not known to this bench" }), "wrap"),
      cell(known ? validity(known.not_after) : "–"), cell(el("code", { textContent: hash.serialNumber, title: `issuer ${hash.issuerNameHash}` }), "wrap"), cell(button ?? "", "number"));
    return [one(KINDS[type] ?? type, hashes, facts, this.remover(hashes, facts?.subject ?? hashes.serialNumber)),
      ...children.map((child) => one("below it", child.hash_data, child.facts))];
  }

  // It asks again: without its root a station can no longer connect.
  remover(hashes, name) {
    const button = el("button", { type: "button", textContent: "Delete", "aria-label": `Delete ${name}`, onclick: async () => {
      if (button.textContent === "Delete") {
        button.textContent = "Really delete";
        button.setAttribute("aria-label", `Really delete ${name}`);
        return;
      }
      this.after("Delete", await ask(this.state.chosen, "DeleteCertificate", { certificateHashData: hashes }));
    }, onblur: () => { button.textContent = "Delete"; button.setAttribute("aria-label", `Delete ${name}`); } });
    return button;
  }

  async after(name, outcome) {
    await this.read();
    this.outcome.show(name, outcome);
  }

  async install(certificateType, certificate) {
    const outcome = await ask(this.state.chosen, "InstallCertificate", { certificateType, certificate });
    await this.read();
    return outcome;
  }

  installTyped() {
    if (!this.pem.value.trim()) return { good: false, text: "paste a certificate, or choose a file" };
    return this.install(this.kind.value, this.pem.value);
  }

  async takeFile() {
    this.pem.value = (await this.file.files[0]?.text()) ?? "";
    await this.describe();
  }

  async describe() {
    if (!this.pem.value.includes("END CERTIFICATE")) {
      this.facts.textContent = "";
      return;
    }
    try {
      const facts = await api("/api/certificate", { method: "POST", body: { pem: this.pem.value } });
      this.facts.textContent = `${facts.subject}, issued by ${facts.issuer}, valid until ${facts.not_after.slice(0, 10)}`;
    } catch (error) {
      this.facts.textContent = error.message;
    }
  }
}

function validity(notAfter) {
  const left = Date.parse(notAfter) - Date.now();
  return pill(`${notAfter.slice(0, 10)}${left < 0 ? ", expired" : ""}`, left < 0 ? "bad" : left < SOON_MS ? "warn" : "good");
}
