// The customer's chat page: what happens on load, when a message is sent, and when something fails.

import { Trouble, askDesk, fetchDesk, fetchThread, newKey } from "./desk.js";
import { asked, isFramed, listenToOutside, tellOutside } from "./frame.js";
import * as memory from "./memory.js";
import { STRINGS, bestLanguage, inLanguage, language, say, sayIn, useLanguage } from "./strings.js";
import { useTheme } from "./theme.js";
import * as ticket from "./ticket.js";
import * as view from "./view.js";

const MAX_CHARACTERS = 4000;
const COUNT_FROM = 3600;
const LOOK_FOR_PERSON_MS = 10_000;
const MODE_LINES = { quote: "modeQuote", local: "modeModel", remote: "modeModel" };
// Sending the same again cannot help these; everything else gets "Try again".
const ACTIONS = { tooLong: "edit", unreadable: "edit", session: "reload", framed: "ownTab" };

const part = (id) => document.getElementById(id);
const entry = part("message");

const state = {
  desk: null,
  threadId: memory.openThread(),
  turn: null, // the turn under way; null when a message may be sent
  failed: null, // the last turn, if it failed and may be retried
  restoring: false,
  heardOfPeople: 0, // how many lines of people are shown
  looking: null, // the timer of the next look whether a person has answered
};

const wishes = () => [memory.chosenLanguage(), asked.get("language"), ...navigator.languages];

function begin() {
  useTheme(asked);
  useLanguage(bestLanguage(wishes()));
  listen();
  showControls();
  openDesk();
  if (state.threadId) restore();
  tellOutside("ready");
  performance.mark("interactive"); // a message can be sent from here on
}

function listen() {
  part("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    sendEntry();
  });
  entry.addEventListener("keydown", sendOnEnter);
  entry.addEventListener("input", showControls);
  part("talk-to-person").addEventListener("click", askForPerson);
  ticket.listen(() => isFree() && state.threadId, focusEntry);
  part("new-conversation").addEventListener("click", startAnew);
  part("languages").addEventListener("click", chooseLanguage);
  part("restore-trouble").querySelector("button").addEventListener("click", restore);
  listenToOutside(focusEntry);
}

// ---- the desk: name, greeting, languages, contact

async function openDesk() {
  try {
    state.desk = await fetchDesk();
  } catch {
    return; // The page's own greeting stands; a message that cannot be sent will say why.
  }
  useLanguage(bestLanguage(wishes(), state.desk.languages));
  showDesk();
  showMode(state.desk.mode);
}

function showDesk() {
  if (!state.desk) return;
  const { name, greeting } = state.desk;
  if (name) {
    delete part("shop-name").dataset.text;
    part("shop-name").textContent = name;
    part("shop-mark").textContent = [...name.trim()][0].toUpperCase();
    document.title = `${name} · ${say("support")}`;
  }
  if (inLanguage(greeting)) part("greeting").textContent = inLanguage(greeting);
  showContact();
  showSuggestions();
  showLanguages();
}

/** Questions to begin with, as long as nothing has been said. */
function showSuggestions() {
  const list = part("suggestions");
  list.replaceChildren(...(state.desk?.suggestions?.[language()] ?? []).map(suggestion));
  showControls();
}

function suggestion(question) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.className = "secondary";
  button.textContent = question;
  button.addEventListener("click", () => sendSuggestion(question));
  item.append(button);
  return item;
}

function sendSuggestion(question) {
  if (!isFree()) return;
  focusEntry();
  send(question);
}

function showContact() {
  const contact = contactLine();
  part("contact").hidden = !contact;
  if (contact) sayIn(part("contact"), "contact", { contact });
}

function contactLine() {
  const { email, phone, hours } = state.desk?.contact ?? {};
  return [email, phone, hours].map(inLanguage).filter(Boolean).join(" · ");
}

function showMode(mode) {
  if (!(mode in MODE_LINES)) return; // "cache" says nothing about who wrote the answer
  const line = part("how-answers-are-made");
  line.dataset.mode = mode;
  sayIn(line, MODE_LINES[mode]);
}

