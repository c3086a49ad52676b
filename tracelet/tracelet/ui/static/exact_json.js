// JSON without rounded whole numbers: JSON.parse makes every number a double, which is exact only up to 2**53.

const SUSPECT = /[[,:\s]-?\d{16,}\s*[\],}]/; // a whole number of many digits; a text that looks like one does no harm
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** A whole number that a double cannot hold. It is a number in arithmetic, and has all its digits as a text. */
export class Whole {
  #digits;

  constructor(digits) {
    this.#digits = digits;
  }

  toString() {
    return this.#digits;
  }

  toJSON() {
    return this.#digits;
  }

  [Symbol.toPrimitive](hint) {
    return hint === "number" ? Number(this.#digits) : this.#digits;
  }
}

/** Parse JSON; whole numbers beyond 2**53 become `Whole`. */
export function parseExact(text) {
  if (!SUSPECT.test(text)) return JSON.parse(text);
  const mark = `whole ${Math.random()} `; // no text of an answer begins with it
  let isMarked = false;
  const marked = text.replace(TOKEN, (token) => {
    if (!/^-?\d{16,}$/.test(token) || Number.isSafeInteger(Number(token))) return token;
    isMarked = true;
    return `"${mark}${token}"`;
  });
  if (!isMarked) return JSON.parse(text);
  return JSON.parse(marked, (_, value) => (typeof value === "string" && value.startsWith(mark) ? new Whole(value.slice(mark.length)) : value));
}
