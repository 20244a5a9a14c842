/**
 * Numbered events from a server, each once and in order, whatever the network does.
 *
 * First what happened so far is asked for in one answer, then an `EventSource` tells what comes. When that breaks, it
 * is opened anew after 2, 4, 8 ... at most 30 seconds, from the last number that was seen: a browser's own way of
 * reconnecting knows no such pauses. Where a stream can't be had (a proxy that holds it back, say), events are asked
 * for every two seconds. In a tab that nobody sees they are asked for now and then, because a browser opens only six
 * connections to a server for all of its tabs.
 *
 * The source says where things are and keeps what arrives:
 *
 *     after()            the number of the last event that was taken
 *     numberOf(event)    an event's number; null for one that has none and is taken as it comes
 *     url(after, again)  where the stream from a number on is; `again`: there was one before
 *     types              the names of the events of the stream
 *     poll(after)        a promise of {events, more}; it is rejected with an error that may have a `status`
 *     canPoll            false where polling never finds anything, so that there is the stream or nothing
 *     take(events)       events that are new, in order
 *     isOver()           whether nothing more will come
 *     mayGoOn()          whether something may come all the same, because somebody elsewhere takes it up again
 *     connection(state)  told of each change: connecting, live, reconnecting, polling, offline, ended or refused
 */

const LONGEST_PAUSE = 30;
/** A stream that brought nothing for this long is compared with what polling finds. */
const FIRST_LOOK = 6;
const LATER_LOOK = 45;
/** How long the stream may be later than polling. */
const LAG = 2;
const POLL = 2;
const POLL_UNSEEN = 10;
/** After so many polls the stream is tried again, and then after each so many more. */
const [FIRST_TRY, LATER_TRIES] = [5, 30];
const FAILURES_BEFORE_POLLING = 2;
/** How often what has ended is looked at again, in case it goes on. */
const AFTERWARDS = 5;
/** How long a tab may be out of sight before its stream is closed. */
const UNSEEN = 3;
/** Who is told these may stop asking: there is no such thing, or not for them. */
const REFUSALS = new Set([401, 403, 404, 410]);

export class EventStream {
  #source;
  #second;
  #stream = null;
  #timers = new Map();
  /** Streams in a row that never opened, and pauses since one did. */
  #failures = 0;
  #pauses = 0;
  #state = null;
  #running = false;
  #wasOpen = false;
  /** Rises whenever everything is begun anew, so that late answers are known as such. */
  #turn = 0;
  #streamed = 0;
  #polls = 0;
  #listeners = null;

  /** `second` is the length of a second in milliseconds. */
  constructor(source, { second = 1000 } = {}) {
    this.#source = source;
    this.#second = second;
  }

  get state() {
    return this.#state;
  }

