// SPDX-License-Identifier: Apache-2.0
// The certificates towards the CSMS: roots, and the station's own from a signing request.

import { el, scroller } from "../look/dom.js";
import { get, post, put, remove } from "./api.js";
import { chooser } from "./access.js";
import { Field, button, confirm, download, form, goOn } from "./forms.js";
import { certificateTable } from "./status.js";

export async function certificatesStep(wizard) {
  const list = scroller("Certificates");
  const draw = async () => {
    const { certificates } = await get("/api/certificates");
    list.replaceChildren(certificates.length ? certificateTable(certificates, (each) => dropButton(each, draw)) : el("p", { class: "empty", textContent: "No certificate yet." }));
  };
  await draw();
  return el("div", { class: "view" },
    el("p", { textContent: "Security profile 2 needs the root certificate of the CSMS, profile 3 a certificate of the station, too. With profile 0 and 1, go on." }),
    list, el("h3", { textContent: "Add a root certificate" }), rootForm(draw),
    el("h3", { textContent: "A certificate of the station" }), requestPart(), chainForm(draw),
    goOn(wizard));
}

function dropButton(each, draw) {
  if (each.use === "station") return "";
  return button("Delete", async () => {
    if (!(await confirm({ title: "Delete this root certificate?", text: each.subject, yes: "Delete" }))) return;
    await remove(`/api/certificates/${each.fingerprint}`);
    await draw();
  });
}

function rootForm(draw) {
  const use = new Field({ label: "It is the root of", options: [["csms", "the CSMS"], ["manufacturer", "the manufacturer (firmware)"]] });
  const pem = new Field({ label: "Root certificate, PEM", rows: 4, required: true });
  return form({
    fields: [use, pem], submit: "Add", tone: "", children: [chooser(pem)],
    action: async () => {
      await post("/api/certificates", { use: use.value, pem: pem.value });
      pem.input.value = "";
      await draw();
      return "The certificate is installed.";
    },
  });
}

function requestPart() {
  const place = el("div", { role: "status" });
  const make = button("Make a signing request", async () => {
    const { pem } = await post("/api/signing-request");
    const shown = new Field({ label: "Signing request, for the operator", rows: 6, value: pem, readOnly: true });
    place.replaceChildren(shown.node, el("div", { class: "row" }, button("Save as a file", async () => download("station.csr", pem))));
    return "The key stays in the station.";
  });
  return el("div", { class: "view" }, el("div", {}, make), place);
}

function chainForm(draw) {
  const pem = new Field({ label: "The answer: certificate chain, PEM, the station’s own first", rows: 4, required: true });
  return form({
    fields: [pem], submit: "Install", tone: "", children: [chooser(pem)],
    action: async () => {
      await put("/api/station-certificate", { pem: pem.value });
      pem.input.value = "";
      await draw();
      return "The chain is installed.";
    },
  });
}
