/** Asking the API as the page's own user, and understanding what it refuses. */

/** What a person is told, where the API tells a program what to send. */
const SIGNED_OUT = "You are no longer signed in. Copy what you typed here, then sign in again.";
const SIGNED_IN_ANEW = "You have signed in anew since you opened this page. Copy what you typed here, then load the page again.";

/** What the API answered instead of what was asked for. `errors` are the faulty fields of a 422. */
export class Problem extends Error {
  constructor(status, body) {
    super(body.detail || body.title || `The server answered ${status}.`);
    this.status = status;
    this.code = body.code ?? "unknown";
    this.errors = body.errors ?? [];
    this.details = body.details ?? {};
  }
}

/** The server could not be reached at all. */
export class Unreachable extends Error {
  constructor() {
    super("The server can't be reached just now. Check your connection and try again.");
    this.status = 0;
    this.code = "unreachable";
    this.errors = [];
  }
}

/** What shows that a write comes from a page of this site; nothing on pages of other sites, which have no such session. */
function proof(method) {
  const token = method === "GET" ? null : document.querySelector('meta[name="csrf-token"]')?.content;
  return token ? { "X-CSRF-Token": token } : {};
}

/** Ask and get the JSON of the answer. Throws `Problem` or `Unreachable`. */
export async function ask(method, url, { json, body, headers = {}, signal } = {}) {
  const sent = { Accept: "application/json", ...proof(method), ...headers };
  if (json !== undefined) {
    sent["Content-Type"] = "application/json";
    body = JSON.stringify(json);
  }
  let answer;
  try {
    answer = await fetch(url, { method, headers: sent, body, signal, cache: "no-cache", referrerPolicy: "no-referrer" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable();
  }
  const text = await answer.text();
  let read = {};
  try {
    read = text ? JSON.parse(text) : {};
  } catch {
    // A proxy's page, say. What counts is the status.
  }
  if (answer.status === 401) {
    dispatchEvent(new Event("signed-out"));
    read.detail = SIGNED_OUT;
  }
  if (read.code === "csrf_token_wrong") read.detail = SIGNED_IN_ANEW;
  if (!answer.ok) throw new Problem(answer.status, read);
  return read;
}
