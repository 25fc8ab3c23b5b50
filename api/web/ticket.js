// The line under the message box: which ticket is open in this conversation, and the way to withdraw it.

import { withdraw } from "./desk.js";
import { say, sayIn } from "./strings.js";
import { announce } from "./view.js";

const line = document.getElementById("waiting");
const button = line.querySelector("button");
let open = null;

export const isOpen = () => open !== null;

/** ticket: its id, or null where none is open. */
export function show(ticket) {
  open = ticket;
  button.hidden = false;
  line.hidden = !isOpen();
  if (isOpen()) sayIn(line.querySelector("p"), "waiting", { ticket });
}

/** What was said of a ticket that is withdrawn goes. */
export function tidy() {
  if (!isOpen()) line.hidden = true;
}

/** `threadOf()`: the thread in which something may be withdrawn now; `onWithdrawn` is called with the button gone. */
export function listen(threadOf, onWithdrawn) {
  button.addEventListener("click", async () => {
    const [ticket, thread] = [open, threadOf()];
    if (!ticket || !thread) return;
    try {
      const done = await withdraw(thread);
      if (open !== ticket) return;
      open = null;
      button.hidden = true;
      tell(done.ticket ? "withdrawn" : "withdrawnBefore", ticket);
      onWithdrawn();
    } catch {
      if (open === ticket) tell("withdrawFailed", ticket);
    }
  });
}

function tell(name, ticket) {
  sayIn(line.querySelector("p"), name, { ticket });
  announce(say(name, { ticket }));
}
