// SPDX-License-Identifier: Apache-2.0
// The steps of the set-up that are a form each. Every `…Step(wizard)` returns its element.

import { el } from "../look/dom.js";
import { get, put } from "./api.js";
import { connectionTest } from "./conntest.js";
import { Field, button, form } from "./forms.js";
import { isRefused, setVariables } from "./settings.js";

// --- identity and product ------------------------------------------------------------------------------------------------

export async function identityStep(wizard) {
  const station = await get("/api/station");
  const identity = new Field({ label: "Identity", value: station.next_identity, required: true, maxLength: 48, hint: "As the operator has registered the station; it becomes the last part of the CSMS’s URL." });
  const product = new Field({ label: "Product", options: station.products.map((each) => [each, each]), value: station.next_product });
  return form({
    fields: [identity, product], submit: "Save and go on",
    action: async () => {
      if (identity.value !== station.next_identity) await put("/api/station/identity", { identity: identity.value });
      if (product.value !== station.next_product) await put("/api/station/product", { product: product.value });
      await wizard.done();
    },
  });
}

// --- CSMS ------------------------------------------------------------------------------------------------------------------

const PROFILES = [
  ["1", "1: password, no encryption (only inside a private network)"],
  ["2", "2: password, and TLS"],
  ["3", "3: certificate of the station, and TLS"],
  ["0", "0: none (laboratory)"],
];

export async function csmsStep(wizard) {
  const [{ profiles, priority, slots, interfaces }, station] = await Promise.all([get("/api/profiles"), get("/api/station")]);
  const of = (slot) => profiles.find((each) => each.slot === slot) ?? { url: "", security_profile: 2, interface: interfaces[0], message_timeout_s: 30 };
  const first = priority[0] ?? 1;
  const known = of(first);
  const slot = new Field({ label: "Configuration slot", options: Array.from({ length: slots }, (_, index) => [index + 1, `${index + 1}${profiles.some((each) => each.slot === index + 1) ? "" : " (empty)"}`]), value: first, hint: `Tried in this order: ${priority.join(", ")}.` });
  const url = new Field({ label: "URL of the CSMS", value: known.url, required: true, type: "url", placeholder: "wss://csms.example/ocpp", hint: "Without the identity at its end. ws: with profile 0 and 1, wss: with 2 and 3." });
  const profile = new Field({ label: "Security profile", options: PROFILES, value: known.security_profile });
  const password = new Field({ label: "Password towards the CSMS", type: "password", autocomplete: "new-password", hint: station.password_is_set ? "One is set; leave this empty to keep it." : "16 to 40 characters, from the operator." });
  const port = new Field({ label: "Over", options: interfaces.map((each) => [each, each.startsWith("Wire") && !each.startsWith("Wired") ? `${each} (LTE)` : `${each} (Ethernet)`]), value: known.interface });
  slot.input.addEventListener("change", () => {
    const { url: there, security_profile, interface: over } = of(Number(slot.value));
    [url.input.value, profile.input.value, port.input.value] = [there, security_profile, over];
  });
  const asked = () => ({ url: url.value, security_profile: Number(profile.value), interface: port.value, message_timeout_s: of(Number(slot.value)).message_timeout_s });
  const test = connectionTest();
  const disturb = new Field({ label: "Test to the end, even if that breaks off the present connection", type: "checkbox" });
  const tryIt = button("Test the connection", async () => {
    await test.run({ profile: asked(), identity: station.next_identity, disturb: disturb.value, ...(password.value ? { basic_auth_password: password.value } : {}) });
  });
  return el("div", { class: "view" }, form({
    fields: [slot, url, profile, password, port, disturb], submit: "Save and go on", extra: [tryIt],
    action: async () => {
      if (password.value) {
        const [result] = await setVariables([{ component: "SecurityCtrlr", variable: "BasicAuthPassword", value: password.value }]);
        if (isRefused(result)) return void password.complain(result.detail || result.status);
      }
      await put(`/api/profiles/${slot.value}`, asked());
      if (!priority.includes(Number(slot.value))) await put("/api/priority", { slots: [...priority, Number(slot.value)] });
      password.input.value = "";
      await wizard.done();
    },
  }), test.place);
}

// --- time zone -----------------------------------------------------------------------------------------------------------------

export async function timeStep(wizard) {
  const { variables } = await get("/api/variables?component=ClockCtrlr");
  const zone = variables.find((each) => each.variable === "TimeZone");
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const field = new Field({ label: "Time zone", options: [["", "none: UTC"], ...Intl.supportedValuesOf("timeZone").map((each) => [each, each])], value: zone?.value ?? "", hint: here ? `This device is in ${here}.` : "" });
  return form({
    fields: [field], submit: "Save and go on",
    action: async () => {
      const [result] = await setVariables([{ component: "ClockCtrlr", variable: "TimeZone", value: field.value }]);
      if (isRefused(result)) return void field.complain(result.detail || result.status);
      await wizard.done();
    },
  });
}

// --- site limit ------------------------------------------------------------------------------------------------------------------

const kilowatts = (watts) => (watts === null ? "no limit" : `${watts / 1000} kW`);

export async function limitStep(wizard) {
  const { in_force_w, settings_w, next_w } = await get("/api/site-limit");
  const field = new Field({
    label: "What the supply of the site permits, in kW", value: next_w === null ? "" : next_w / 1000, inputMode: "decimal",
    hint: `Empty: as the settings of the station say (${kilowatts(settings_w)}). In force now: ${kilowatts(in_force_w)}; a change counts from the next restart of the station.`,
  });
  return form({
    fields: [field], submit: "Save and go on",
    action: async () => {
      const text = field.value.trim().replace(",", ".");
      if (text !== "" && !Number.isFinite(Number(text))) return void field.complain("Expected a number.");
      await put("/api/site-limit", { limit_w: text === "" ? null : Number(text) * 1000 });
      await wizard.done();
    },
  });
}
