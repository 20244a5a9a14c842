/**
 * A catalog in memory, kept current: one snapshot, and from then on only what changes.
 *
 *     const catalog = new CatalogClient({ onSnapshot(courses) { ... }, onChanges(changes) { ... } });
 *     catalog.start();
 *
 * Versions are dense, so that a missing one is noticed and asked for. When the server can't tell what changed since a
 * version, the catalog is read anew.
 */

import { ask } from "./api.js";
import { EventStream } from "./event-stream.js";

/** One change, applied to a map of entries by id. */
export function apply(courses, change) {
  if (change.action === "deleted") courses.delete(change.courseId);
  else courses.set(change.courseId, change.entry);
}

export class CatalogClient {
  courses = new Map();
  version = null;
  #handlers;
  #stream;

  /**
   * `onSnapshot(courses)` is told of a catalog read whole, `onChanges(changes)` of each `{action, courseId, version,
   * entry, before}` after it, `onConnection(state)` of how it is connected, `onCurrent()` whenever it is known to
   * equal the server's.
   */
  constructor(handlers = {}, { url = "/api/catalog", second = 1000 } = {}) {
    this.#handlers = handlers;
    this.#stream = new EventStream(this.#source(url), { second });
  }

  start() {
    this.#stream.start();
  }

  stop() {
    this.#stream.stop();
  }

  #source(url) {
    return {
      types: ["catalog_updated", "reset"],
      after: () => this.version ?? 0,
      numberOf: (event) => (event.type === "catalog_updated" ? event.catalogVersion : null),
      url: (after, again) => `${url}/stream?lastEventId=${after}${again ? "&reconnect=yes" : ""}`,
      poll: (after) => this.#poll(url, after),
      take: (events) => this.#take(events),
      isOver: () => false,
      mayGoOn: () => true,
      connection: (state) => this.#handlers.onConnection?.(state),
    };
  }

  async #poll(url, after) {
    const answer = this.version === null ? { reset: true } : await ask("GET", `${url}/changes?since=${after}`);
    if (answer.reset) {
      await this.#read(url);
      this.#handlers.onCurrent?.();
      return { events: [], more: false };
    }
    if (!answer.more) queueMicrotask(() => this.#handlers.onCurrent?.());
    const events = answer.changes.map(({ version, ...change }) => ({
      ...change,
      type: "catalog_updated",
      catalogVersion: version,
    }));
    return { events, more: answer.more };
  }

  async #read(url) {
    const whole = await ask("GET", url);
    this.courses = new Map(whole.courses.map((entry) => [entry.id, entry]));
    this.version = whole.version;
    this.#handlers.onSnapshot?.(this.courses);
  }

  #take(events) {
    const changes = events.filter((event) => event.type === "catalog_updated").map((event) => this.#change(event));
    if (changes.length) this.#handlers.onChanges?.(changes);
    if (events.some((event) => event.type === "reset")) {
      this.version = null;
      this.#stream.refresh();
    }
  }

  #change(event) {
    const change = {
      action: event.action,
      courseId: event.courseId,
      entry: event.entry,
      version: event.catalogVersion,
      before: this.courses.get(event.courseId) ?? null,
    };
    apply(this.courses, change);
    this.version = event.catalogVersion;
    return change;
  }
}