function showLanguages() {
  const spoken = state.desk.languages?.filter((code) => code in STRINGS) ?? [];
  part("languages").hidden = spoken.length < 2;
  for (const button of part("languages").querySelectorAll("button")) {
    button.hidden = !spoken.includes(button.value);
    button.setAttribute("aria-pressed", String(button.value === language()));
  }
}

function chooseLanguage(event) {
  const button = event.target.closest("button");
  if (!button) return;
  memory.keepLanguage(button.value);
  useLanguage(button.value);
  showDesk();
  showLength();
}

/** A guess that only repeats the desk's first language says nothing: then the message itself should decide. */
function languageToAskFor() {
  const chosen = memory.chosenLanguage() === language();
  return chosen || language() !== state.desk?.languages?.[0] ? language() : undefined;
}

// ---- the conversation that a reload interrupted

async function restore() {
  part("restore-trouble").hidden = true;
  state.restoring = true;
  showControls();
  try {
    const { messages, ticket: open } = await fetchThread(state.threadId);
    messages.forEach(showKept);
    state.heardOfPeople = messages.filter(byPerson).length;
    wait(open);
    view.follow();
  } catch (error) {
    if (isKind(error, "missing")) forgetThread();
    else part("restore-trouble").hidden = false;
  }
  state.restoring = false;
  showControls();
}

function showKept({ role, text, ...rest }) {
  if (role === "user") view.addQuestion(text);
  else view.addAnswer(askForPerson).settle({ ...rest, answer: text });
}

function forgetThread() {
  state.threadId = null;
  state.heardOfPeople = 0;
  wait(null);
  memory.forgetThread();
}

// ---- while a ticket is open, a person may answer at any time

const byPerson = ({ outcome }) => outcome === "agent";

/** open: the thread's open ticket, or null. */
function wait(open) {
  clearTimeout(state.looking);
  ticket.show(open);
  if (open) lookLater();
}

function lookLater() {
  clearTimeout(state.looking);
  state.looking = setTimeout(lookForPerson, LOOK_FOR_PERSON_MS);
}

async function lookForPerson() {
  const thread = state.threadId;
  if (!thread || !ticket.isOpen()) return;
  if (!isFree()) return lookLater();
  try {
    const { messages, ticket: open } = await fetchThread(thread);
    if (state.threadId !== thread || !ticket.isOpen()) return;
    if (!isFree()) return lookLater();
    for (const message of messages.filter(byPerson).slice(state.heardOfPeople)) showPerson(message);
    wait(open);
  } catch (error) {
    if (!isKind(error, "missing")) lookLater();
  }
}

function showPerson({ text }) {
  const answer = view.addAnswer(askForPerson);
  answer.settle({ answer: text, outcome: "agent" });
  answer.readOut();
  state.heardOfPeople += 1;
  tellOutside("news");
  view.keepInView();
}

// ---- one turn

function sendOnEnter(event) {
  // While an input method composes (Vietnamese Telex, for one), Enter belongs to it.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  sendEntry();
}

function sendEntry() {
  const text = entry.value.trim();
  if (!text || isTooLong() || !isFree()) return;
  entry.value = "";
  focusEntry();
  send(text);
}

function askForPerson() {
  if (!isFree()) return;
  focusEntry();
  send(say("personMessage"));
}

/** For keyboard users, whose button may just have gone; a touch keyboard would only cover the answer. */
function focusEntry() {
  if (!matchMedia("(pointer: coarse)").matches) entry.focus({ preventScroll: true });
}

const isFree = () => !state.turn && !state.restoring;

function send(message) {
  state.failed?.answer.giveUp();
  part("restore-trouble").hidden = true;
  const turn = {
    body: { message, thread_id: state.threadId ?? undefined, language: languageToAskFor() },
    key: newKey(),
    question: view.addQuestion(message),
    answer: view.addAnswer(askForPerson),
  };
  view.follow();
  return run(turn);
}

async function run(turn) {
  open(turn);
  try {
    const reply = await askDesk(requestOf(turn), (event, data) => hear(turn, event, data));
    if (state.turn === turn) finish(turn, reply);
  } catch (error) {
    if (state.turn !== turn) return; // The customer started anew meanwhile.
    if (isKind(error, "missing") && turn.body.thread_id) retryWithoutThread(turn);
    else fail(turn, error);
  }
}

