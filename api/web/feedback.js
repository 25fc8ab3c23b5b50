// Thumbs under an answer. The rating is sent at once; a comment, if any, follows with the same rating.

import { sendFeedback } from "./desk.js";
import { sayIn, translate } from "./strings.js";

/** The thumbs of one turn, ready to be appended below its answer. */
export function feedbackFor(turnId) {
  const node = document.getElementById("feedback").content.cloneNode(true).firstElementChild;
  translate(node);
  const thumbs = [...node.querySelectorAll(".thumb")];
  const form = node.querySelector("form");
  const said = node.querySelector(".said");
  for (const thumb of thumbs) {
    thumb.addEventListener("click", () => rate({ turnId, thumb, thumbs, form, said }));
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    comment({ turnId, thumbs, form, said });
  });
  form.querySelector(".close").addEventListener("click", () => close(form, thumbs));
  return node;
}

async function rate({ turnId, thumb, thumbs, form, said }) {
  const before = pressed(thumbs);
  press(thumbs, thumb);
  if (!(await deliver({ turn_id: turnId, rating: thumb.value }, said))) {
    press(thumbs, before);
    return;
  }
  if (pressed(thumbs) !== thumb) return;
  sayIn(form.querySelector(".ask"), thumb.value === "up" ? "askUp" : "askDown");
  form.hidden = false;
}

async function comment({ turnId, thumbs, form, said }) {
  const words = form.querySelector("textarea").value.trim();
  if (!words) {
    close(form, thumbs);
    return;
  }
  const button = form.querySelector("[type=submit]");
  button.disabled = true;
  const kept = await deliver({ turn_id: turnId, rating: pressed(thumbs).value, comment: words }, said);
  button.disabled = false;
  if (kept) close(form, thumbs);
}

/** True when the desk has it; otherwise the customer is told beside the thumbs. */
async function deliver(feedback, said) {
  try {
    await sendFeedback(feedback);
    sayIn(said, "thanks");
    return true;
  } catch {
    sayIn(said, "feedbackFailed");
    return false;
  }
}

function close(form, thumbs) {
  form.hidden = true;
  form.reset();
  pressed(thumbs)?.focus();
}

function pressed(thumbs) {
  return thumbs.find((thumb) => thumb.getAttribute("aria-pressed") === "true");
}

function press(thumbs, chosen) {
  for (const thumb of thumbs) thumb.setAttribute("aria-pressed", String(thumb === chosen));
}
