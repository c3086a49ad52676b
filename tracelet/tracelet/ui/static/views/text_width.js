// How wide texts of drawings are, so that they neither overlap nor are cut.

let context = null;

/** The width of a text beside an axis of a drawing, in pixels. */
export function textWidth(text) {
  if (context === null) {
    context = document.createElement("canvas").getContext("2d");
    context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  }
  return context.measureText(text).width * 1.02 + 1; // the drawing may round each letter up
}

/** A text that is shortened in the middle until it is at most so wide. */
export function fitText(text, most) {
  if (textWidth(text) <= most) return text;
  const all = [...text];
  let [low, high] = [0, all.length]; // the number of letters that are kept
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (textWidth(kept(all, middle)) <= most) low = middle;
    else high = middle;
  }
  return kept(all, low);
}

function kept(all, count) {
  const head = Math.ceil(count * 0.6);
  return `${all.slice(0, head).join("")}…${count > head ? all.slice(head - count).join("") : ""}`;
}
