// The conversation as DOM: one list item a message, cloned from the templates in index.html.
// No text is ever parsed as HTML, and only a source's https address becomes a link.

import { feedbackFor } from "./feedback.js";
import { safeLink, showText } from "./format.js";
import { say, sayIn, translate } from "./strings.js";

const messages = document.getElementById("messages");
const announcer = document.getElementById("announcer");

// A step event names the node that has finished; the customer reads what comes next.
const DOING_AFTER = {
  guard_input: "doingRoute",
  route: "doingRetrieve",
  retrieve: "doingGenerate",
  generate: "doingCheck",
  guard_output: "doingFinish",
  refuse: "doingFinish",
  handoff: "doingFinish",
};

const LOOKS = {
  dont_know: { label: "outcomeDontKnow", icon: "#icon-unsure" },
  refuse: { label: "outcomeRefuse", icon: "#icon-limit" },
  handoff: { label: "outcomeHandoff", icon: "#icon-person" },
  agent: { label: "outcomeAgent", icon: "#icon-person" },
};

// Here the desk failed the customer, not the other way round: it says so and offers a person.
const OWN_FAILURES = new Set(["budget", "guard_failed", "model_down"]);

export const isEmpty = () => !messages.hasChildNodes();

export function clearMessages() {
  messages.replaceChildren();
}

/** Read out by screen readers; tokens are not, only whole answers are. */
export function announce(text) {
  announcer.textContent = "";
  requestAnimationFrame(() => {
    announcer.textContent = text;
  });
}

export function addQuestion(text) {
  const item = clone("customer-message");
  item.querySelector(".text").textContent = text;
  messages.append(item);
  return item;
}

/** An empty answer with its progress line. `onPerson` is called when the customer takes the offer of a person. */
export function addAnswer(onPerson) {
  const item = clone("assistant-message");
  item.querySelector(".offer-person").addEventListener("click", onPerson);
  messages.append(item);
  return new Answer(item);
}

class Answer {
  #item;
  #streamed = "";
  #drawing = false;

  constructor(item) {
    this.#item = item;
  }

  /** Back to the state before the first event, for the first try and for each retry. */
  start() {
    this.#hide(".trouble");
    this.#stream("");
    this.#doing("doingStart");
  }

