// Light or dark, and the colour of buttons and links, as the page around the widget asks for them.
// What is no theme or no colour is passed over. A colour is used as it is where words stand on it; as ink on the page's
// own grounds it is made darker or lighter until it can be read (4.5:1).

const THEMES = { light: "not all", dark: "all" };
const COLOUR = /^[0-9a-f]{6}$/i;
const READABLE = 4.5;
const STEPS = 20;
// The ground on which ink is hardest to read (--sunken of chat.css and chat-dark.css), and where ink is led to.
const LIGHT = { ground: [239, 238, 232], end: [0, 0, 0] };
const DARK = { ground: [38, 45, 42], end: [255, 255, 255] };

const root = document.documentElement;
const darkness = matchMedia("(prefers-color-scheme: dark)");

export function useTheme(asked) {
  const theme = asked.get("theme");
  if (Object.hasOwn(THEMES, theme)) {
    document.getElementById("dark").media = THEMES[theme];
    root.style.colorScheme = theme;
  }
  const accent = asked.get("accent") ?? "";
  if (!COLOUR.test(accent)) return;
  const colour = [0, 2, 4].map((at) => Number.parseInt(accent.slice(at, at + 2), 16));
  const paint = () => useAccent(colour, theme in THEMES ? theme === "dark" : darkness.matches);
  darkness.addEventListener("change", paint);
  paint();
}

function useAccent(colour, isDark) {
  const fill = css(colour);
  const onFill = css(wordsOn(colour));
  const colours = { "--fill": fill, "--on-fill": onFill, "--mine": fill, "--on-mine": onFill, "--accent": css(inkOf(colour, isDark ? DARK : LIGHT)) };
  for (const [name, value] of Object.entries(colours)) root.style.setProperty(name, value);
}

const css = (colour) => `rgb(${colour.map(Math.round).join(" ")})`;

/** Black or white, whichever is read more easily on it. */
const wordsOn = (colour) => [LIGHT.end, DARK.end].reduce((one, other) => (contrast(one, colour) >= contrast(other, colour) ? one : other));

function inkOf(colour, { ground, end }) {
  for (let step = 0; step < STEPS; step += 1) {
    const ink = colour.map((part, at) => Math.round(part + ((end[at] - part) * step) / STEPS));
    if (contrast(ink, ground) >= READABLE) return ink;
  }
  return end;
}

function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** As WCAG counts it, 0 to 1. */
function luminance(colour) {
  const [red, green, blue] = colour.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