function requestOf({ body, key, stop }) {
  return { body, key, signal: stop.signal };
}

function open(turn) {
  turn.stop = new AbortController();
  state.turn = turn;
  state.failed = null;
  turn.answer.start();
  ticket.tidy();
  view.announce(say("doingStart"));
  showControls();
}

function hear(turn, event, data) {
  if (state.turn === turn) turn.answer.hear(event, data);
}

function finish(turn, reply) {
  turn.answer.settle({ ...reply, handoff: named(reply.handoff) });
  turn.answer.readOut();
  state.turn = null;
  state.threadId = reply.thread_id;
  memory.keepThread(reply.thread_id);
  if (reply.handoff) wait(reply.handoff.ticket);
  view.keepInView();
  showMode(reply.receipt?.mode);
  showControls();
}

/** The department as the customer calls it. */
function named(handoff) {
  const name = state.desk?.departments?.[language()]?.[handoff?.department];
  return name ? { ...handoff, department: name } : handoff;
}

function fail(turn, error) {
  if (!(error instanceof Trouble)) console.error(error);
  const { kind: found, waitSeconds } = error instanceof Trouble ? error : new Trouble("other");
  const kind = found === "session" && isFramed ? "framed" : found;
  state.turn = null;
  state.failed = turn;
  const actionName = ACTIONS[kind] ?? "retry";
  const onAction = () => act(actionName, turn);
  turn.answer.fail({ kind, waitSeconds, contact: contactLine(), actionName, onAction });
  view.keepInView();
  showControls();
}

function act(actionName, turn) {
  if (actionName === "reload") location.reload();
  if (actionName === "ownTab") window.open("/", "_blank", "noopener");
  if (actionName === "edit") edit(turn);
  if (actionName === "retry" && isFree()) {
    focusEntry();
    run(turn); // same body, same key: never two turns
  }
}

function edit(turn) {
  turn.question.remove();
  turn.answer.remove();
  state.failed = null;
  entry.value = [turn.body.message, entry.value].filter(Boolean).join("\n");
  entry.focus();
  showControls();
}

/** The desk has deleted the thread (retention, say): the message opens a new one. */
function retryWithoutThread(turn) {
  forgetThread();
  const { thread_id: _gone, ...body } = turn.body;
  run(Object.assign(turn, { body, key: newKey() }));
}

function startAnew() {
  state.turn?.stop.abort();
  state.turn = null;
  state.failed = null;
  forgetThread();
  view.clearMessages();
  part("restore-trouble").hidden = true;
  view.announce(say("newStarted"));
  showControls();
  focusEntry();
}

const isKind = (error, kind) => error instanceof Trouble && error.kind === kind;

// ---- the controls follow the state

function showControls() {
  const busy = !isFree();
  setAble(part("send"), !busy && entry.value.trim() && !isTooLong());
  setAble(part("talk-to-person"), !busy);
  part("new-conversation").hidden = view.isEmpty();
  part("suggestions").hidden = !view.isEmpty() || Boolean(state.threadId) || !part("suggestions").hasChildNodes();
  part("messages").setAttribute("aria-busy", String(busy));
  showLength();
}

/** aria-disabled, not disabled: a button that has the focus must not lose it. */
function setAble(button, able) {
  button.setAttribute("aria-disabled", String(!able));
}

// The server counts code points, not UTF-16 units.
const countCharacters = () => [...entry.value.trim()].length;
const isTooLong = () => countCharacters() > MAX_CHARACTERS;

function showLength() {
  const count = countCharacters();
  const line = part("length");
  line.hidden = count < COUNT_FROM;
  sayIn(line, isTooLong() ? "lengthOver" : "lengthNear", { count, limit: MAX_CHARACTERS });
  const before = entry.getAttribute("aria-invalid");
  entry.setAttribute("aria-invalid", String(isTooLong()));
  if (isTooLong() && before !== "true") view.announce(line.textContent);
}

begin(); // last: the constants above must exist
