/** Ask for a course from an exam that is pasted or chosen as a file. */

import { ask, Unreachable } from "./api.js";
import { Asking, clear, held, onSend, show } from "./form.js";
import { showJob } from "./job-dialog.js";

const form = document.getElementById("from-exam");
const { content, file, format, title } = form.elements;
const place = document.getElementById("preview");
const asking = new Asking();
/** Done when the chosen file is read. */
let reading = Promise.resolve();
/** The exam that was made last, and what was sent for it: a course that was refused needs no second exam. */
const made = { sent: null, exam: null };

/** What the questions are written in, as far as one can see. */
function guessed(text) {
  const begins = text.trimStart()[0];
  if (begins === "{" || begins === "[") return "json";
  return /::|\{[^}]*[=~#]|\{\s*(?:T|F|TRUE|FALSE)?\s*\}|^\/\//m.test(text) ? "gift" : "csv";
}

/** What is sent: the questions as a file, and what the form says about them. */
function sending() {
  const { lessonsPerTopic: _, format: chosen, content: text = "", ...about } = held(form);
  const kind = chosen === "auto" ? guessed(text) : chosen;
  const body = new FormData();
  for (const [name, value] of Object.entries({ ...about, format: kind })) body.set(name, value);
  body.set("file", new File([text], `questions.${kind}`, { type: "text/plain" }));
  return { body, isEmpty: text === "", same: JSON.stringify([about, kind, text]) };
}

function needContent({ isEmpty }) {
  if (isEmpty) throw faulty("content", "Paste the questions, or choose a file.");
}

function faulty(path, message) {
  return Object.assign(new Error(message), { errors: [{ path, message }] });
}

/** A fault in words that say where it is: by its line where there are lines, else by its question. */
function wordsOf({ path, message }) {
  const [, number, field] = path.split(".");
  if (path === "questions") return "There are no questions in it.";
  if (!path.startsWith("questions.") || /^Line \d/.test(message)) return message;
  return `Question ${Number(number) + 1}${field ? `, ${field}` : ""}: ${message}`;
}

/** Faults of questions stand at the field they were pasted into. */
function atContent(error) {
  const isOfContent = (path) => /^(questions|file|body)\b/.test(path);
  const errors = (error.errors ?? []).map((fault) =>
    isOfContent(fault.path) ? { path: "content", message: wordsOf(fault) } : fault,
  );
  if (!errors.length && error.code === "malformed_json") errors.push({ path: "content", message: error.message });
  return Object.assign(error, { errors });
}

async function look() {
  clear(form);
  try {
    const sent = sending();
    needContent(sent);
    draw(await ask("POST", "/api/exams/preview", { body: sent.body }));
  } catch (error) {
    place.hidden = true;
    show(form, atContent(error));
  }
}

function element(name, words, className) {
  return Object.assign(document.createElement(name), { textContent: words, className: className ?? "" });
}

/** What was found: the questions with their answers, and by line what is wrong or was left out. */
function draw({ questions, problems, notes }) {
  const count = questions.length === 1 ? "1 question" : `${questions.length} questions`;
  place.replaceChildren(element("h2", problems.length ? `${count}, ${problems.length} to mend` : count));
  if (problems.length || notes.length) {
    const list = document.createElement("ul");
    list.append(...problems.map((one) => element("li", wordsOf(one), "fault")));
    list.append(...notes.map((one) => element("li", `Line ${one.line}: ${one.message}`, "quiet")));
    place.append(list);
  }
  const list = document.createElement("ol");
  for (const question of questions) {
    const item = element("li", question.text);
    const key = question.answers.length ? question.answers.join(" · ") : "no answer given";
    item.append(document.createElement("br"), element("span", key, question.answers.length ? "key" : "quiet"));
    list.append(item);
  }
  place.append(list);
  place.hidden = false;
}

async function choose() {
  const [chosen] = file.files;
  if (!chosen) return;
  clear(form);
  try {
    content.value = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
  } catch {
    show(form, faulty("file", "The file is not in UTF-8. Save it as UTF-8 and choose it again."), () => "file");
    return;
  }
  const ending = chosen.name.split(".").at(-1).toLowerCase();
  format.value = { csv: "csv", tsv: "csv", gift: "gift", json: "json" }[ending] ?? "auto";
  title.value ||= chosen.name.replace(/\.[^.]*$/, "").slice(0, 120);
  await look();
}

async function examOf(sent) {
  if (made.sent !== sent.same) {
    const { exam } = await ask("POST", "/api/exams", { body: sent.body });
    Object.assign(made, { sent: sent.same, exam });
  }
  return made.exam;
}

onSend(form, async () => {
  await reading;
  const sent = sending();
  needContent(sent);
  try {
    const exam = await examOf(sent);
    const { lessonsPerTopic } = held(form);
    const payload = { examId: exam.id, ...(lessonsPerTopic === undefined ? {} : { lessonsPerTopic }) };
    const { jobId, streamUrl } = await asking.start({ jobType: "exam_course", payload });
    showJob({ jobId, streamUrl, heading: exam.title });
  } catch (error) {
    throw error instanceof Unreachable ? error : atContent(error);
  }
});
document.getElementById("look").addEventListener("click", look);
file.addEventListener("change", () => (reading = choose()));
