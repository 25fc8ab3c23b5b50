// What the browser keeps: the language for good, the thread until the tab closes.
// A browser that forbids storage in a frame of another site still keeps that frame's own cookies until it is closed;
// one that forbids both leaves a page without memory.

const LANGUAGE = "frontdesk.language";
const THREAD = "frontdesk.thread";

export const chosenLanguage = () => read(() => localStorage, LANGUAGE);
export const keepLanguage = (language) => write(() => localStorage, LANGUAGE, language);
export const openThread = () => read(() => sessionStorage, THREAD);
export const keepThread = (id) => write(() => sessionStorage, THREAD, id);
export const forgetThread = () => write(() => sessionStorage, THREAD, null);

function read(storage, name) {
  try {
    return storage().getItem(name);
  } catch {
    const kept = document.cookie.split("; ").find((cookie) => cookie.startsWith(`${name}=`));
    return kept ? decodeURIComponent(kept.slice(name.length + 1)) : null;
  }
}

function write(storage, name, value) {
  try {
    if (value === null) storage().removeItem(name);
    else storage().setItem(name, value);
  } catch {
    // For this page alone: the path keeps it out of what is sent to the desk.
    const life = value === null ? "; Max-Age=0" : "";
    const kept = encodeURIComponent(value ?? "");
    document.cookie = `${name}=${kept}; Path=${location.pathname}; SameSite=None; Secure; Partitioned${life}`;
  }
}
