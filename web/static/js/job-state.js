/**
 * What a job's events add up to. Pure: no network, no clock, no page.
 *
 * `fold(state, event)` gives the next state, or the very same object when the event says nothing new: one that was
 * seen before, or of a type that only newer pages know. A state is never changed in place.
 */

/** The steps of each kind of job, in order, as a person reads them before they have begun. */
export const STEPS = {
  course: {
    skeleton: "Plan the course",
    fill: "Write items and texts",
    validate: "Check every item",
    persist: "Save the course",
    catalog: "List it in the catalog",
    media: "Order pictures",
  },
  exam_course: {
    settings: "Read the settings",
    questions: "Load the questions",
    topics: "Find the topics",
    lessons: "Write the lessons",
    validate: "Check lessons and answers",
    persist: "Save the course",
    catalog: "List it in the catalog",
  },
  media: {
    picture: "Make the picture",
    attach: "Put it into the course",
  },
};

/** How much of the text that is being written is kept for each part, in characters. */
const LONGEST_TEXT = 4000;

const FINAL = new Set(["done", "failed", "cancelled", "dead_letter"]);

/** A job of which nothing is known yet. */
export function fresh(jobId) {
  return {
    jobId,
    jobType: null,
    seq: 0,
    status: "unknown",
    run: 1,
    progress: 0,
    message: "",
    steps: [],
    topic: null,
    topics: [],
    texts: {},
    error: null,
    failedStep: null,
    canResume: false,
    retry: null,
    courseId: null,
    lectureId: null,
    mediaPending: 0,
    media: { completed: 0, failed: 0 },
    estimatedSeconds: null,
    createdAt: null,
    totalSeconds: null,
    reason: "",
  };
}

/** Whether nothing more will be told of this job, unless somebody retries it. */
export function isOver(state) {
  return FINAL.has(state.status) && state.mediaPending === 0;
}

/** Whether it has neither ended nor is waiting for a person. */
export function isActive(state) {
  return state.status === "pending" || state.status === "processing";
}

/** Whether a person may ask for it to be taken up again. */
export function isRetryable(state) {
  return state.status === "failed" || state.status === "cancelled" || state.status === "dead_letter";
}

/** The state after one event. */
export function fold(state, event) {
  if (typeof event.seq === "number") {
    if (event.seq <= state.seq) return state;
    state = { ...state, seq: event.seq };
  }
  const next = Object.hasOwn(AFTER, event.type) ? AFTER[event.type] : null;
  return next === null ? state : next(state, event);
}

/** The state with what only the job itself says, as `GET /api/jobs/{id}` shows it. Its status is left to the events. */
export function withJob(state, job) {
  const steps = state.steps.length ? state.steps : blankSteps(job.jobType, job.totalSteps);
  // Events tell an error in a sentence; what it is made of, such as the problems of a course, is in the job.
  const isSame = state.error && job.error && job.error.code === state.error.code;
  return {
    ...state,
    jobType: job.jobType,
    steps,
    error: isSame ? { ...state.error, details: job.error.details } : state.error,
    courseId: state.courseId ?? job.courseId,
    lectureId: state.lectureId ?? job.lectureId,
  };
}

const AFTER = {
  job_created: (state, event) => ({
    ...state,
    status: "pending",
    message: state.message || "Waiting for its turn",
    estimatedSeconds: event.estimatedDuration ?? null,
    createdAt: event.timestamp,
  }),

  step_started: (state, event) => ({
    ...atStep(state, event, "running"),
    topic: null,
    topics: [],
    texts: {},
    error: null,
    failedStep: null,
    retry: null,
  }),

  step_progress: (state, event) => atStep(state, event, "running"),

  step_completed: (state, event) => ({ ...atStep(state, event, "done"), topic: null, texts: {} }),

  topic_started: (state, event) => ({
    ...atTopic(state, event, "running"),
    topic: { name: event.topicName, index: event.topicIndex, total: event.totalTopics },
  }),

  topic_progress: (state, event) => atTopic(state, event, "running"),

  topic_completed: (state, event) => {
    const next = atTopic(state, event, "done");
    const running = next.topics.find((topic) => topic.state === "running");
    const topic = running ? { name: running.name, index: running.index, total: event.totalTopics } : null;
    return { ...next, topic };
  },

  media_completed: (state) => settledOne(state, "completed"),
  media_failed: (state) => settledOne(state, "failed"),
  media_settled: (state, event) => ({
    ...state,
    mediaPending: 0,
    media: { completed: event.completed, failed: event.failed },
  }),

  job_retrying: (state, event) => {
    const from = state.steps.findIndex((step) => step.name === event.step);
    const steps = state.steps.map((step, at) =>
      step.state === "done" && (from < 0 || at < from) ? step : { ...step, state: "waiting", seconds: null },
    );
    return {
      ...state,
      status: "pending",
      run: state.run + 1,
      steps,
      topic: null,
      texts: {},
      failedStep: null,
      canResume: false,
      error: null,
      reason: "",
      message: event.error ? event.error.message : "Waiting for its turn",
      retry: event.error ? { at: event.nextRunAt, attempt: event.attempt, error: event.error } : null,
    };
  },

  job_completed: (state, event) => ({
    ...state,
    status: "done",
    progress: 100,
    steps: state.steps.map((step) => ({ ...step, state: "done" })),
    topic: null,
    texts: {},
    error: null,
    retry: null,
    courseId: event.courseId ?? state.courseId,
    lectureId: event.lectureId ?? state.lectureId,
    totalSeconds: event.totalDuration,
    mediaPending: event.mediaPending,
  }),

  job_failed: (state, event) => ({
    ...state,
    status: event.deadLetter ? "dead_letter" : "failed",
    error: event.error,
    failedStep: event.failedStep,
    canResume: event.canResume,
    topic: null,
    texts: {},
    retry: null,
    steps: state.steps.map((step) => {
      if (step.name === event.failedStep) return { ...step, state: "failed" };
      return step.state === "running" ? { ...step, state: "waiting" } : step;
    }),
  }),

  job_cancelled: (state, event) => ({
    ...state,
    status: "cancelled",
    reason: event.reason,
    topic: null,
    texts: {},
    error: null,
    retry: null,
    steps: state.steps.map((step) => (step.state === "running" ? { ...step, state: "waiting" } : step)),
  }),

  content_delta: (state, event) => {
    if (state.status !== "processing" || !event.text) return state;
    const text = ((state.texts[event.part] ?? "") + event.text).slice(-LONGEST_TEXT);
    return { ...state, texts: { ...state.texts, [event.part]: text } };
  },

  job_snapshot: (state, event) => fromSnapshot(state, event.job),
};

