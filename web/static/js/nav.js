/** The number of jobs at work in the page's frame, and times in the reader's own words. */

import { ask } from "./api.js";
import { tellTimes } from "./times.js";

const EVERY_SECONDS = 10;
const badge = document.getElementById("running");

async function look() {
  if (document.hidden) return;
  try {
    const { running } = await ask("GET", "/jobs/at-work");
    badge.firstChild.textContent = running;
    badge.hidden = running === 0;
  } catch {
    // It is only a number; the next look brings it.
  }
}

setInterval(look, EVERY_SECONDS * 1000);
// The last three come from a job's progress, wherever it stands in the page.
for (const news of ["jobs-changed", "completed", "failed", "cancelled"]) addEventListener(news, look);
addEventListener("pageshow", (event) => event.persisted && look());
document.addEventListener("visibilitychange", look);
tellTimes(document);
setInterval(() => tellTimes(document), 20_000);
