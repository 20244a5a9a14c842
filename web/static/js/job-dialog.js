/** A job's progress as a dialog over the page it was started from. Closing it changes nothing but what is seen. */

import "./generation-progress.js";
import { isActive } from "./job-state.js";

/** How long "done" is seen before the course opens, in milliseconds. */
const DONE_SHOWN = 900;

/** Show a job. `heading` is its course's name as far as it is known. */
export function showJob({ jobId, streamUrl, heading }) {
  const dialog = document.createElement("dialog");
  dialog.className = "job";
  dialog.setAttribute("aria-label", `Progress of ${heading}`);
  const progress = document.createElement("generation-progress");
  progress.setAttribute("job-id", jobId);
  progress.setAttribute("stream-url", streamUrl);
  progress.setAttribute("heading", heading);
  progress.setAttribute("course-href", "/courses/{courseId}");
  progress.addEventListener("completed", ({ detail }) => land(dialog, detail.courseId));
  // Why it ended, and what can be done about it, stands at the top; on a phone that may be out of sight.
  for (const end of ["failed", "cancelled"]) progress.addEventListener(end, () => dialog.scrollTo({ top: 0 }));
  const foot = after(jobId, dialog);
  progress.addEventListener("progressed", ({ detail }) => (foot.querySelector(".goes-on").hidden = !isActive(detail)));
  dialog.append(progress, foot);
  dialog.addEventListener("close", () => {
    dialog.remove();
    dispatchEvent(new Event("jobs-changed"));
  });
  document.body.append(dialog);
  dialog.showModal();
  dispatchEvent(new Event("jobs-changed"));
  return dialog;
}

/** Open the finished course, unless the dialog was closed meanwhile. */
export function land(dialog, courseId) {
  if (!courseId) return;
  setTimeout(() => {
    if (!dialog || dialog.open) location.assign(`/courses/${encodeURIComponent(courseId)}`);
  }, DONE_SHOWN);
}

function after(jobId, dialog) {
  const foot = document.createElement("div");
  foot.className = "after";
  const words = document.createElement("span");
  const goesOn = Object.assign(document.createElement("span"), { className: "goes-on" });
  goesOn.textContent = "It goes on when you close this. ";
  words.append(goesOn, "You find it under ");
  const link = document.createElement("a");
  link.href = `/jobs/${jobId}`;
  link.textContent = "Jobs";
  words.append(link, ".");
  const close = document.createElement("button");
  close.type = "button";
  close.className = "secondary outline";
  close.textContent = "Close";
  close.addEventListener("click", () => dialog.close());
  foot.append(words, close);
  return foot;
}
