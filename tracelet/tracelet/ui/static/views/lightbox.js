// A picture as large as the window, with the ones before and after it.

import { fill, h } from "../dom.js";

/** Show one of several {source, name}; `onMove` is told which one is shown when that changes. */
export function showLarge(pictures, start, onMove = () => {}) {
  let place = start;
  const image = h("img", {});
  const caption = h("span", { role: "status" });
  const by = (step) => {
    const next = Math.min(Math.max(place + step, 0), pictures.length - 1);
    if (next === place) return;
    place = next;
    onMove(place);
    draw();
  };
  const button = (text, name, step) => h("button", { "aria-label": name, title: name, onclick: () => by(step) }, text);
  const [before, after] = [button("←", "Previous", -1), button("→", "Next", 1)];
  const dialog = h("dialog", { class: "large", "aria-label": "Picture", onclose: () => dialog.remove(), onkeydown: (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, Home: -pictures.length, End: pictures.length }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    by(step);
  }, onclick: (event) => { if (event.target === dialog) dialog.close(); } },
  image, h("footer", { class: "row" }, pictures.length > 1 ? [before, after] : null, caption, h("span", { class: "grow" }), h("button", { onclick: () => dialog.close() }, "Close")));
  const draw = () => {
    image.src = pictures[place].source;
    image.alt = pictures[place].name;
    fill(caption, pictures[place].name, pictures.length > 1 ? h("span", { class: "dim" }, ` · ${place + 1} of ${pictures.length}`) : null);
    before.setAttribute("aria-disabled", String(place === 0)); // a disabled button would lose the focus, and with it the keys
    after.setAttribute("aria-disabled", String(place === pictures.length - 1));
  };
  image.onload = () => image.classList.toggle("tiny", image.naturalWidth < 200 && image.naturalHeight < 200); // enlarged without blur
  document.body.append(dialog);
  draw();
  dialog.showModal();
}
