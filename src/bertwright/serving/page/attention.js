// What each token looks at: all heads as small maps, one of them as lines between tokens.

import { make } from "./parts.js";

const HEIGHT = 27.2; // of a token in the list, 1.7rem

export function drawAttention(found, chosen, onchoose) {
  const [layers, heads, size] = found.shape;
  // Decoded and painted once an answer: of a large model at 128 tokens that is six million points.
  const bytes = (found.bytes ??= Uint8Array.from(atob(found.shares), (letter) => letter.charCodeAt(0)));
  const maps = (found.maps ??= new Map());
  const share = (layer, head, from, to) => bytes[((layer * heads + head) * size + from) * size + to] / 255;
  const layer = Math.min(chosen.layer, layers - 1);
  const head = Math.min(chosen.head, heads - 1);

  const grid = make("div", { class: "heads", role: "group", "aria-label": "Layers from top to bottom, heads from left to right" });
  grid.style.gridTemplateColumns = `repeat(${heads}, auto)`;
  for (let l = 0; l < layers; l++) {
    for (let h = 0; h < heads; h++) {
      const here = l === layer && h === head;
      const place = l * heads + h;
      if (!maps.has(place)) {
        maps.set(place, make("canvas", { width: size, height: size }));
        paint(maps.get(place), size, (from, to) => share(l, h, from, to));
      }
      const map = maps.get(place);
      const about = { type: "button", title: `layer ${l + 1}, head ${h + 1}`, "aria-label": `layer ${l + 1}, head ${h + 1}` };
      const button = make("button", { ...about, "aria-pressed": here, tabindex: here ? 0 : -1, onclick: () => onchoose(l, h) }, map);
      button.addEventListener("keydown", (event) => {
        const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
        if (!step) return;
        event.preventDefault();
        onchoose((l + step[0] + layers) % layers, (h + step[1] + heads) % heads, true);
      });
      grid.append(button);
    }
  }

  const seen = strongest(size, (from, to) => share(layer, head, from, to));
  return [
    make("p", { class: "soft" }, "Each token on the left attends to those on the right: the stronger the line, the more of its attention. Point at a token to see its lines alone; choose a head by its map."),
    make(
      "div",
      { class: "attention" },
      make("section", {}, make("h2", {}, "All heads, a layer a row"), make("div", { class: "scroll" }, grid)),
      make(
        "section",
        {},
        make("h2", {}, `Layer ${layer + 1}, head ${head + 1}`),
        make("div", { class: "scroll" }, lines(found.pieces, (from, to) => share(layer, head, from, to))),
        make("p", { class: "soft" }, seen),
      ),
    ),
  ];
}

function paint(canvas, size, share) {
  const pen = canvas.getContext("2d");
  const image = pen.createImageData(size, size);
  for (let from = 0; from < size; from++) {
    for (let to = 0; to < size; to++) {
      const place = 4 * (from * size + to);
      image.data.set([80, 112, 235, Math.round(255 * Math.sqrt(share(from, to)))], place);
    }
  }
  pen.putImageData(image, 0, 0);
}

function lines(pieces, share) {
  const drawing = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  drawing.setAttribute("viewBox", `0 0 100 ${pieces.length * HEIGHT}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const draw = (only) => {
    drawing.replaceChildren();
    for (let from = 0; from < pieces.length; from++) {
      if (only !== null && from !== only) continue;
      for (let to = 0; to < pieces.length; to++) {
        const strength = share(from, to);
        if (strength < 0.02) continue;
        const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
        const ends = { x1: 0, y1: (from + 0.5) * HEIGHT, x2: 100, y2: (to + 0.5) * HEIGHT };
        for (const [name, value] of Object.entries(ends)) stroke.setAttribute(name, value);
        stroke.setAttribute("stroke-opacity", strength.toFixed(3));
        stroke.setAttribute("stroke-width", (0.5 + 3.5 * strength).toFixed(2));
        stroke.setAttribute("vector-effect", "non-scaling-stroke");
        drawing.append(stroke);
      }
    }
  };
  const left = make("ol", { "aria-label": "Tokens that attend" });
  pieces.forEach((piece, number) => {
    const show = () => draw(number);
    left.append(make("li", { tabindex: 0, onmouseenter: show, onfocus: show, onmouseleave: () => draw(null), onblur: () => draw(null) }, piece));
  });
  const right = make("ol", { "aria-hidden": "true" }, ...pieces.map((piece) => make("li", {}, piece)));
  draw(null);
  return make("div", { class: "looks" }, left, make("div", { class: "lines" }, drawing), right);
}

// A sentence of what a head does, where it does one thing most of the time.
function strongest(size, share) {
  const kinds = { "to itself": (a) => [a], "to the token before": (a) => [a - 1], "to the next token": (a) => [a + 1], "to [CLS]": () => [0], "to the last [SEP]": () => [size - 1] };
  const found = Object.entries(kinds).map(([told, places]) => {
    let sum = 0;
    for (let from = 0; from < size; from++) for (const to of places(from)) if (to >= 0 && to < size) sum += share(from, to);
    return [told, sum / size];
  });
  const [told, mean] = found.sort((a, b) => b[1] - a[1])[0];
  return mean > 0.4 ? `In this head a token attends mostly ${told}: ${(100 * mean).toFixed(0)} % of all attention.` : "This head spreads its attention over several tokens.";
}
