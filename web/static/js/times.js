/** Times as the reader's own clock and language tell them. */

const STEPS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
];

/** "5 minutes ago", in the language of the page. */
export function ago(iso, now = Date.now()) {
  const seconds = Math.round((new Date(iso).getTime() - now) / 1000);
  const words = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", { numeric: "auto" });
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return words.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

/** "about 40 s", "about 3 min": what is left or passed, without false exactness. */
export function duration(seconds) {
  if (seconds < 10) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90) return `${Math.round(seconds / 5) * 5} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 360) / 10} h`;
}

/** Write every `<time>` below a node as the time that has passed since. */
export function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const words = ago(time.dateTime);
    if (time.textContent !== words) time.textContent = words;
    time.title = new Date(time.dateTime).toLocaleString();
  }
}
