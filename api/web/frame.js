// The page inside the widget's frame, and the little that it says to the page around it: single words, never a text.

const outside = window.parent;
// Only /widget may stand in a frame at all; the content policy sees to it.
export const isFramed = outside !== window;

/** What the page around asks for: language, theme, accent. */
export const asked = new URLSearchParams(isFramed ? location.search : "");

/** word: ready | close | news. Whoever is around may know these. */
export function tellOutside(word) {
  if (isFramed) outside.postMessage({ frontdesk: word }, "*");
}

/** `onOpen` is called each time the visitor opens the panel. */
export function listenToOutside(onOpen) {
  if (!isFramed) return;
  document.documentElement.dataset.framed = "";
  addEventListener("message", ({ source, data }) => {
    if (source === outside && data?.frontdesk === "open") onOpen();
  });
  addEventListener("keydown", ({ key }) => {
    if (key === "Escape") tellOutside("close");
  });
}
