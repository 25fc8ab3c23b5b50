/** One turn from its receipt: what was said, a waterfall of its steps and calls, verdicts, passages, scores. */

import { count, fixed, make, moment, none, percent, seconds, table, usd } from "/web/ops-dom.js";
import { term } from "/web/ops-strings.js";
import { say } from "/web/strings.js";

const CALLERS = { rewrite: "route", answerable: "generate", answer: "generate", judge: "judge" };

export function drawTurn(place, receipt) {
  const why = [term("outcome", receipt.outcome), term("reason", receipt.reason)].filter(Boolean).join(": ");
  const facts = [
    ["factAsked", `${moment(receipt.at)} UTC`],
    ["factOutcome", why],
    ["factBy", [term("mode", receipt.mode), receipt.model].filter(Boolean).join(", ")],
    ["factTook", seconds(receipt.latency_ms)],
    ["factCost", say("factCostOf", { cost: usd(receipt.cost_usd), tokens: count(receipt.tokens) })],
    ["factConfidence", receipt.passages.length ? fixed(receipt.confidence, 2) : "–"],
    ["factPrompt", receipt.prompt || "–"],
    ["factRelease", receipt.release],
    ["factKnowledge", receipt.knowledge],
    ["factTrace", receipt.trace_id],
  ];
  place.replaceChildren(
    make("h3", {}, say("turnQuestion")), make("p", { class: "said" }, receipt.question || "–"),
    make("h3", {}, say("turnAnswer")), make("p", { class: "said" }, receipt.answer || "–"),
    ...(receipt.error ? [make("p", { class: "bad" }, say("turnError", { error: receipt.error }))] : []),
    make("h3", {}, say("turnSteps")), waterfall(receipt),
    make("h3", {}, say("turnFacts")), make("dl", { class: "facts" }, ...facts.map(([name, value]) => make("div", {}, make("dt", {}, say(name)), make("dd", {}, value)))),
    make("h3", {}, say("turnGuards")), verdicts(receipt),
    make("h3", {}, say("turnPassages")), passages(receipt),
    make("h3", {}, say("turnScores")), scores(receipt),
    make("details", {}, make("summary", {}, say("turnReceipt")), make("pre", {}, JSON.stringify(receipt, null, 2))),
  );
}

/** Steps in their order, each call below the step that made it. Older receipts have no offsets: then they follow each other. */
export function bars(receipt) {
  const rows = [];
  const waiting = [...receipt.calls];
  const began = Date.parse(receipt.at);
  let last = 0;
  for (const step of receipt.steps) {
    const from = step.offset_ms ?? last;
    rows.push({ name: step.name, kind: "step", from, ms: step.ms, note: "" });
    let next = from;
    for (const call of waiting.filter((one) => (one.step || CALLERS[one.purpose]) === step.name)) {
      waiting.splice(waiting.indexOf(call), 1);
      const start = call.began ? Math.max(0, call.began * 1000 - began) : next;
      rows.push(calling(call, start));
      next = start + call.ms;
    }
    last = Math.max(last, from + step.ms);
  }
  return [...rows, ...waiting.map((call) => calling(call, last))];
}

function calling(call, from) {
  const spent = say("turnSpent", { input: count(call.input_tokens), output: count(call.output_tokens), cost: usd(call.cost_microusd / 1e6) });
  return { name: `${call.purpose}: ${call.model}`, kind: call.ok ? "call" : "failed", from, ms: call.ms, note: call.ok ? spent : `${call.error || say("kind_failed")}; ${spent}` };
}

function waterfall(receipt) {
  const rows = bars(receipt);
  if (!rows.length) return none(say("turnNoStep"));
  const end = Math.max(receipt.latency_ms, ...rows.map((row) => row.from + row.ms), 0.001);
  const lines = rows.map((row) => {
    const bar = make("span", { class: `bar ${row.kind}` });
    bar.style.setProperty("--from", `${(100 * row.from) / end}%`);
    bar.style.setProperty("--part", `${(100 * row.ms) / end}%`);
    return make("tr", { class: row.kind },
      make("th", { scope: "row" }, row.name, row.note ? make("small", {}, row.note) : null),
      make("td", { class: "number" }, seconds(row.ms)),
      make("td", { class: "lane" }, bar));
  });
  const head = make("tr", {}, make("th", { scope: "col" }, say("turnStep")), make("th", { scope: "col", class: "number" }, say("colTime")), make("th", { scope: "col" }, say("turnLane", { time: seconds(end) })));
  return make("table", { class: "waterfall" }, make("caption", { class: "unseen" }, say("turnWaterfall")), make("thead", {}, head), make("tbody", {}, ...lines));
}

function verdicts({ verdicts: found }) {
  if (!found.length) return none(say("turnNoGuard"));
  const columns = [[say("colGuard"), (one) => one.guard], [say("colAction"), (one) => make("span", { class: one.action === "pass" ? "" : "bad" }, term("action", one.action))], [say("colReason"), (one) => one.reason || "–"], [say("colScore"), (one) => fixed(one.score, 2), "number"]];
  return table(columns, found, say("turnVerdicts"));
}

function passages({ passages: found }) {
  if (!found.length) return none(say("turnNothing"));
  const columns = [[say("colArticle"), (one) => one.title || one.article], [say("colScore"), (one) => fixed(one.score, 2), "number"], [say("colText"), (one) => one.text, "words"]];
  return table(columns, found, say("turnFound"));
}

function scores({ scores: found }) {
  if (!found.length) return none(say("turnNotJudged"));
  const columns = [[say("colDimension"), (one) => term("dimension", one.name)], [say("colScore"), (one) => (one.value === null ? say("unscored") : percent(one.value)), "number"], [say("colComment"), (one) => one.comment || "–", "words"]];
  return table(columns, found, say("judgeScores"));
}
