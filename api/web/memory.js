// What the browser keeps: the language for good, the thread until the tab closes.
// A browser may forbid storage altogether; the page then works without memory.

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
    return null;
  }
}

function write(storage, name, value) {
  try {
    if (value === null) storage().removeItem(name);
    else storage().setItem(name, value);
  } catch {
    // Forbidden or full: nothing is lost but the memory itself.
  }
}
