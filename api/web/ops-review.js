/** What a reviewer says about the turn that is open: right as it is, or what would have been right, or nothing to learn from; and how good it was. */

import { make, moment, none } from "/web/ops-dom.js";
import { term } from "/web/ops-strings.js";
import { say } from "/web/strings.js";

const OUTCOMES = ["answer", "dont_know", "refuse", "handoff"];
const ASPECTS = ["accuracy", "relevance", "safety"];
const MARKS = ["1", "2", "3", "4", "5"];
const LONGEST = 4000;

/** `act(operation, fields)` carries out `review/<operation>` for this turn and draws it again. */
export function drawDecision(place, turn, act) {
  const note = make("input", { id: "decision-note", autocomplete: "off", maxlength: "500" });
  const button = (name) => make("button", { type: "button", onclick: () => act(name, { note: note.value }) }, say(name));
  place.replaceChildren(
    make("h3", {}, say("decision")),
    none(decided(turn.review)),
    make("label", { for: "decision-note" }, say("note")), note,
    make("div", { class: "row" }, button("accept"), button("reject")),
    correction(turn, (fields) => act("correct", { ...fields, note: note.value })),
    ...(turn.outcome === "answer" ? [rating(turn, (fields) => act("rate", fields))] : []),
  );
}

function decided(review) {
  if (!review || review.state === "open") return say("undecided");
  return say("decidedBy", { state: term("state", review.state), who: review.who, at: moment(review.decided_at), note: review.note }).trim();
}

// ---- what would have been right

function correction(turn, save) {
  const right = turn.review?.state === "corrected" ? turn.review : { outcome: "answer", answer: "", facts: [], articles: [], must_not: [] };
  const outcome = make("select", { id: "right-outcome" }, ...OUTCOMES.map((name) => make("option", { value: name, selected: name === right.outcome }, term("outcome", name))));
  const answer = area("right-answer", 3, right.answer);
  const facts = area("right-facts", 2, right.facts.map((one) => one.join(" | ")).join("\n"));
  const articles = make("input", { id: "right-articles", autocomplete: "off", spellcheck: "false", value: right.articles.join(" ") });
  const mustNot = area("right-must-not", 2, right.must_not.join("\n"));
  const labelled = [["rightOutcome", outcome], ["rightAnswer", answer], ["rightFacts", facts], ["rightArticles", articles], ["rightMustNot", mustNot]];
  const form = make("form", {}, ...labelled.flatMap(([name, field]) => [make("label", { for: field.id }, say(name)), field]), make("button", { type: "submit" }, say("correctSave")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    save({ outcome: outcome.value, answer: answer.value, facts: parts(facts, /\n/), articles: parts(articles, /[\s,]+/), must_not: parts(mustNot, /\n/) });
  });
  return make("details", { id: "correction" }, make("summary", {}, say("correct")), make("p", { class: "hint" }, say("correctWhat")), form);
}

const area = (id, rows, words) => make("textarea", { id, rows, maxlength: LONGEST }, words);

const parts = (field, between) => field.value.split(between).map((one) => one.trim()).filter(Boolean);

// ---- how good it was

function rating(turn, save) {
  const fields = ASPECTS.map((aspect) => make("label", {}, term("aspect", aspect), make("select", { name: aspect },
    make("option", { value: "" }, say("notRated")), ...MARKS.map((mark) => make("option", { value: mark }, mark)))));
  const form = make("form", {}, make("div", { class: "row" }, ...fields), make("button", { type: "submit" }, say("rateSave")));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const given = [...new FormData(form)].filter(([, mark]) => mark);
    if (given.length) save(Object.fromEntries(given.map(([aspect, mark]) => [aspect, Number(mark)])));
  });
  return make("details", { id: "rating" }, make("summary", {}, say("rate")), make("p", { class: "hint" }, say("rateHow")), ...said(turn.ratings).map(none), form);
}

/** One line a reviewer. */
function said(ratings) {
  const byWhom = new Map();
  for (const { who, aspect, value } of ratings) byWhom.set(who, [...(byWhom.get(who) ?? []), `${term("aspect", aspect)} ${value}`]);
  return [...byWhom].map(([who, values]) => say("rated", { who, values: values.join(", ") }));
}
