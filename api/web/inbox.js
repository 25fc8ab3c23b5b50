// The agents' inbox: open tickets, one conversation, an answer, the end. Text is always set as text.

import { addInboxStrings } from "/web/inbox-strings.js";
import { chosenLanguage, keepLanguage } from "/web/memory.js";
import { byId, make } from "/web/ops-dom.js";
import { Refused, act, ask, forget, keep, key } from "/web/operator.js";
import { STRINGS, bestLanguage, language, say, useLanguage } from "/web/strings.js";

const LOOK_AGAIN_MS = 10_000;
const LATE_SECONDS = 600;
const AUTHORS = { customer: "inboxCustomer", desk: "inboxDesk", agent: "inboxAgent" };

const state = {
  tickets: [],
  withdrawn: [], // by their customers, in the last day
  open: null, // the ticket that is shown, whole
  drafts: new Map(), // what was begun to be written, by ticket
  looking: null,
  desk: null,
};

addInboxStrings();

// ---- with the server

/** What goes wrong is told; a refused key is asked for again. */
async function attempt(work) {
  try {
    await work();
    tell("");
  } catch (fault) {
    if (fault instanceof Refused) letGo();
    const gone = fault.status === 404 ? await leave() : "";
    tell(gone || (fault instanceof TypeError ? say("inboxAway") : fault.message));
  }
}

function tell(words) {
  byId("trouble").textContent = words;
  byId("trouble").hidden = !words;
}

const announce = (words) => {
  byId("said").textContent = words;
};

function letGo() {
  forget();
  clearTimeout(state.looking);
  Object.assign(state, { tickets: [], withdrawn: [], open: null });
  state.drafts.clear();
  showAll();
  byId("key").value = "";
  byId("key").focus();
}

const look = () => attempt(async () => {
  await fetchTickets();
  if (state.open) await fetchTicket(state.open.ticket);
  showAll();
});

async function fetchTickets() {
  const before = state.tickets.length;
  const { handoffs, withdrawn } = await ask("handoffs");
  Object.assign(state, { tickets: handoffs, withdrawn });
  if (before !== state.tickets.length) announce(say("inboxCount", { count: state.tickets.length }));
}

async function fetchTicket(ticket) {
  const found = await ask("handoffs/show", { ticket });
  if (found.closed_at) throw Object.assign(new Error(), { status: 404 });
  if (!state.open || state.open.ticket === ticket) state.open = found;
}

/** As long as somebody looks at it, the page looks at the desk. */
function lookLater() {
  clearTimeout(state.looking);
  state.looking = setTimeout(async () => {
    if (key() && !document.hidden) await look();
    if (key()) lookLater();
  }, LOOK_AGAIN_MS);
}

// ---- what an agent does

function enter() {
  lookLater();
  return attempt(async () => {
    await fetchTickets();
    showAll();
    await openFromAddress();
  });
}

const addressed = () => new URLSearchParams(location.hash.slice(1)).get("ticket");

async function openFromAddress() {
  const ticket = addressed();
  if (!ticket || !key()) return;
  state.open = null;
  await fetchTicket(ticket);
  showAll();
  byId("ticket-title").focus();
}

function choose(ticket) {
  if (location.hash === `#ticket=${ticket}`) attempt(openFromAddress);
  else location.hash = `ticket=${ticket}`;
}

/** Back to the list; what has become of the ticket that was open. */
async function leave() {
  const ticket = state.open?.ticket ?? addressed();
  state.open = null;
  history.replaceState(null, "", location.pathname);
  await fetchTickets().catch(() => {});
  showAll();
  return state.withdrawn.some((one) => one.ticket === ticket) ? say("inboxTookBack", { ticket }) : say("inboxGone");
}

const answer = () => attempt(async () => {
  const { ticket } = state.open;
  const text = byId("text").value;
  if (!text.trim()) return;
  const button = byId("answer").querySelector("button");
  button.disabled = true;
  try {
    state.open = await act("handoffs/reply", { ticket, text });
    state.drafts.delete(ticket);
    byId("text").value = "";
    await fetchTickets();
    showAll();
    announce(say("inboxSent"));
  } finally {
    button.disabled = false;
    byId("text").focus();
  }
});

const close = () => attempt(async () => {
  const { ticket } = state.open;
  await act("handoffs/close", { ticket });
  state.drafts.delete(ticket);
  await leave();
  announce(say("inboxClosed", { ticket }));
  (byId("tickets").querySelector("button") ?? byId("refresh")).focus();
});

// ---- what is shown

function showAll() {
  const known = Boolean(key());
  byId("entry").hidden = known;
  for (const id of ["inbox", "refresh", "forget"]) byId(id).hidden = !known;
  document.title = [state.tickets.length ? `(${state.tickets.length})` : "", say("inbox"), byId("desk").textContent].filter(Boolean).join(" ");
  showTickets();
  showTicket();
}

