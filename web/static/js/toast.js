/** Short words in a corner of the page that come and go, also read out to who can't see them. */

const SHOWN_SECONDS = 8;
const MOST = 4;

/** Say something. `link` is `{href, text}`. What is said with the same `key` takes the place of what was said before. */
export function toast(words, { link, key } = {}) {
  const region = document.getElementById("toasts");
  if (key) for (const old of region.children) if (old.dataset.key === key) old.remove();
  const shown = document.createElement("div");
  shown.className = "toast";
  if (key) shown.dataset.key = key;
  const said = document.createElement("span");
  said.textContent = words;
  shown.append(said);
  if (link) {
    const anchor = document.createElement("a");
    anchor.href = link.href;
    anchor.textContent = link.text;
    shown.append(anchor);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "toast-close";
  close.setAttribute("aria-label", "Dismiss");
  close.textContent = "×";
  close.addEventListener("click", () => shown.remove());
  shown.append(close);
  region.append(shown);
  while (region.children.length > MOST) region.firstElementChild.remove();
  leaveLater(shown);
}

/** It goes after a while, but not from under a pointer or a keyboard's focus. */
function leaveLater(shown) {
  setTimeout(() => {
    if (shown.matches(":hover, :focus-within")) leaveLater(shown);
    else shown.remove();
  }, SHOWN_SECONDS * 1000);
}
