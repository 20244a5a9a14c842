/**
 * The number of jobs at work in the page's frame, times in the reader's own words, and that somebody is signed out, which
 * the page learns from whatever it asks next.
 */

import { ask } from "./api.js";
import { tellTimes } from "./times.js";

const EVERY_SECONDS = 10;
const badge = document.getElementById("running");
let isOut = false;

async function look() {
  if (document.hidden || isOut) return;
  try {
    const { running } = await ask("GET", "/jobs/at-work");
    badge.firstChild.textContent = running;
    badge.hidden = running === 0;
  } catch {
    // It is only a number; the next look brings it.
  }
}

/**
 * Said once, above what is seen: the page, and a dialog over it. The link leads back here, by way of signing in, and what
 * was typed into a form is gone then.
 */
function sayOut() {
  if (isOut) return;
  isOut = true;
  const first = document.querySelector("main form") ? "Copy what you typed here first. " : "";
  for (const place of document.querySelectorAll("main, dialog[open]")) {
    const said = Object.assign(document.createElement("p"), { className: "problem", role: "alert" });
    const link = Object.assign(document.createElement("a"), { href: location.pathname + location.search, textContent: "Sign in again" });
    said.append("You are no longer signed in, and what you see here may be old. ", first, link, ".");
    place.prepend(said);
  }
}

addEventListener("signed-out", sayOut);
setInterval(look, EVERY_SECONDS * 1000);
// The last three come from a job's progress, wherever it stands in the page.
for (const news of ["jobs-changed", "completed", "failed", "cancelled"]) addEventListener(news, look);
addEventListener("pageshow", (event) => event.persisted && look());
document.addEventListener("visibilitychange", look);
tellTimes(document);
setInterval(() => tellTimes(document), 20_000);
