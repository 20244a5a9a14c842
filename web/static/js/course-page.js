/** A course that is being read: says so when there is a newer one, and lets the reader choose when to see it. */

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