/** The steps of a kind of job, none begun. Of a kind this page doesn't know only their number is known. */
function blankSteps(jobType, total) {
  const known = Object.entries(STEPS[jobType] ?? {});
  return Array.from({ length: total }, (_, at) => {
    const [name, label] = known.length === total ? known[at] : [null, `Step ${at + 1}`];
    return { name, label, state: "waiting", seconds: null };
  });
}

/** The kind of job whose step of this name stands at this place. */
function kindWith(step, index, total) {
  const found = Object.entries(STEPS).find(([, steps]) => {
    const names = Object.keys(steps);
    return names.length === total && names[index] === step;
  });
  return found ? found[0] : null;
}

function atStep(state, event, how) {
  const jobType = state.jobType ?? kindWith(event.step, event.stepIndex, event.totalSteps);
  const before = state.steps.length === event.totalSteps ? state.steps : blankSteps(jobType, event.totalSteps);
  const steps = before.map((step, at) => {
    if (at < event.stepIndex) return step.state === "done" ? step : { ...step, state: "done" };
    if (at > event.stepIndex) return step;
    const named = step.name === event.step ? step : { ...step, name: event.step };
    return { ...named, state: how, seconds: event.duration ?? null };
  });
  return moved({ ...state, jobType, steps, message: event.message }, event);
}

function atTopic(state, event, how) {
  const topic = {
    index: event.topicIndex,
    name: event.topicName,
    state: how,
    items: event.itemsGenerated ?? 0,
    lessons: event.lessonsGenerated ?? 0,
  };
  const topics = [...state.topics.filter((other) => other.index !== topic.index), topic];
  topics.sort((one, other) => one.index - other.index);
  return moved({ ...state, topics }, event);
}

/** At work, and never behind where it was within the same run. */
function moved(state, event) {
  const isNewRun = state.status !== "processing";
  const progress = typeof event.progress === "number" ? event.progress : state.progress;
  return { ...state, status: "processing", progress: isNewRun ? progress : Math.max(state.progress, progress) };
}

function settledOne(state, how) {
  return {
    ...state,
    mediaPending: Math.max(0, state.mediaPending - 1),
    media: { ...state.media, [how]: state.media[how] + 1 },
  };
}

/** What stands in for events that are no longer kept. */
function fromSnapshot(state, job) {
  const steps = blankSteps(job.jobType, job.totalSteps).map((step, at) => {
    if (job.status === "done" || at < job.currentStepIndex) return { ...step, state: "done" };
    if (at > job.currentStepIndex) return step;
    if (job.status === "failed" || job.status === "dead_letter") return { ...step, state: "failed" };
    return job.status === "processing" ? { ...step, state: "running" } : step;
  });
  const topic = job.currentTopic
    ? { name: job.currentTopic, index: job.currentTopicIndex, total: job.totalTopics }
    : null;
  return {
    ...state,
    jobType: job.jobType,
    status: job.status === "stale" ? "processing" : job.status,
    run: job.runNumber,
    progress: job.progress,
    message: job.progressMessage,
    steps,
    topic: job.status === "processing" ? topic : null,
    error: job.error,
    failedStep: job.error ? job.error.step : null,
    canResume: FINAL.has(job.status) && job.status !== "done",
    courseId: job.courseId,
    lectureId: job.lectureId,
    mediaPending: job.mediaPending,
    createdAt: job.createdAt,
    reason: job.cancellationReason ?? "",
  };
}
