/**
 * <generation-progress job-id="..." stream-url="..."></generation-progress>
 *
 * Shows a job while it is at work: how far it is, its steps, what is being written, how it is connected. It can be
 * cancelled, and taken up again when it failed. It works on any page; docs/embedding.md says how.
 *
 * Attributes: `job-id`; `stream-url` (as the API gave it; when it is missing, the page's own server is asked);
 * `heading` (else the course's subject); `course-href`, where a finished course is, with `{courseId}` in it;
 * `read-only`, for those who may look and no more.
 * Events: `completed`, `failed` and `cancelled`, with the job as `detail`; `progressed` with the folded state.
 */

import { LitElement, html, nothing } from "../vendor/lit-3.3.3/lit.js";
import { ask } from "./api.js";
import { EventStream } from "./event-stream.js";
import { fold, fresh, isActive, isOver, isRetryable, withJob } from "./job-state.js";
import { styles } from "./progress-styles.js";
import {
  actionsView,
  barView,
  connectionView,
  factsView,
  notesView,
  previewView,
  standing,
  stepsView,
} from "./progress-view.js";

const TYPES = [
  "job_created",
  "step_started",
  "step_progress",
  "step_completed",
  "topic_started",
  "topic_progress",
  "topic_completed",
  "media_completed",
  "media_failed",
  "media_settled",
  "job_retrying",
  "job_completed",
  "job_failed",
  "job_cancelled",
  "job_snapshot",
  "content_delta",
];
/** After these there may be more to read. */
const BRINGS_MORE = new Set([
  "step_completed",
  "topic_progress",
  "topic_completed",
  "job_completed",
  "job_failed",
  "job_snapshot",
]);
/** Milliseconds in which several reasons to read something become one. */
const TOGETHER = 300;

export class GenerationProgress extends LitElement {
  static styles = styles;
  static properties = {
    jobId: { attribute: "job-id" },
    streamUrl: { attribute: "stream-url" },
    heading: {},
    courseHref: { attribute: "course-href" },
    readOnly: { attribute: "read-only", type: Boolean },
    state: { state: true },
    connection: { state: true },
    partial: { state: true },
    job: { state: true },
    secondsLeft: { state: true },
    confirming: { state: true },
    busy: { state: true },
    problem: { state: true },
  };

  #stream = null;
  #reading = null;
  #clock = null;
  #ended = null;

  constructor() {
    super();
    this.#forget();
  }

  connectedCallback() {
    super.connectedCallback();
    this.#clock = setInterval(() => this.#countDown(), 1000);
    if (this.hasUpdated) this.#follow();
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearInterval(this.#clock);
    clearTimeout(this.#reading);
    this.#reading = null;
    this.#stream?.stop();
    this.#stream = null;
  }

  updated(changed) {
    if (changed.has("jobId") || changed.has("streamUrl")) this.#follow();
    const fill = this.renderRoot.querySelector(".fill");
    // Not as an attribute: a page may forbid styles that are written into it.
    if (fill) fill.style.transform = `translateX(${this.state.progress - 100}%)`;
    if (changed.get("confirming") === false && this.confirming) this.renderRoot.getElementById("go-on")?.focus();
  }

  render() {
    const state = this.state;
    const acts = {
      ask: () => (this.confirming = true),
      dismiss: () => this.#dismiss(),
      cancel: () => this.#write("cancel", { reason: "" }),
      retry: () => this.#write("retry"),
      key: (event) => this.#key(event),
    };
    const buttons = {
      confirming: this.confirming,
      busy: this.busy,
      mayWrite: this.#isOwn && !this.readOnly,
      courseHref: this.courseHref?.replace("{courseId}", encodeURIComponent(state.courseId ?? "")),
    };
    // What can be done about a failure stands right below it, where it is seen on a phone as well.
    const actions = actionsView(state, buttons, acts);
    return html`<section part="panel" class=${standing(state)} aria-busy=${isActive(state) ? "true" : "false"}>
      <div class="head"><h2 part="heading">${this.#title}</h2>${connectionView(this.connection)}</div>
      ${barView(state)} ${factsView(state, this.secondsLeft)} ${notesView(state, this.problem)}
      ${isRetryable(state) ? actions : nothing}
      <div class="body">${stepsView(state)} ${previewView(state, this.partial)}</div>
      ${isRetryable(state) ? nothing : actions}
      <div class="unseen" role="status" aria-live="polite">${this.#spoken(state)}</div>
    </section>`;
  }

  get #title() {
    return this.heading || this.job?.payload?.title || this.job?.payload?.subject || "Your course";
  }

  /** What is worth interrupting somebody for. */
  #spoken(state) {
    if (this.connection === "offline" || this.connection === "reconnecting") return "The connection is interrupted.";
    const step = state.steps.find((one) => one.state === "running");
    if (isActive(state)) return step ? `${step.label}.` : "";
    if (state.status === "done") return "The course is done.";
    return isRetryable(state) ? (state.error?.message ?? "The job was cancelled.") : "";
  }

