/** What a reviewer decides about the turn that is open: right as it is, or nothing to learn from. Correcting needs words: the terminal has them. */

import { make, moment, none } from "/web/ops-dom.js";

const WORDS = { accepted: "Accepted", corrected: "Corrected", rejected: "Rejected" };

export function drawDecision(place, turn, decide) {
  const review = turn.review;
  const note = make("input", { id: "decision-note", autocomplete: "off", maxlength: "500" });
  const button = (name, decision) => make("button", { type: "button", onclick: () => decide(turn.turn_id, decision, note.value) }, name);
  const said = review && WORDS[review.state];
  place.replaceChildren(
    make("h3", {}, "Review"),
    none(said ? `${said} by ${review.who}, ${moment(review.decided_at)} UTC.${review.note ? ` ${review.note}` : ""}` : "Nobody has decided about it."),
    make("label", { for: "decision-note" }, "Note for colleagues"), note,
    make("div", { class: "row" }, button("Accept: it was right", "accept"), button("Reject: nothing to learn", "reject")),
    none(`To say what would have been right: frontdesk review correct ${turn.turn_id} --fact … --article …`),
  );
}