  start() {
    if (this.#running) return;
    this.#running = true;
    this.#listeners = new AbortController();
    const { signal } = this.#listeners;
    addEventListener("online", () => this.#again(), { signal });
    addEventListener("offline", () => this.#offline(), { signal });
    addEventListener("pagehide", () => this.#close(), { signal });
    addEventListener("pageshow", (event) => event.persisted && this.#again(), { signal });
    document.addEventListener("visibilitychange", () => this.#seenOrNot(), { signal });
    this.#begin("connecting");
  }

  stop() {
    this.#running = false;
    this.#listeners?.abort();
    this.#close();
  }

  /** Look at once: something may have happened, or have been undone. */
  refresh() {
    if (this.#running) this.#again();
  }

  #again() {
    this.#failures = this.#pauses = 0;
    const wasAway = this.#state === "offline" || this.#state === "reconnecting";
    this.#begin(wasAway ? "reconnecting" : "connecting");
  }

  #offline() {
    this.#close();
    this.#tell("offline");
  }

  #seenOrNot() {
    if (document.hidden) this.#after("unseen", UNSEEN, () => document.hidden && this.#begin(this.#state));
    else if (this.#timers.has("unseen")) this.#clear("unseen");
    else this.#again();
  }

  /** Learn what happened so far, then follow. */
  async #begin(state) {
    this.#close();
    const turn = this.#turn;
    if (navigator.onLine === false) return this.#offline();
    this.#tell(state);
    const answer = await this.#catchUp(turn);
    if (turn !== this.#turn) return;
    if (this.#source.isOver()) this.#end();
    else if (answer === "failed") this.#reconnect();
    else if (answer === "refused") this.#tell("refused");
    else if (document.hidden) this.#keepPolling();
    else this.#open();
  }

  /** Take everything that polling finds: "done", "failed" when it couldn't be had, "refused" when it never will be. */
  async #catchUp(turn) {
    try {
      for (let more = true; more; ) {
        const answer = await this.#source.poll(this.#source.after());
        if (turn !== this.#turn) return "late";
        this.#take(answer.events, { whole: true });
        more = Boolean(answer.more);
      }
      return "done";
    } catch (error) {
      return REFUSALS.has(error.status) ? "refused" : "failed";
    }
  }

  #open() {
    const stream = new EventSource(this.#source.url(this.#source.after(), this.#wasOpen));
    const turn = this.#turn;
    let opened = false;
    this.#stream = stream;
    this.#streamed = this.#source.after();
    stream.addEventListener("open", () => {
      opened = this.#wasOpen = true;
      this.#failures = this.#pauses = this.#polls = 0;
      this.#tell("live");
    });
    for (const type of this.#source.types) {
      stream.addEventListener(type, (message) => this.#arrived(message));
    }
    stream.addEventListener("error", () => {
      if (turn !== this.#turn) return;
      const wasRefused = stream.readyState === EventSource.CLOSED && !opened;
      this.#close();
      this.#failures += opened ? 0 : 1;
      this.#broken(wasRefused);
    });
    this.#after("look", FIRST_LOOK, () => this.#compare(turn));
  }

  /** A stream that was refused may be over, or not for us, or never to be had; polling tells which. */
  async #broken(wasRefused) {
    const turn = this.#turn;
    if (navigator.onLine === false) return this.#offline();
    if (this.#source.isOver()) return this.#end();
    this.#tell("reconnecting");
    if (wasRefused || this.#failures >= FAILURES_BEFORE_POLLING) {
      const answer = await this.#catchUp(turn);
      if (turn !== this.#turn) return;
      if (this.#source.isOver()) return this.#end();
      if (answer === "refused") return this.#tell("refused");
      const isBlocked = this.#failures >= FAILURES_BEFORE_POLLING && this.#source.canPoll !== false;
      if (answer === "done" && isBlocked) return this.#keepPolling();
    }
    this.#reconnect();
  }

  #reconnect() {
    this.#tell("reconnecting");
    // Not all who lost the same server come back at the same moment.
    this.#pauses += 1;
    const pause = Math.min(2 ** this.#pauses, LONGEST_PAUSE) * (1 + Math.random() / 4);
    const turn = this.#turn;
    this.#after("reconnect", pause, () => {
      if (turn !== this.#turn) return;
      if (document.hidden) this.#keepPolling();
      else this.#open();
    });
  }

  #arrived(message) {
    const event = JSON.parse(message.data);
    const number = this.#source.numberOf(event);
    if (number !== null) this.#streamed = Math.max(this.#streamed, number);
    const turn = this.#turn;
    this.#take([event], { whole: false });
    if (turn !== this.#turn) return;
    if (this.#source.isOver()) this.#end();
    else this.#after("look", LATER_LOOK, () => this.#compare(turn));
  }

  /** A stream that is silent is right, or dead, or held back somewhere. */
  async #compare(turn) {
    const answer = await this.#catchUp(turn);
    if (turn !== this.#turn || this.#stream === null) return;
    if (this.#source.isOver()) return this.#end();
    if (answer === "refused") {
      this.#close();
      return this.#tell("refused");
    }
    if (answer !== "done" || this.#source.after() <= this.#streamed) {
      this.#after("look", LATER_LOOK, () => this.#compare(turn));
      return;
    }
    const found = this.#source.after();
    this.#after("look", LAG, () => {
      if (turn !== this.#turn) return;
      if (this.#streamed >= found) this.#after("look", LATER_LOOK, () => this.#compare(turn));
      else this.#keepPolling();
    });
  }

  #keepPolling() {
    this.#close();
    const turn = this.#turn;
    this.#tell("polling");
    this.#after("poll", document.hidden ? POLL_UNSEEN : POLL, async () => {
      const answer = await this.#catchUp(turn);
      if (turn !== this.#turn) return;
      if (this.#source.isOver()) return this.#end();
      if (answer === "refused") return this.#tell("refused");
      if (answer === "failed") return this.#reconnect();
      this.#polls += 1;
      if (!document.hidden && (this.#polls === FIRST_TRY || this.#polls % LATER_TRIES === 0)) {
        this.#failures = FAILURES_BEFORE_POLLING - 1;
        this.#open();
      } else this.#keepPolling();
    });
  }

  /** Pass on what is new. `whole`: these are all there are, so that a gap between them is one for good. */
  #take(events, { whole }) {
    const fresh = [];
    let last = this.#source.after();
    for (const event of events) {
      const number = this.#source.numberOf(event);
      if (number === null) fresh.push(event);
      else if (number === last + 1 || (whole && number > last)) {
        fresh.push(event);
        last = number;
      } else if (number > last) {
        // Something is missing before it. Whoever asks gets all of it, this one too.
        this.#after("gap", 0, () => this.#fillGap(this.#turn));
      }
    }
    if (fresh.length) this.#source.take(fresh);
  }

  async #fillGap(turn) {
    await this.#catchUp(turn);
    if (turn === this.#turn && this.#source.isOver()) this.#end();
  }

  #end() {
    this.#close();
    this.#tell("ended");
    if (!this.#source.mayGoOn()) return;
    const turn = this.#turn;
    this.#after("afterwards", AFTERWARDS, async () => {
      if (!document.hidden) await this.#catchUp(turn);
      if (turn !== this.#turn) return;
      if (this.#source.isOver()) this.#end();
      else this.#open();
    });
  }

  #close() {
    this.#turn += 1;
    for (const name of [...this.#timers.keys()]) this.#clear(name);
    this.#stream?.close();
    this.#stream = null;
  }

  #tell(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#source.connection(state);
  }

  #after(name, seconds, act) {
    this.#clear(name);
    const timer = setTimeout(() => {
      this.#timers.delete(name);
      act();
    }, seconds * this.#second);
    this.#timers.set(name, timer);
  }

  #clear(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}
