// The chat on somebody else's page: <script src="https://desk.example/widget.js" async></script>
// A button, and behind it the chat page in a frame. No style, script or word of the page around can reach inside.
// What it makes goes through the DOM alone, so that a strict content policy of that page needs to allow
// script-src and frame-src of this desk and nothing else.

(() => {
  const script = document.currentScript ?? document.querySelector('script[src*="/widget.js"]');
  if (!script || document.querySelector("[data-frontdesk-widget]")) return;

  const PATIENCE_MS = 15_000;
  const PATIENCE_LOADED_MS = 2_000; // a frame that was refused is loaded too, with nobody in it who says "ready"
  const WORDS = {
    en: { open: "Chat with us", close: "Close the chat", wait: "Opening the chat…", away: "The chat cannot be reached here.", page: "Open it in a new tab" },
    vi: { open: "Trò chuyện với chúng tôi", close: "Đóng cửa sổ trò chuyện", wait: "Đang mở cửa sổ trò chuyện…", away: "Không mở được cửa sổ trò chuyện tại đây.", page: "Mở trong thẻ mới" },
  };
  const { language = "", position = "right", label = "", theme = "auto", accent = "" } = script.dataset;
  const THEMES = ["light", "dark", "auto"];
  const COLOUR = /^#[0-9a-f]{6}$/i;
  const scheme = THEMES.includes(theme) ? theme : "auto";
  const colour = COLOUR.test(accent) ? accent : "";
  if (scheme !== theme) console.warn(`Frontdesk: data-theme "${theme}" is none of ${THEMES.join(", ")}`);
  if (colour !== accent) console.warn(`Frontdesk: data-accent "${accent}" is no colour like #17594a`);
  const LIGHT = "--surface: #fff; --ink: #1d2321; --line: #d9d7cd; --accent: #17594a; --on-accent: #fff;";
  const DARK = "--surface: #1c2220; --ink: #e8ecea; --line: #343c39; --accent: #84cdb6; --on-accent: #0b1a16;";
  const palette = {
    light: `.root { ${LIGHT} color-scheme: light; }`,
    dark: `.root { ${DARK} color-scheme: dark; }`,
    auto: `.root { ${LIGHT} color-scheme: light dark; } @media (prefers-color-scheme: dark) { .root { ${DARK} } }`,
  }[scheme];
  const own = colour ? `.root { --accent: ${colour}; --on-accent: ${wordsOn(colour)}; }` : "";

  /** Black or white, whichever is read more easily on it: from a luminance (WCAG) of 0.179 on that is black. */
  function wordsOn(hex) {
    const [red, green, blue] = [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff";
  }

  // Rules of the page around that mean every element reach the host; the root below it takes nothing from them.
  const STYLE = `
    :host { all: initial; }
    .root { all: initial; font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Arial, sans-serif; }
    ${palette} ${own}
    @media print { :host { display: none; } }
    * { box-sizing: border-box; }
    [hidden] { display: none !important; }
    button { font: inherit; cursor: pointer; }
    :focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
    svg { flex: none; width: 1.5em; height: 1.5em; fill: none; stroke: currentColor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
    .open, .panel { position: fixed; z-index: 2147483000; inset-inline-end: 1.25rem; }
    .left .open, .left .panel { inset-inline: 1.25rem auto; }
    .open { bottom: 1.25rem; display: flex; align-items: center; gap: .5rem; min-height: 3.25rem; max-width: calc(100vw - 2.5rem);
      padding: .5rem 1.125rem; border: 1px solid transparent; border-radius: 2rem; background: var(--accent); color: var(--on-accent);
      font-weight: 600; box-shadow: 0 .25rem 1rem rgb(0 0 0 / .25); }
    .news::after { content: ""; width: .75rem; height: .75rem; border-radius: 50%; background: #e0912f; border: 2px solid var(--on-accent); }
    .panel { bottom: 5.5rem; width: min(26rem, calc(100vw - 2.5rem)); height: min(42rem, calc(100vh - 7rem)); overflow: hidden;
      border: 1px solid var(--line); border-radius: 1rem; background: var(--surface); color: var(--ink); box-shadow: 0 .5rem 2.5rem rgb(0 0 0 / .3); }
    iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: inherit; }
    .close { position: absolute; inset: .5rem .5rem auto auto; z-index: 1; display: grid; place-items: center; width: 2.75rem; height: 2.75rem;
      border: 1px solid transparent; border-radius: .625rem; background: var(--surface); color: var(--ink); }
    .close:hover { border-color: var(--line); }
    .state { position: absolute; inset: 0; display: grid; gap: .5rem; place-content: center; padding: 1.5rem; text-align: center; background: var(--surface); }
    p { margin: 0; }
    a { color: inherit; }
    @media (max-width: 30rem), (max-height: 26rem) {
      .panel, .left .panel { inset: 0; width: 100%; height: 100%; border: 0; border-radius: 0; } }
    @media (forced-colors: active) { .open, .close, .panel { border: 1px solid; } }`;

  const tongue = [language, document.documentElement.lang, "en"].map((tag) => tag.toLowerCase().split("-")[0]).find((tag) => tag in WORDS);
  const words = WORDS[tongue];
  const desk = new URL(script.src);
  const address = new URL(`widget?${new URLSearchParams({ language: tongue, theme: scheme, accent: colour.slice(1) })}`, desk);

  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const icon = (path) => {
    const drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    drawn.setAttribute("viewBox", "0 0 24 24");
    drawn.setAttribute("aria-hidden", "true");
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("d", path);
    drawn.append(line);
    return drawn;
  };

  const name = label || words.open;
  const button = make("button", { type: "button", class: "open", "aria-expanded": "false", "aria-controls": "panel" },
    icon("M4 5.5h16v11H9.5L5 20v-3.5H4z"), name);
  const close = make("button", { type: "button", class: "close", "aria-label": words.close, title: words.close }, icon("M6 6l12 12M18 6 6 18"));
  const said = make("p", { role: "status" }, words.wait);
  const elsewhere = make("a", { href: new URL("/", desk), target: "_blank", rel: "noopener", hidden: "" }, words.page);
  const state = make("div", { class: "state" }, said, elsewhere);
  const panel = make("div", { id: "panel", class: "panel", role: "dialog", "aria-label": name, hidden: "" }, close, state);
  const host = make("div", { "data-frontdesk-widget": "" });
  const root = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(STYLE);
  root.adoptedStyleSheets = [style];
  root.append(make("div", { class: position === "left" ? "root left" : "root", lang: tongue }, button, panel));

  let frame = null; // made when it is first opened: until then the page around pays for a button
  const tell = (word) => frame?.contentWindow?.postMessage({ frontdesk: word }, desk.origin);

  function open() {
    panel.hidden = false;
    button.setAttribute("aria-expanded", "true");
    button.classList.remove("news");
    if (frame) tell("open");
    else load();
    if (state.hidden) frame.focus();
    else close.focus();
  }

  function load() {
    frame = make("iframe", { title: name, src: address, allow: "clipboard-write",
      sandbox: "allow-scripts allow-same-origin allow-forms allow-popups allow-popups-to-escape-sandbox" });
    frame.addEventListener("load", () => setTimeout(giveUp, PATIENCE_LOADED_MS));
    setTimeout(giveUp, PATIENCE_MS);
    panel.append(frame);
  }

  function giveUp() {
    if (state.hidden) return;
    said.textContent = words.away;
    elsewhere.hidden = false;
  }

  function shut() {
    panel.hidden = true;
    button.setAttribute("aria-expanded", "false");
    button.focus();
  }

  const HEARD = {
    ready() {
      const waiting = root.activeElement === close;
      state.hidden = true;
      if (waiting && !panel.hidden) {
        frame.focus();
        tell("open");
      }
    },
    close: shut,
    news() {
      if (panel.hidden) button.classList.add("news");
    },
  };

  addEventListener("message", ({ source, origin, data }) => {
    if (!frame || source !== frame.contentWindow || origin !== desk.origin) return;
    if (Object.hasOwn(HEARD, data?.frontdesk)) HEARD[data.frontdesk]();
  });
  button.addEventListener("click", () => (panel.hidden ? open() : shut()));
  close.addEventListener("click", shut);
  root.addEventListener("keydown", ({ key }) => {
    if (key === "Escape" && !panel.hidden) shut();
  });

  if (document.body) document.body.append(host);
  else addEventListener("DOMContentLoaded", () => document.body.append(host), { once: true });
})();
