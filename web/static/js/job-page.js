/** A job's progress as a page. Whoever watches it to its end lands on the course. */

import "./generation-progress.js";
import { land } from "./job-dialog.js";
import { isActive } from "./job-state.js";

const progress = document.querySelector("generation-progress");
let wasOver = "over" in progress.dataset;

progress.addEventListener("progressed", ({ detail }) => {
  document.getElementById("goes-on").hidden = !isActive(detail);
  const name = progress.heading || document.title.split(" – ").at(-2);
  if (detail.status === "processing") {
    wasOver = false;
    document.title = `${Math.floor(detail.progress)} % – ${name} – Coursewright`;
  } else {
    document.title = `${name} – Coursewright`;
  }
});
progress.addEventListener("completed", ({ detail }) => {
  if (!wasOver) land(null, detail.courseId);
});