  get #streamAddress() {
    const url = this.streamUrl || `/api/jobs/${encodeURIComponent(this.jobId)}/stream`;
    return new URL(url, document.baseURI);
  }

  /** Whether the stream is on the page's own server, whose cookie says who may cancel. */
  get #isOwn() {
    return this.#streamAddress.origin === location.origin;
  }

  #path(rest, query = {}) {
    const url = new URL(`/api/jobs/${encodeURIComponent(this.jobId)}${rest}`, this.#streamAddress.origin);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  #forget() {
    this.state = fresh(null);
    this.connection = "connecting";
    this.partial = null;
    this.job = null;
    this.secondsLeft = null;
    this.confirming = false;
    this.busy = false;
    this.problem = null;
    this.#ended = null;
  }

  #follow() {
    this.#stream?.stop();
    this.#forget();
    if (!this.jobId) return;
    this.state = fresh(this.jobId);
    this.#stream = new EventStream({
      types: TYPES,
      after: () => this.state.seq,
      numberOf: (event) => event.seq ?? null,
      url: (after, again) => {
        const url = this.#streamAddress;
        url.searchParams.set("lastEventId", after);
        if (again) url.searchParams.set("reconnect", "yes");
        return url;
      },
      poll: (after) => this.#poll(after),
      canPoll: this.#isOwn,
      take: (events) => this.#take(events),
      isOver: () => isOver(this.state),
      mayGoOn: () => isRetryable(this.state),
      connection: (state) => (this.connection = state),
    });
    this.#stream.start();
    this.#readSoon();
  }

  async #poll(after) {
    // Another server's pages say nothing to ours but its stream, which begins with all that happened.
    if (!this.#isOwn) return { events: [], more: false };
    const { events } = await ask("GET", this.#path("/events", { after }));
    if (after === 0 && events[0]?.seq !== 1) {
      const { job } = await ask("GET", this.#path(""));
      events.unshift({ type: "job_snapshot", job });
    }
    return { events, more: events.length >= 1000 };
  }

  #take(events) {
    this.state = events.reduce(fold, this.state);
    if (events.some((event) => BRINGS_MORE.has(event.type))) this.#readSoon();
    if (!isActive(this.state)) this.confirming = false;
    this.dispatchEvent(new CustomEvent("progressed", { detail: this.state }));
    this.#tellEnd();
  }

  /** Read the job and what is finished of it, soon. */
  #readSoon() {
    if (!this.#isOwn || this.#reading !== null) return;
    this.#reading = setTimeout(async () => {
      this.#reading = null;
      const jobId = this.jobId;
      try {
        const asked = [ask("GET", this.#path("")), ask("GET", this.#path("/partial"))];
        const [{ job }, partial] = await Promise.all(asked);
        if (jobId !== this.jobId) return;
        this.job = job;
        this.partial = partial;
        this.state = withJob(this.state, job);
        this.secondsLeft = job.estimatedSecondsLeft;
      } catch {
        // The next step brings the next chance; the stream tells when something is wrong.
      }
    }, TOGETHER);
  }

  #countDown() {
    if (this.secondsLeft === null || !isActive(this.state)) return;
    this.secondsLeft = Math.max(1, this.secondsLeft - 1);
    // What half of the past jobs took is over. The server knows what nine of ten took, or that nobody knows.
    if (this.secondsLeft === 1 && this.connection === "live") this.#readSoon();
  }

  /** Tell the page once that the job has ended, and again when it ended again after a retry. */
  async #tellEnd() {
    const how = { done: "completed", failed: "failed", dead_letter: "failed", cancelled: "cancelled" }[this.state.status];
    if (how === undefined) this.#ended = null;
    if (how === undefined || this.#ended === how) return;
    this.#ended = how;
    const { jobId, state } = this;
    let detail = { jobId, status: state.status, courseId: state.courseId, error: state.error };
    try {
      if (this.#isOwn) detail = (await ask("GET", this.#path(""))).job;
    } catch {
      // What the events said will do.
    }
    if (jobId !== this.jobId) return;
    this.dispatchEvent(new CustomEvent(how, { detail, bubbles: true, composed: true }));
  }

  async #write(what, json) {
    this.busy = true;
    this.problem = null;
    try {
      await ask("POST", this.#path(`/${what}`), { json });
    } catch (error) {
      this.problem = error.message;
    }
    this.busy = false;
    this.confirming = false;
    this.#stream?.refresh();
  }

  #key(event) {
    if (event.key !== "Escape") return;
    event.preventDefault(); // or a dialog around this would close as well
    this.#dismiss();
  }

  async #dismiss() {
    this.confirming = false;
    await this.updateComplete;
    this.renderRoot.querySelector("[part~=cancel]")?.focus();
  }
}

if (!customElements.get("generation-progress")) customElements.define("generation-progress", GenerationProgress);
