/** The operators' page: asks for a key, fetches the figures, opens turns. Nothing leaves for any other host. */

import { drawCharts } from "/web/ops-charts.js";
import { byId, moment } from "/web/ops-dom.js";
import { drawGaps, drawHealth, drawPanels, drawReview, drawTiles, drawTurns } from "/web/ops-panels.js";
import { drawDecision } from "/web/ops-review.js";
import { drawTurn } from "/web/ops-turn.js";
import { Refused, act, ask, forget, keep, key } from "/web/operator.js";

let shown = null;

const since = () => document.querySelector("input[name=since]:checked").value;

/** Do something with the server; what goes wrong is told, and a refused key is asked for again. */
async function attempt(work) {
  tell("");
  byId("loading").hidden = false;
  try {
    await work();
  } catch (fault) {
    if (fault instanceof Refused) letGo();
    tell(fault instanceof TypeError ? "The server does not answer." : fault.message);
  } finally {
    byId("loading").hidden = true;
  }
}

function tell(words) {
  byId("trouble").textContent = words;
  byId("trouble").hidden = !words;
}

function letGo() {
  forget();
  for (const id of ["controls", "figures"]) byId(id).hidden = true;
  byId("entry").hidden = false;
  byId("key").value = "";
  byId("key").focus();
}

const load = () => attempt(async () => {
  const wanted = since();
  const found = await ask("ops", { since: wanted });
  if (wanted !== since()) return;
  shown = found;
  byId("entry").hidden = true;
  for (const id of ["controls", "figures"]) byId(id).hidden = false;
  draw(found);
  await openFromAddress();
});

function draw(found) {
  byId("desk").textContent = found.desk;
  document.title = `${found.desk} · operations`;
  byId("span").textContent = `${moment(found.since)} to ${moment(found.until)}, all times in UTC`;
  byId("empty").hidden = found.requests > 0;
  drawTiles(found);
  drawHealth(found.health);
  drawCharts(byId("charts"), found);
  drawPanels(byId("panels"), found, goTo, group, review);
  byId("kind").value = "";
  drawTurns(byId("turns"), found.turns, goTo);
}

const list = () => attempt(async () => {
  const kind = byId("kind").value;
  const { turns } = await ask("turns", { since: since(), kind });
  if (kind === byId("kind").value) drawTurns(byId("turns"), turns, goTo);
});

function group() {
  const button = byId("group");
  button.disabled = true;
  return attempt(async () => {
    const found = await ask("gaps", { since: since() });
    drawGaps(button.previousElementSibling, found, goTo);
    button.remove();
  }).finally(() => { button.disabled = false; });
}

function review() {
  const button = byId("review");
  button.disabled = true;
  return attempt(async () => {
    drawReview(button.previousElementSibling, await ask("review", { since: since() }), goTo);
    button.remove();
  }).finally(() => { button.disabled = false; });
}

const decide = (turn, decision, note) => attempt(async () => {
  drawDecision(byId("decision"), await act(`review/${decision}`, { turn_id: turn, note }), decide);
});

function goTo(turn) {
  if (location.hash === `#turn=${turn}`) openFromAddress();
  else location.hash = `turn=${turn}`;
}

function openFromAddress() {
  const turn = new URLSearchParams(location.hash.slice(1)).get("turn");
  if (!turn || !key()) return null;
  return attempt(async () => {
    const [receipt, judged] = await Promise.all([ask("receipt", { turn_id: turn }), ask("review/show", { turn_id: turn })]);
    drawTurn(byId("turn-body"), receipt);
    drawDecision(byId("decision"), judged, decide);
    if (!byId("turn").open) byId("turn").showModal();
    byId("turn").scrollTop = 0;
  });
}

byId("entry").addEventListener("submit", (event) => {
  event.preventDefault();
  keep(byId("key").value);
  load();
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("range").addEventListener("change", load);
byId("refresh").addEventListener("click", load);
byId("forget").addEventListener("click", () => { letGo(); tell(""); });
byId("kind").addEventListener("change", list);
byId("close").addEventListener("click", () => byId("turn").close());
byId("turn").addEventListener("click", (event) => { if (event.target === byId("turn")) byId("turn").close(); });
byId("turn").addEventListener("close", () => { history.replaceState(null, "", location.pathname); });
window.addEventListener("hashchange", openFromAddress);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (shown) drawCharts(byId("charts"), shown); });

if (key()) load();
else letGo();
