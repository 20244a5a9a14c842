/** A form that talks to the API: what it holds as JSON, and what the API finds wrong with it beside the fields. */

import { ask } from "./api.js";

/** What a form holds, by the names of its fields. What is left empty is left out, so that the API's defaults count. */
export function held(form) {
  const found = {};
  for (const field of form.elements) {
    if (!field.name || !field.dataset.kind) continue;
    const value = read(field);
    if (value !== undefined) found[field.name] = value;
  }
  return found;
}

function read(field) {
  const text = field.value.trim();
  if (field.dataset.kind === "flag") return field.checked;
  if (text === "") return undefined;
  if (field.dataset.kind === "number") return Number(text);
  if (field.dataset.kind === "list") return text.split(",").map((one) => one.trim()).filter(Boolean);
  return text;
}

/** Take away what was found wrong before. */
export function clear(form) {
  for (const field of form.elements) field.removeAttribute("aria-invalid");
  for (const fault of form.querySelectorAll(".fault")) fault.hidden = true;
  form.querySelector("#form-problem").hidden = true;
}

/** Show what is wrong: beside the field it is about, else above the button. The first faulty field gets the focus. */
export function show(form, problem, nameOf = (path) => path.split(".").at(path.startsWith("payload.") ? 1 : 0)) {
  const loose = [];
  for (const fault of problem.errors ?? []) {
    const field = form.elements.namedItem(nameOf(fault.path));
    const place = field?.id && form.querySelector(`#${CSS.escape(field.id)}-error`);
    if (!place) {
      loose.push(`${fault.path}: ${fault.message}`);
      continue;
    }
    place.textContent = place.hidden ? sentence(fault.message) : `${place.textContent}\n${sentence(fault.message)}`;
    place.hidden = false;
    field.setAttribute("aria-invalid", "true");
    field.closest("details")?.setAttribute("open", "");
  }
  if (loose.length || !problem.errors?.length) say(form, problem.message, loose);
  // The first as one reads them; what the API names first may stand further down.
  const first = [...form.elements].find((field) => field.getAttribute("aria-invalid") === "true");
  (first ?? form.querySelector("#form-problem")).focus();
}

function say(form, words, list) {
  const place = form.querySelector("#form-problem");
  place.replaceChildren(words);
  if (list.length) {
    const items = document.createElement("ul");
    items.append(...list.map((one) => Object.assign(document.createElement("li"), { textContent: one })));
    place.append(items);
  }
  place.hidden = false;
}

function sentence(words) {
  if (words.startsWith("Missing data")) return "Please fill this in.";
  return words.replace(/^Must be greater than or equal to (\d+) and less than or equal to (\d+)\.$/, "Use a number from $1 to $2.");
}

/** Numbers that are none, which a browser would leave out without a word. */
export function checkNumbers(form) {
  const bad = [...form.elements].filter((field) => field.validity?.badInput);
  const errors = bad.map((field) => ({ path: field.name, message: "Use a whole number." }));
  if (errors.length) throw Object.assign(new Error("Some fields need another look."), { errors });
}

/**
 * What happens when the form is sent: `act` runs once at a time, what it throws is shown, and what was typed stays.
 * The button cannot be pressed meanwhile.
 */
export function onSend(form, act) {
  const button = form.querySelector("[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-busy") === "true") return;
    button.setAttribute("aria-busy", "true");
    clear(form);
    try {
      checkNumbers(form);
      await act();
    } catch (error) {
      show(form, error);
    } finally {
      button.setAttribute("aria-busy", "false");
    }
  });
}

/** Asks for a job such that the same request makes one job, however often it is sent. */
export class Asking {
  #key = null;
  #body = null;

  /** The API's answer to `{jobType, payload}`. A request that was answered gets a new key, so that it can be made anew. */
  async start(body) {
    const text = JSON.stringify(body);
    if (text !== this.#body) {
      this.#body = text;
      this.#key = newKey();
    }
    const answer = await ask("POST", "/api/jobs", { json: body, headers: { "Idempotency-Key": this.#key } });
    this.#body = null;
    return answer;
  }
}

/** `crypto.randomUUID` is there only where the page came over https or from this machine. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((one) => one.toString(16).padStart(2, "0")).join("");
}
