/** The operators' page: asks for a key, fetches the figures, opens turns. Nothing leaves for any other host. */

import { drawCharts } from "/web/ops-charts.js";
import { chosenLanguage, keepLanguage } from "/web/memory.js";
import { byId, moment } from "/web/ops-dom.js";
import { drawGaps, drawHealth, drawPanels, drawReview, drawTiles, drawTurns } from "/web/ops-panels.js";
import { drawDecision } from "/web/ops-review.js";
import { addOpsStrings } from "/web/ops-strings.js";
import { drawTurn } from "/web/ops-turn.js";
import { Refused, act, ask, forget, keep, key } from "/web/operator.js";
import { bestLanguage, language, say, sayIn, useLanguage } from "/web/strings.js";

let shown = null;
let opened = null; // the turn that is open: its receipt, and what reviewers said of it

addOpsStrings();

const since = () => document.querySelector("input[name=since]:checked").value;

/** Do something with the server; what goes wrong is told, and a refused key is asked for again. */
async function attempt(work) {
  tell("");
  byId("loading").hidden = false;
  try {
    await work();
  } catch (fault) {
    if (fault instanceof Refused) letGo();
    tell(fault instanceof TypeError ? say("opsAway") : fault.message);
  } finally {
    byId("loading").hidden = true;
  }
}

/** Where it is seen: an open turn lies over the page. */
function tell(words) {
  for (const [id, here] of [["turn-trouble", byId("turn").open], ["trouble", !byId("turn").open]]) {
    byId(id).textContent = here ? words : "";
    byId(id).hidden = !(here && words);
  }
}

function letGo() {
  forget();
  for (const id of ["controls", "figures"]) byId(id).hidden = true;
  byId("entry").hidden = false;
  shown = null;
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
  document.title = `${found.desk} · ${say("ops")}`;
  sayIn(byId("span"), "opsFromTo", { since: moment(found.since), until: moment(found.until) });
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

const decide = (operation, fields) => attempt(async () => {
  opened.judged = await act(`review/${operation}`, { turn_id: opened.judged.turn_id, ...fields });
  drawOpened();
  byId("said").textContent = say("saved");
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
    opened = { receipt, judged };
    byId("said").textContent = "";
    drawOpened();
    if (!byId("turn").open) byId("turn").showModal();
    byId("turn").scrollTop = 0;
  });
}

function drawOpened() {
  if (!opened) return;
  const unfolded = [...byId("turn").querySelectorAll("details[id][open]")].map(({ id }) => id);
  drawTurn(byId("turn-body"), opened.receipt);
  drawDecision(byId("decision"), opened.judged, decide);
  for (const id of unfolded) if (byId(id)) byId(id).open = true;
}

function speak(wanted) {
  useLanguage(wanted);
  byId("language").value = language();
  if (shown) draw(shown);
  else document.title = `Frontdesk · ${say("ops")}`;
  drawOpened();
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
byId("language").addEventListener("change", () => {
  keepLanguage(byId("language").value);
  speak(byId("language").value);
});
byId("close").addEventListener("click", () => byId("turn").close());
byId("turn").addEventListener("click", (event) => { if (event.target === byId("turn")) byId("turn").close(); });
byId("turn").addEventListener("close", () => { opened = null; history.replaceState(null, "", location.pathname); });
window.addEventListener("hashchange", openFromAddress);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (shown) drawCharts(byId("charts"), shown); });

speak(bestLanguage([chosenLanguage(), ...navigator.languages]));
if (key()) load();
else letGo();
