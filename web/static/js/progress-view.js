/** What <generation-progress> draws of a job's state. Templates only: what happens is in `generation-progress.js`. */

import { html, nothing, svg } from "../vendor/lit-3.3.3/lit.js";
import { isActive, isRetryable } from "./job-state.js";
import { duration } from "./times.js";

const CONNECTION = {
  connecting: "Connecting",
  live: "Live",
  reconnecting: "Reconnecting",
  polling: "Every 2 seconds",
  offline: "Offline",
  ended: "",
  refused: "No access",
};

const MARKS = {
  done: svg`<circle cx="12" cy="12" r="10"></circle><path d="M7.5 12.5l3 3 6-6.5"></path>`,
  failed: svg`<circle cx="12" cy="12" r="10"></circle><path d="M12 6.5v6.5M12 17v.1"></path>`,
  running: svg`<circle cx="12" cy="12" r="10"></circle><path d="M12 2a10 10 0 0 1 10 10"></path>`,
  waiting: svg`<circle cx="12" cy="12" r="10"></circle>`,
};

const SPOKEN = { done: "done", running: "running", waiting: "waiting", failed: "failed" };

/** One word for the whole: it chooses the bar's colour and is read out when it changes. */
export function standing(state) {
  if (state.status === "done") return "done";
  if (state.status === "cancelled") return "cancelled";
  return isRetryable(state) ? "failed" : "running";
}

export function connectionView(connection) {
  const words = CONNECTION[connection] ?? "";
  if (!words) return nothing;
  return html`<span class="connection ${connection}" part="connection">
    <span class="dot" aria-hidden="true"></span><span class="unseen">Connection: </span><span>${words}</span>
  </span>`;
}

export function barView(state) {
  const percent = Math.floor(state.progress);
  return html`<div
    class="bar"
    part="bar"
    role="progressbar"
    aria-label="Progress"
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${percent}
    aria-valuetext="${percent} percent. ${messageOf(state)}"
  >
    <div class="fill" part="fill"></div>
  </div>`;
}

export function factsView(state, secondsLeft) {
  const left = isActive(state) && secondsLeft !== null ? leftOf(secondsLeft) : "";
  return html`<div class="facts">
      <span class="percent" part="percent">${Math.floor(state.progress)} %</span>
      <span class="message" part="message">${messageOf(state)}</span>
      <span class="left" part="time-left">${left}</span>
    </div>
    <p class="topic" part="topic">${topicOf(state)}</p>`;
}

function leftOf(seconds) {
  return seconds <= 1 ? "" : `about ${duration(seconds)} left`; // beyond that nobody knows
}

function messageOf(state) {
  if (state.status === "unknown") return "Looking it up";
  if (state.status === "done") {
    const took = state.totalSeconds ? ` in ${duration(state.totalSeconds)}` : "";
    return `Done${took}`;
  }
  if (state.status === "cancelled") return "Cancelled";
  if (state.status === "dead_letter") return "Given up after several tries";
  if (state.status === "failed") return "Stopped by an error";
  return state.message;
}

function topicOf(state) {
  if (state.topic) return `Generating: ${state.topic.name} (${state.topic.index}/${state.topic.total})`;
  if (state.status === "done" && state.mediaPending) {
    return state.mediaPending === 1 ? "1 picture is still being made" : `${state.mediaPending} pictures are still being made`;
  }
  return "";
}

export function stepsView(state) {
  return html`<ol class="steps" part="steps" aria-label="Steps">
    ${state.steps.map(
      (step) => html`<li class="step ${step.state}" part="step step-${step.state}" aria-current=${step.state === "running" ? "step" : nothing}>
        <svg class="mark" viewBox="0 0 24 24" aria-hidden="true">${MARKS[step.state]}</svg>
        <span>${step.label}<span class="unseen">, ${SPOKEN[step.state]}</span></span>
        <span class="seconds">${step.seconds >= 1 ? duration(step.seconds) : nothing}</span>
      </li>`,
    )}
  </ol>`;
}

export function previewView(state, partial) {
  const written = partial ? partsOf(partial) : [];
  const finished = partial ? finishedParts(partial, state) : new Set();
  const growing = Object.entries(state.texts).filter(([part]) => !finished.has(part));
  const isEmpty = written.length === 0 && growing.length === 0;
  return html`<section class="preview" part="preview" aria-label="What is written so far" tabindex="0">
    ${isEmpty
      ? html`<p class="empty">${isActive(state) || state.status === "unknown" ? "What is written appears here." : "Nothing was written yet."}</p>`
      : html`<h3>Written so far</h3>
          ${growing.map(([, text]) => html`<div class="part"><p class="writing">${lastOf(text)}</p></div>`)}
          ${written.map(
            (part) => html`<div class="part">
              <p class="name">${part.name} <span class="count">${part.count}</span></p>
              ${part.lines.map((line) => html`<p class="line">${line}</p>`)}
            </div>`,
          )}`}
  </section>`;
}

