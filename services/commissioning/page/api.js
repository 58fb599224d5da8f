// SPDX-License-Identifier: Apache-2.0
// Requests to the station. One that fails because the session has ended, or because another installer has the seat, is
// sent again when the person has signed in or taken over: nothing that was typed is lost.

export class ApiError extends Error {
  constructor(status, { error, detail, ...more }) {
    super(detail ?? "the station gave no reason");
    Object.assign(this, { status, word: error, more });
  }
}

// What the page does meanwhile; app.js sets them. Each returns a promise of whether the request may be sent again.
export const ask = { signIn: async () => false, takeOver: async () => false };

const MOST_TRIES = 3;
let csrf = null;

export function useSession(session) {
  csrf = session.csrf_token;
}

export const get = (path) => call("GET", path);
export const post = (path, body = {}) => call("POST", path, body);
export const put = (path, body) => call("PUT", path, body);
export const remove = (path) => call("DELETE", path);

export async function call(method, path, body) {
  for (let tries = 1; ; tries += 1) {
    const response = await send(method, path, body);
    const data = await response.json().catch(() => ({ detail: `the station answered with status ${response.status}` }));
    if (response.ok) return data;
    if (tries > MOST_TRIES || !(await mended(data))) throw new ApiError(response.status, data);
  }
}

// A file of the station, whole.
export async function file(path) {
  const response = await send("GET", path);
  if (!response.ok) throw new ApiError(response.status, await response.json().catch(() => ({})));
  const [, name] = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "") ?? [null, "file"];
  return { name, content: await response.blob() };
}

async function send(method, path, body) {
  const headers = { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(csrf ? { "X-CSRF-Token": csrf } : {}) };
  try {
    return await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(0, { error: "unreachable", detail: "The station does not answer. Is this device still in its network?" });
  }
}

async function mended({ error, holder }) {
  if (error === "not_signed_in") return ask.signIn();
  if (error === "csrf") return ask.signIn({ quietly: true });
  return error === "seat_taken" && ask.takeOver(holder);
}
