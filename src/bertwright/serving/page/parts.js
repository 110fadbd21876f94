// The small pieces that views are drawn of. Texts of people become text nodes, never markup.

export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (key === "share") element.style.setProperty("--share", `${(100 * value).toFixed(2)}%`);
    else if (key.startsWith("aria-")) element.setAttribute(key, String(value));
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

export const percent = (share) => (share >= 0.0995 ? `${(100 * share).toFixed(1)} %` : `${(100 * share).toFixed(2)} %`);

// rows: [name, share] each, likeliest first. onpick: what a click on a bar does.
export function bars(rows, onpick) {
  const list = make("ul", { class: "bars" });
  rows.forEach(([name, share], place) => {
    const inside = [make("span", {}, name || "∅"), make("span", { class: "number" }, percent(share))];
    const about = { class: place ? "bar" : "bar first", share };
    const bar = onpick
      ? make("button", { ...about, type: "button", onclick: () => onpick(name) }, ...inside)
      : make("div", about, ...inside);
    list.append(make("li", {}, bar));
  });
  return list;
}

// The server counts characters, a browser halves of them where they are rare.
export const characters = (text) => Array.from(text);

// The text with its spans marked: {start, end, class, label} each, in characters; those that overlap are left out.
export function marked(text, spans) {
  const letters = characters(text);
  const box = make("div", { class: "text", dir: "auto" });
  let at = 0;
  for (const span of [...spans].sort((a, b) => a.start - b.start)) {
    if (span.start < at || span.end <= span.start) continue;
    box.append(letters.slice(at, span.start).join(""));
    const label = span.label ? make("small", {}, span.label) : null;
    box.append(make("mark", { class: span.class, title: span.title }, letters.slice(span.start, span.end).join(""), label));
    at = span.end;
  }
  box.append(letters.slice(at).join(""));
  return box;
}

export const field = (label, element) => make("label", {}, label, element);

export function area(name, value, rows = 3) {
  const element = make("textarea", { name, rows, spellcheck: "false", dir: "auto" });
  element.value = value;
  return element;
}

export function line(name, value) {
  const element = make("input", { type: "text", name, spellcheck: "false", dir: "auto", autocomplete: "off" });
  element.value = value;
  return element;
}
