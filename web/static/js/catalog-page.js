/** The catalog as a page: what the server drew is taken over, and kept as the server's catalog is, change by change. */

import { CatalogClient } from "./catalog-client.js";
import { ago } from "./times.js";
import { toast } from "./toast.js";

/** Beyond so many changes at once, one sentence tells of all of them. */
const MOST_TOASTS = 3;
/** For how long a course is new: pictures that arrive in it are no news of their own. Milliseconds. */
const NEW_FOR = 60_000;

const list = document.getElementById("cards");
const search = document.getElementById("search");
const connection = document.getElementById("connection");
const blank = document.getElementById("card").content.querySelector("li");
const addedAt = new Map();

function fill(card, entry) {
  const show = (name) => card.querySelector(`[data-show="${name}"]`);
  card.dataset.id = entry.id;
  card.dataset.updated = entry.updatedAt;
  show("subject").textContent = entry.subject;
  show("title").textContent = entry.title;
  show("title").href = `/courses/${encodeURIComponent(entry.id)}`;
  show("description").textContent = entry.description;
  show("grade").textContent = entry.gradeBand;
  show("items").textContent = entry.itemCount === 1 ? "1 item" : `${entry.itemCount} items`;
  show("items").hidden = entry.itemCount === 0;
  show("texts").hidden = !entry.hasStudyTexts;
  show("updated").dateTime = entry.updatedAt;
  show("updated").textContent = ago(entry.updatedAt);
  card.dataset.words = [entry.title, entry.subject, entry.description, entry.grade, entry.gradeBand, ...entry.tags]
    .join(" ")
    .toLowerCase();
  return card;
}

const newestFirst = (one, other) => {
  const [a, b] = [one, other].map((card) => [card.dataset.updated, card.dataset.id]);
  return a[0] === b[0] ? (a[1] < b[1] ? 1 : -1) : a[0] < b[0] ? 1 : -1;
};

/** Make the page show exactly these courses, touching only what differs. */
function draw(courses) {
  const cards = new Map([...list.children].map((card) => [card.dataset.id, card]));
  for (const [id, card] of cards) if (!courses.has(id)) card.remove();
  const wanted = [...courses.values()].map((entry) => fill(cards.get(entry.id) ?? blank.cloneNode(true), entry));
  wanted.sort(newestFirst);
  wanted.forEach((card, at) => {
    if (list.children[at] !== card) list.insertBefore(card, list.children[at] ?? null);
  });
  document.getElementById("empty").hidden = courses.size > 0;
  document.getElementById("searching").hidden = courses.size === 0;
  filter();
}

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const card of list.children) {
    card.hidden = !words.every((word) => card.dataset.words?.includes(word));
    found += card.hidden ? 0 : 1;
  }
  document.getElementById("nothing-found").hidden = found > 0 || list.children.length === 0;
  const count = document.getElementById("count");
  count.textContent = words.length ? `${found} of ${list.children.length}` : `${found} ${found === 1 ? "course" : "courses"}`;
}

function tell(changes) {
  const told = new Map();
  for (const change of changes) {
    const { courseId: id, action } = change;
    if (action === "deleted") continue;
    if (change.before === null) addedAt.set(id, Date.now());
    const isNew = Date.now() - (addedAt.get(id) ?? -Infinity) < NEW_FOR;
    if (isNew && change.before !== null && !told.has(id)) continue;
    told.set(id, { isNew, entry: change.entry });
  }
  if (told.size > MOST_TOASTS) toast(`${told.size} courses are new or were updated.`);
  else {
    for (const [id, { isNew, entry }] of told) {
      const words = `${isNew ? "New course available" : "Course updated"}: ${entry.title}`;
      toast(words, { link: { href: `/courses/${encodeURIComponent(id)}`, text: "Open" }, key: id });
    }
  }
}

const catalog = new CatalogClient({
  onSnapshot: draw,
  onChanges(changes) {
    draw(catalog.courses);
    for (const { courseId } of changes) {
      const card = list.querySelector(`[data-id="${CSS.escape(courseId)}"]`);
      card?.classList.remove("is-new");
      requestAnimationFrame(() => card?.classList.add("is-new"));
    }
    tell(changes);
  },
  onConnection(state) {
    const words = {
      reconnecting: "Reconnecting. The list may be behind.",
      offline: "You are offline. The list may be behind.",
      refused: "You are no longer signed in.",
    }[state];
    connection.textContent = words ?? "";
    connection.hidden = !words;
  },
  onCurrent: () => (list.dataset.current = "true"),
});

search.addEventListener("input", filter);
// A page that a back button brings out of the browser's memory shows no courses until it is known to be current.
addEventListener("pagehide", () => (list.dataset.current = "false"));
catalog.start();