  hear(event, data) {
    if (event === "step") this.#step(data.name);
    if (event === "token") this.#stream(this.#streamed + data.text);
    if (event === "sources") showSources(this.#part(".sources"), data);
    if (event === "retract") this.#retract();
  }

  /** The Reply is the truth: whatever was streamed is replaced. Restored messages come here too. */
  settle(reply) {
    this.#stopDoing();
    this.#streamed = reply.answer;
    showText(this.#part(".text"), reply.answer);
    this.#item.dataset.outcome = reply.outcome ?? "answer";
    if (reply.reason) this.#item.dataset.reason = reply.reason;
    if (reply.language) this.#part(".text").lang = reply.language;
    showOutcome(this.#part(".outcome"), reply);
    showHandoff(this.#part(".handoff"), reply.handoff);
    showSources(this.#part(".sources"), reply.sources);
    this.#part(".offer-person").hidden = !deservesPerson(reply);
    if (reply.turn_id) this.#item.querySelector(".bubble").append(feedbackFor(reply.turn_id));
  }

  /** What was streamed is taken back: no guard has passed it as a whole. */
  fail({ kind, waitSeconds, contact, actionName, onAction }) {
    this.#stopDoing();
    this.#stream("");
    showSources(this.#part(".sources"), []);
    const trouble = this.#part(".trouble");
    sayIn(trouble.querySelector(".reason"), `trouble${kind[0].toUpperCase()}${kind.slice(1)}`);
    const elsewhere = trouble.querySelector(".elsewhere");
    showElsewhere(elsewhere, waitSeconds, contact);
    const button = trouble.querySelector("button");
    sayIn(button, actionName);
    button.dataset.action = actionName;
    button.hidden = false;
    button.onclick = onAction;
    trouble.hidden = false;
    announce(trouble.querySelector(".reason").textContent);
  }

  /** The customer went on without retrying. */
  giveUp() {
    this.#part(".trouble button").hidden = true;
  }

  remove() {
    this.#item.remove();
  }

  readOut() {
    const parts = [".outcome", ".text", ".handoff", ".sources summary"].map((name) => this.#part(name));
    announce([say("weSaid"), ...parts.filter(isShown).map((part) => part.innerText.trim())].join(". "));
  }

  #step(name) {
    this.#item.dataset.step = name;
    if (name in DOING_AFTER) this.#doing(DOING_AFTER[name]);
  }

  #retract() {
    this.#stream("");
    showSources(this.#part(".sources"), []);
    this.#doing("doingAgain");
  }

  #stream(text) {
    this.#streamed = text;
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      showText(this.#part(".text"), this.#streamed);
      keepInView();
    });
  }

  #doing(name) {
    sayIn(this.#part(".doing"), name);
    this.#part(".progress").hidden = false;
  }

  #stopDoing() {
    this.#hide(".progress");
  }

  #hide(selector) {
    this.#part(selector).hidden = true;
  }

  #part(selector) {
    return this.#item.querySelector(selector);
  }
}

function isShown(part) {
  return part.checkVisibility() && part.textContent.trim() !== "";
}

function deservesPerson({ outcome, reason }) {
  return outcome === "dont_know" || (outcome === "refuse" && OWN_FAILURES.has(reason));
}

function showOutcome(node, { outcome, reason }) {
  const look = LOOKS[outcome];
  node.hidden = !look;
  if (!look) return;
  const notNow = outcome !== "handoff" && OWN_FAILURES.has(reason);
  node.querySelector("use").setAttribute("href", look.icon);
  sayIn(node.querySelector("span"), notNow ? "outcomeNotNow" : look.label);
}

function showHandoff(node, handoff) {
  node.hidden = !handoff;
  for (const name of ["ticket", "department"]) {
    const value = node.querySelector(`.${name}`);
    value.textContent = handoff?.[name] ?? "";
    value.parentElement.hidden = !value.textContent;
  }
}

function showSources(node, sources = []) {
  node.hidden = sources.length === 0;
  if (node.hidden) return;
  const name = sources.length === 1 ? "sourcesOne" : "sourcesMany";
  sayIn(node.querySelector("summary"), name, { count: sources.length });
  node.querySelector("ol").replaceChildren(...sources.map(sourceItem));
}

function sourceItem({ id, title, url, quote, section }) {
  const item = clone("source");
  item.dataset.source = id;
  const name = [title || id, section].filter(Boolean).join(" › ");
  item.querySelector(".title").append(titleNode(name, safeLink(url)));
  const quoted = item.querySelector("blockquote");
  quoted.textContent = quote ?? "";
  quoted.hidden = !quote;
  return item;
}

function titleNode(title, href) {
  if (!href) return document.createTextNode(title);
  const link = document.createElement("a");
  link.href = href;
  link.target = "_blank";
  link.rel = "noopener noreferrer nofollow";
  const hint = document.createElement("span");
  hint.className = "hidden-text";
  sayIn(hint, "newTab");
  link.append(title, " ", hint);
  return link;
}

function showElsewhere(node, waitSeconds, contact) {
  node.hidden = !waitSeconds && !contact;
  if (waitSeconds) sayIn(node, "retrySoon", { seconds: waitSeconds });
  else if (contact) sayIn(node, "contact", { contact });
}

function clone(name) {
  const item = document.getElementById(name).content.cloneNode(true).firstElementChild;
  translate(item);
  return item;
}

// While an answer grows the page follows it, but never so far that the question leaves the screen,
// and not at all once the customer has scrolled.
let following = false;
const stopFollowing = () => {
  following = false;
};
addEventListener("wheel", stopFollowing, { passive: true });
addEventListener("touchmove", stopFollowing, { passive: true });
addEventListener("keydown", ({ key }) => {
  if (key === "PageUp" || key === "PageDown") stopFollowing();
});

export function follow() {
  following = true;
  keepInView();
}

export function keepInView() {
  const question = [...messages.querySelectorAll(".customer")].at(-1);
  if (!following || !question) return;
  const above = Number.parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
  const highest = question.getBoundingClientRect().top + scrollY - above;
  const end = document.documentElement.scrollHeight - innerHeight;
  scrollTo(0, Math.min(highest, end));
}
