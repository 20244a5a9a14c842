/**
 * A course that is being read: says so when there is a newer one, and lets the reader choose when to see it. Where it
 * waits for a review, an admin approves the revision that stands on the page, and no other.
 */

import { ask } from "./api.js";
import { CatalogClient } from "./catalog-client.js";
import { toast } from "./toast.js";

const { course, version } = document.querySelector("[data-course]").dataset;
const number = (contentVersion) => Number(contentVersion.slice(1));

function compare(entry) {
  if (entry && number(entry.contentVersion) > number(version)) {
    toast("There is a newer version of this course.", { link: { href: location.pathname, text: "Show it" }, key: course });
  }
}

new CatalogClient({
  onSnapshot: (courses) => compare(courses.get(course)),
  onChanges: (changes) => changes.filter((change) => change.courseId === course).forEach((change) => compare(change.entry)),
}).start();

const approve = document.getElementById("approve");

approve?.addEventListener("click", async () => {
  if (approve.getAttribute("aria-busy") === "true") return;
  approve.setAttribute("aria-busy", "true");
  try {
    await ask("POST", `/api/courses/${encodeURIComponent(course)}/approve`, {
      json: { revision: Number(approve.dataset.revision) },
    });
    document.getElementById("review").remove();
    toast("Approved. The course is in the catalog.", { link: { href: "/catalog", text: "Show it" }, key: course });
  } catch (error) {
    const link = error.code === "conflict" ? { href: location.pathname, text: "Look at it again" } : undefined;
    toast(link ? "The course has changed since you opened it." : error.message, { link, key: course });
  } finally {
    approve.setAttribute("aria-busy", "false");
  }
});
