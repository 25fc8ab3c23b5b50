/** Tiles, tables and lists of the page. */

import { byId, count, make, moment, none, percent, seconds, section, table, usd } from "/web/ops-dom.js";

export function drawTiles(found) {
  const rated = found.thumbs_up + found.thumbs_down;
  const tiles = [
    ["Requests", count(found.requests), `${count(found.resolved)} resolved from the articles`],
    ["Time of an answer", seconds(found.p50_ms), `95 % within ${seconds(found.p95_ms)}`],
    ["Cost", usd(found.cost_usd), `${usd(found.costs.projection_month_usd)} a month at this pace`],
    ["No sure answer", percent(found.dont_know_rate), `${count(found.outcomes.dont_know ?? 0)} don't know`],
    ["Stopped by a guard", percent(found.guard_rate), `${count(found.outcomes.refuse ?? 0)} refused in all`],
    ["Failed", percent(found.error_rate), `${count(found.failed_calls)} of ${count(found.calls)} model calls`],
    ["Thumbs up", rated ? percent(found.thumbs_up / rated) : "–", `${count(found.thumbs_up)} up, ${count(found.thumbs_down)} down`],
    ["From the cache", percent(found.cache_hit_rate), `${count(found.input_tokens + found.output_tokens)} tokens in all`],
  ];
  byId("tiles").replaceChildren(...tiles.map(([name, value, beside]) => make("div", {}, make("dt", {}, name), make("dd", {}, make("strong", {}, value), make("small", {}, beside)))));
}

export function drawHealth(parts) {
  byId("health").replaceChildren(...parts.map((part) => make("li", { class: part.state },
    make("b", {}, part.name), " ", make("span", { class: "state" }, part.state), part.detail ? make("small", {}, part.detail) : null)));
}

export function drawPanels(place, found, open, group, review) {
  place.replaceChildren(
    section("Questions without an answer", unanswered(found.unanswered, open), found.unanswered.length ? make("button", { type: "button", id: "group", onclick: group }, "Group by meaning") : null),
    section("Feedback", feedback([...found.rated_down, ...found.rated_up], open)),
    section("For a reviewer", none("Thumbs down, low scores, don't-knows, handoffs and guard faults that nobody has decided about."), make("button", { type: "button", id: "review", onclick: review }, "Show what waits")),
    section("Models", models(found)),
    section("Budgets", budgets(found.budgets)),
    section("In use", versions(found.in_use)),
    section("Judge", judge(found.judge)),
  );
}

function unanswered(rows, open) {
  if (!rows.length) return none("None in this time.");
  return table([["Asked", (row) => count(row.count), "number"], ["Question", (row) => opener(row.question, row.turn_id, open), "words"], ["Last (UTC)", (row) => moment(row.last)]], rows, "Questions without a sure answer");
}

export function drawGaps(place, { gaps }, open) {
  const rows = gaps.slice(0, 20);
  const columns = [["Asked", (row) => count(row.count), "number"], ["For example", (row) => opener(row.example, row.receipts[0], open), "words"], ["Nearest article", (row) => row.nearest_title || row.nearest || "–"], ["Confidence", (row) => row.confidence.toFixed(2), "number"]];
  place.replaceWith(table(columns, rows, "Gaps in the knowledge, grouped by meaning"));
}

export function drawReview(place, { groups, waiting, more }, open) {
  if (!waiting) return place.replaceWith(none("Nobody waits for a reviewer in this time."));
  const why = (row) => Object.entries(row.causes).map(([cause, times]) => `${times} ${cause.replaceAll("_", " ")}`).join(", ");
  const columns = [["Turns", (row) => count(row.count), "number"], ["For example", (row) => opener(row.example, row.turns[0].turn_id, open), "words"], ["Why", why, "words"], ["Last (UTC)", (row) => moment(row.turns[0].at)]];
  const rest = groups.length > 20 ? ` ${count(groups.length - 20)} groups more in frontdesk review list.` : "";
  return place.replaceWith(make("div", {}, table(columns, groups.slice(0, 20), "Turns that wait for a reviewer, grouped by meaning"), none(`${more ? "The newest " : ""}${count(waiting)} turns wait. Open one to accept or reject it.${rest}`)));
}

function feedback(rows, open) {
  if (!rows.length) return none("Nobody has rated an answer in this time.");
  return table([["Thumb", (row) => row.rating], ["Question", (row) => opener(row.question, row.turn_id, open), "words"], ["Comment", (row) => row.comment || "–", "words"], ["Asked (UTC)", (row) => moment(row.at)]], rows, "Ratings, down first");
}

function models({ models: rows, costs }) {
  if (!rows.length) return none("No model was called: answers were quoted, or came from the cache.");
  const found = table([["Model", (row) => row.name], ["Turns", (row) => count(row.requests), "number"], ["Calls", (row) => count(row.calls), "number"], ["Failed", (row) => count(row.failed_calls), "number"], ["Tokens in", (row) => count(row.input_tokens), "number"], ["Out", (row) => count(row.output_tokens), "number"], ["Cost", (row) => usd(row.cost_microusd / 1e6), "number"]], rows, "Cost by model");
  const each = `A request costs ${usd(costs.cost_per_request_usd)}, a resolved question ${usd(costs.cost_per_resolved_usd)}. `;
  return make("div", {}, found, none(`${each}The projection: ${costs.projection_method}.`));
}

function budgets(rows) {
  if (!rows.length) return none("No budget is set.");
  const used = (row) => { const meter = make("meter", { min: 0, max: 1, low: 0.8, high: 0.95, optimum: 0, value: Math.min(1, row.share) }, percent(row.share)); return make("span", { class: "used" }, meter, " ", row.closed ? "closed" : percent(row.share)); };
  return table([["Of", (row) => [row.scope, row.name].filter(Boolean).join(" ")], ["Period", (row) => `${row.period}, ${row.kind}`], ["Spent", (row) => usd(row.settled_usd), "number"], ["Limit", (row) => usd(row.limit_usd), "number"], ["Used", used]], rows, "Budgets");
}

function versions(rows) {
  if (!rows.length) return none("No turn in this time.");
  return table([["What", (row) => row.kind.replace("_", " ")], ["Version", (row) => row.name], ["Turns", (row) => count(row.turns), "number"], ["Last (UTC)", (row) => moment(row.last_at)]], rows, "Releases, prompts, configurations, knowledge and models in use");
}

function judge(rows) {
  if (!rows.length) return none("No turn has been judged in this time.");
  return table([["Dimension", (row) => row.dimension], ["Mean", (row) => percent(row.mean), "number"], ["Scored", (row) => count(row.scored), "number"], ["Not scored", (row) => count(row.unscored), "number"]], rows, "Scores of the judge");
}

export function drawTurns(place, rows, open) {
  if (!rows.length) return place.replaceChildren(none("None in this time."));
  const columns = [["Asked (UTC)", (row) => moment(row.at)], ["Question", (row) => opener(row.question, row.turn_id, open), "words"], ["Outcome", (row) => [row.outcome, row.reason].filter(Boolean).join(": ")], ["By", (row) => row.model || row.mode], ["Time", (row) => seconds(row.latency_ms), "number"], ["Cost", (row) => usd(row.cost_usd), "number"]];
  return place.replaceChildren(table(columns, rows, "Turns"));
}

function opener(words, turn, open) {
  return make("button", { type: "button", class: "link", onclick: () => open(turn) }, words || "(no text)");
}
