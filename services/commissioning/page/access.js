// SPDX-License-Identifier: Apache-2.0
// Who may use this page: the own password, the read-only user, tokens for scripts, the page's certificate.

import { cell, dayAndClock, el, facts, scroller, table } from "../look/dom.js";
import { get, post, put, remove } from "./api.js";
import { Field, button, confirm, form, textOf } from "./forms.js";
import { passwordForm } from "./signin.js";

export async function show(place, page) {
  const columns = el("div", { class: "columns" }, card("My password", "Your other sessions end when you change it.", passwordForm(page.session, async () => {})));
  place.append(columns);
  if (!page.isInstaller) return;
  columns.append(viewerCard(page));
  place.append(await tokensCard(), certificateCard(page));
}

const card = (title, text, ...children) => el("section", { class: "card" }, el("h2", { textContent: title }), el("p", { textContent: text }), ...children);

function viewerCard(page) {
  const place = card("Read-only user", "The user “viewer” sees everything that holds no secret, and can change nothing.");
  const fields = [new Field({ label: "Password of the viewer", type: "password", required: true, autocomplete: "new-password", hint: "At least 10 characters." })];
  const drop = button("Remove the viewer", async () => {
    if (!(await confirm({ title: "Remove the viewer?", text: "Its sessions end at once.", yes: "Remove" }))) return "";
    await remove("/api/users/viewer");
    page.session.viewer_exists = drop.hidden = false;
    drop.hidden = true;
    return "The viewer is removed.";
  });
  drop.hidden = !page.session.viewer_exists;
  place.append(form({
    fields, submit: "Set the password", extra: [drop],
    action: async () => {
      await put("/api/users/viewer", { password: fields[0].value });
      fields[0].input.value = "";
      page.session.viewer_exists = true;
      drop.hidden = false;
      return "The user “viewer” can sign in with this password.";
    },
  }));
  return place;
}

async function tokensCard() {
  const list = scroller("Tokens");
  const fresh = el("div", { role: "status" });
  const name = new Field({ label: "Name of a new token", required: true, maxLength: 32, hint: "What uses it, for instance: monitoring. Letters, digits, blank, dot, dash." });
  const role = new Field({ label: "It may", options: [["viewer", "only read"], ["installer", "read and change"]] });
  const draw = async () => {
    const { tokens } = await get("/api/users");
    const rows = tokens.map((each) => el("tr", {}, cell(each.name, "wrap"), cell(each.role === "viewer" ? "may read" : "may change"), cell(dayAndClock(each.created)),
      cell(button("Revoke", async () => {
        if (await confirm({ title: `Revoke the token ${each.name}?`, text: "Scripts that use it are refused at once.", yes: "Revoke" })) {
          await remove(`/api/tokens/${encodeURIComponent(each.id)}`);
          await draw();
        }
      }), "number")));
    list.replaceChildren(rows.length ? table([["Token"], ["Rights"], ["Made"], [""]], rows) : el("p", { class: "empty", textContent: "No token yet." }));
  };
  await draw();
  const make = form({
    fields: [name, role], submit: "Make a token",
    action: async () => {
      const made = await post("/api/tokens", { name: name.value, role: role.value });
      fresh.replaceChildren(el("div", { class: "notice" }, "Note it now, it is not shown again: ", el("code", { textContent: made.token })));
      name.input.value = "";
      await draw();
    },
  });
  const place = card("Tokens for scripts", "A script sends one as “Authorization: Bearer TOKEN” and can do what this page does.", list, make, fresh);
  place.append(el("p", { class: "past" }, "All operations: ", el("a", { href: "/api/openapi.json", textContent: "OpenAPI document" })));
  return place;
}

function certificateCard(page) {
  const about = el("div");
  const draw = ({ page_certificate: own }) => about.replaceChildren(facts({
    Subject: own.subject, "Valid until": own.not_after.slice(0, 10), Made: own.self_made ? "by the station" : "uploaded", "SHA-256": own.fingerprint,
  }, new Set(["Subject", "SHA-256"])));
  if (page.status) draw(page.status);
  page.on("status", draw);
  const chain = new Field({ label: "Certificate chain, PEM, the page’s own first", rows: 4, required: true });
  const key = new Field({ label: "Its private key, PEM, without passphrase", rows: 4, required: true });
  return card("Certificate of this page", "Browsers warn of the certificate that the station made itself: compare the fingerprint once, or upload one that they know.",
    about, form({
      fields: [chain, key], submit: "Use this certificate", children: [chooser(chain), chooser(key)],
      action: async () => {
        await put("/api/page-certificate", { chain: chain.value, key: key.value });
        chain.input.value = key.input.value = "";
        return "The next connection uses it.";
      },
    }));
}

// A file into a field.
export function chooser(field) {
  const label = field.node.querySelector("label").textContent;
  const input = el("input", { type: "file", accept: ".pem,.crt,.cer,.key,text/plain", "aria-label": `File: ${label}` });
  input.addEventListener("change", async () => {
    try {
      if (input.files.length) field.input.value = await textOf(input.files[0]);
    } catch (error) {
      field.complain(error.message);
    }
    input.value = "";
  });
  return el("label", { class: "check" }, input);
}