/** The end of a text that grows, from the beginning of a word. */
function lastOf(text) {
  const words = text
    .replaceAll("[blank]", "____")
    .replace(/\[SECTION:([^\]]*)\]/g, "$1")
    .replace(/\[IMAGE:[^\]]*\]/g, "")
    .replace(/[*`]|^#+ /gm, "")
    .replace(/\n{2,}/g, "\n")
    .trimEnd();
  return words.length > 320 ? `… ${words.slice(-320).replace(/^\S*\s/, "")}` : words;
}

/** The beginning of a text, up to the end of a word. */
function firstOf(text) {
  return text.length > 180 ? `${text.slice(0, 180).replace(/\s+\S*$/, "")} …` : text;
}

/** The names of finished parts, as the text that grows is labelled with. */
function finishedParts({ groups = [], studyTexts = [], topics = [] }, state) {
  // A topic's first lessons can be read while its last one is still being written.
  const isWhole = (at) => state.topics.some((topic) => topic.index === at + 1 && topic.state === "done");
  return new Set([
    ...groups.filter((group) => group.items?.length).map((group) => `group:${group.id}`),
    ...studyTexts.map((text) => `text:${text.id}`),
    ...topics.filter((_, at) => isWhole(at)).map((topic) => `topic:${topic.id}`),
  ]);
}

/** What is finished, as names with a few lines each; the newest kind of thing first. */
function partsOf(partial) {
  const topics = (partial.topics ?? []).map((topic) => ({
    name: topic.name,
    count: counted(topic.lessons?.length ?? 0, "lesson"),
    lines: (topic.lessons ?? []).map((lesson) => lesson.title),
  }));
  const texts = (partial.studyTexts ?? []).map((text) => ({
    name: text.title,
    count: "",
    lines: [firstOf(plain(text.content))],
  }));
  const groups = (partial.groups ?? [])
    .filter((group) => group.items?.length)
    .map((group) => ({
      name: group.name,
      count: counted(group.items.length, "item"),
      lines: group.items.slice(0, 3).map((item) => (item.text ?? "").replace("[blank]", "____")),
    }));
  return [...topics, ...texts, ...groups];
}

function counted(number, word) {
  return number === 1 ? `1 ${word}` : `${number} ${word}s`;
}

/** A text without its markers and the signs of Markdown. */
function plain(content) {
  return content
    .replace(/\[(?:SECTION|IMAGE):[^\]]*\]/g, " ")
    .replace(/!\[[^\]]*\]\([^)]*\)/g, " ")
    .replace(/[#*_`>]/g, "")
    .replace(/\s+/g, " ")
    .trim();
}

export function notesView(state, problem) {
  return html`
    ${problem ? html`<div class="note bad" part="problem" role="alert">${problem}</div>` : nothing}
    ${state.retry ? html`<div class="note quiet" part="retrying"><strong>${state.retry.error.message}</strong>It is tried again by itself.</div>` : nothing}
    ${state.error && isRetryable(state) ? errorView(state) : nothing}
    ${state.status === "cancelled"
      ? html`<div class="note quiet" part="cancelled">What was finished is kept. Take it up again, and it goes on from there.${state.reason ? html` <span>Reason: ${state.reason}</span>` : nothing}</div>`
      : nothing}
  `;
}

function errorView(state) {
  const found = (state.error.details?.problems ?? []).filter((one) => (one.severity ?? "error") === "error");
  const problems = found.length > 1 ? found : []; // a single one is in the sentence already
  const step = state.steps.find((one) => one.name === state.failedStep);
  return html`<div class="note bad" part="error" role="alert">
    <strong>${state.error.message}</strong>
    ${step ? html`At the step “${step.label}”. ` : nothing}<code>${state.error.code}</code>
    ${problems.length
      ? html`<ul>
          ${problems.slice(0, 5).map((one) => html`<li>${one.message ?? one.code}</li>`)}
          ${problems.length > 5 ? html`<li>and ${problems.length - 5} more</li>` : nothing}
        </ul>`
      : nothing}
  </div>`;
}

/** `acts` are the callbacks of the buttons; `mayWrite` is false where there is nobody to cancel or retry as. */
export function actionsView(state, { confirming, busy, mayWrite, courseHref }, acts) {
  const href = state.status === "done" && state.courseId && courseHref;
  return html`<div class="actions" part="actions">
    ${href ? html`<a class="button main" part="open" href=${href}>Open the course</a>` : nothing}
    ${mayWrite && isRetryable(state)
      ? html`<button type="button" class="main" part="retry" ?disabled=${busy} @click=${acts.retry}>
          ${state.status === "cancelled" ? "Take it up again" : "Try again from here"}
        </button>`
      : nothing}
    ${mayWrite && isActive(state) ? (confirming ? confirmView(busy, acts) : cancelView(acts)) : nothing}
    <slot name="actions"></slot>
  </div>`;
}

function cancelView(acts) {
  return html`<button type="button" part="cancel" @click=${acts.ask}>Cancel</button>`;
}

function confirmView(busy, acts) {
  return html`<div role="alertdialog" aria-labelledby="sure" class="actions" @keydown=${acts.key}>
    <span class="words" id="sure">Stop making this course? What is finished is kept.</span>
    <button type="button" class="grave" part="cancel-confirm" ?disabled=${busy} @click=${acts.cancel}>Stop it</button>
    <button type="button" id="go-on" part="cancel-dismiss" @click=${acts.dismiss}>Keep going</button>
  </div>`;
}
