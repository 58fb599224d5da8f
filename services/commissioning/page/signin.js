// SPDX-License-Identifier: Apache-2.0
// Signing in, and the change of the password on the label.

import { el } from "../look/dom.js";
import { post } from "./api.js";
import { Field, form } from "./forms.js";

const LEAST = 10;

// The password on the label, between the sign-in with it and its change: nobody types it twice.
let label = null;

// The form; `done` is called with the session.
export function signInForm(session, done, { user = "installer" } = {}) {
  const users = [["installer", "Installer"], ["viewer", "Viewer (may only read)"]];
  const fields = [
    new Field({ label: "User", options: session.viewer_exists ? users : users.slice(0, 1), name: "user", autocomplete: "username" }),
    new Field({
      label: "Password", type: "password", required: true, name: "password", autocomplete: "current-password",
      hint: session.first_password ? "For the first time: the password on the label inside the cabinet." : "",
    }),
  ];
  fields[0].input.value = user;
  return form({
    fields, submit: "Sign in",
    action: async () => {
      try {
        const next = await post("/api/session", { user: fields[0].value, password: fields[1].value });
        label = next.must_change_password ? fields[1].value : null;
        await done(next);
      } finally {
        fields[1].input.value = "";
        fields[1].input.focus();
      }
    },
  });
}

export function passwordForm(session, done) {
  const [current, fresh, again] = [
    new Field({ label: session.must_change_password ? "Password on the label" : "Present password", type: "password", required: true, autocomplete: "current-password" }),
    new Field({ label: "New password", type: "password", required: true, autocomplete: "new-password", hint: `At least ${LEAST} characters: a few words that do not belong together are easy to remember.` }),
    new Field({ label: "New password again", type: "password", required: true, autocomplete: "new-password" }),
  ];
  const isKnown = label !== null && session.must_change_password;
  if (isKnown) current.input.value = label;
  return form({
    fields: isKnown ? [fresh, again] : [current, fresh, again], submit: "Change the password",
    // For password managers: whose password it is.
    children: [el("input", { type: "text", autocomplete: "username", value: session.user, hidden: true, "aria-label": "User" })],
    action: async () => {
      if (fresh.value !== again.value) return void again.complain("The two new passwords differ.");
      const next = await post("/api/session/password", { current: current.value, new: fresh.value });
      label = null;
      for (const field of [current, fresh, again]) field.input.value = "";
      await done(next);
      return "The password is changed.";
    },
  });
}

export function signInPage(session, done) {
  return el("section", { class: "card narrow" }, el("h1", { textContent: "Sign in" }), signInForm(session, done));
}

export function firstPasswordPage(session, done) {
  return el("section", { class: "card narrow" }, el("h1", { textContent: "Choose a password" }),
    el("p", { textContent: "Everybody who opens the cabinet can read the password on the label. Choose another one before you go on." }), passwordForm(session, done));
}
