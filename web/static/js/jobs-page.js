/** The list of jobs, looked at again every few seconds while somebody sees it. */

import { tellTimes } from "./times.js";

const EVERY_SECONDS = 3;
const list = document.getElementById("jobs");
let seen = null;

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/jobs", { cache: "no-store" });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("jobs");
    // Nothing is taken from under somebody's focus.
    if (fresh.innerHTML === seen || list.contains(document.activeElement)) return;
    seen = fresh.innerHTML;
    list.replaceChildren(...fresh.childNodes);
    tellTimes(list);
  } catch {
    // The server is away; the list stays until the next look.
  }
}

setInterval(look, EVERY_SECONDS * 1000);
addEventListener("pageshow", (event) => event.persisted && look());
document.addEventListener("visibilitychange", look);