function showTickets() {
  const focused = document.activeElement?.dataset.ticket;
  byId("tickets").replaceChildren(...state.tickets.map(row));
  byId("no-tickets").hidden = state.tickets.length > 0;
  byId("withdrawn").hidden = !state.withdrawn.length;
  byId("withdrawn").querySelector("ul").replaceChildren(...state.withdrawn.map((one) => make("li", {}, `${one.ticket} · ${team(one.department)} · ${moment(one.closed_at)}`)));
  if (focused) byId("tickets").querySelector(`[data-ticket="${CSS.escape(focused)}"]`)?.focus();
}

function row({ ticket, department, waiting_seconds: waiting, summary }) {
  const late = waiting >= LATE_SECONDS ? "late" : "";
  return make("li", {}, make("button", { type: "button", "data-ticket": ticket, "aria-current": String(state.open?.ticket === ticket), onclick: () => choose(ticket) },
    make("span", { class: "top" }, make("span", {}, ticket), make("span", { class: late }, waited(waiting))),
    make("span", {}, team(department)),
    make("span", { class: "gist" }, gist(summary))));
}

/** The customer's last words in a summary of lines. */
const gist = (summary) => summary.trim().split("\n").at(-1);

const team = (id) => state.desk?.departments?.[language()]?.[id] || id || "–";

function waited(seconds) {
  return seconds > 0 ? say("inboxWaits", { time: lasting(seconds) }) : say("inboxAnswered");
}

function lasting(seconds) {
  const minutes = Math.max(1, Math.round(seconds / 60));
  if (minutes < 90) return say("minutes", { count: minutes });
  const hours = Math.round(minutes / 60);
  return hours < 48 ? say("hours", { count: hours }) : say("days", { count: Math.round(hours / 24) });
}

function showTicket() {
  const { open } = state;
  byId("ticket").hidden = !open;
  byId("none").hidden = Boolean(open);
  if (!open) return;
  byId("ticket-title").textContent = say("inboxTicket", { ticket: open.ticket });
  const facts = [
    ["inboxDepartment", team(open.department)],
    ["inboxReason", `reason_${open.reason}` in STRINGS.en ? say(`reason_${open.reason}`) : open.reason],
    ["inboxOpened", moment(open.opened_at)],
    ["inboxWaiting", open.waiting_seconds > 0 ? lasting(open.waiting_seconds) : say("inboxAnswered")],
  ];
  byId("facts").replaceChildren(...facts.map(([name, value]) => make("div", {}, make("dt", {}, say(name)), make("dd", {}, value))));
  byId("summary").querySelector("p").textContent = open.summary;
  const said = open.messages.filter(({ author, text }) => !(author === "desk" && text === open.summary));
  byId("messages").replaceChildren(...said.map(message));
  if (byId("text").dataset.ticket !== open.ticket) {
    byId("text").dataset.ticket = open.ticket;
    byId("text").value = state.drafts.get(open.ticket) ?? "";
    byId("summary").open = true;
  }
}

function message({ author, text, at }) {
  const name = make("b", {}, say(AUTHORS[author] ?? "inboxDesk"));
  return make("li", { class: author }, make("small", {}, name, ` · ${moment(at)}`), make("p", {}, text));
}

function moment(iso) {
  return new Date(iso).toLocaleString(language(), { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

function speak(wanted) {
  useLanguage(wanted);
  byId("language").value = language();
  showAll();
}

async function nameDesk() {
  const answered = await fetch("/v1/desk").catch(() => null);
  if (!answered?.ok) return;
  state.desk = await answered.json();
  byId("desk").textContent = state.desk.name;
  showAll();
}

byId("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(byId("key").value);
  enter();
});
byId("language").addEventListener("change", () => {
  keepLanguage(byId("language").value);
  speak(byId("language").value);
});
byId("refresh").addEventListener("click", look);
byId("forget").addEventListener("click", () => {
  letGo();
  tell("");
});
byId("text").addEventListener("input", () => state.drafts.set(state.open.ticket, byId("text").value));
byId("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) byId("answer").requestSubmit();
});
byId("answer").addEventListener("submit", (event) => {
  event.preventDefault();
  answer();
});
byId("close").addEventListener("click", () => byId("sure").showModal());
byId("sure").addEventListener("close", () => {
  if (byId("sure").returnValue === "yes") close();
  byId("sure").returnValue = "";
});
window.addEventListener("hashchange", () => attempt(openFromAddress));

speak(bestLanguage([chosenLanguage(), ...navigator.languages]));
nameDesk();
if (key()) enter();
else letGo();
