// One view for each thing that a model can do: its form, its question to the server, its drawing of the answer.

import { drawAttention } from "./attention.js";
import { area, bars, characters, field, line, make, marked, percent } from "./parts.js";

const MASK = "[MASK]";

// The shares of a label, or the score of a model that rates.
const judged = (result) =>
  result.probabilities
    ? [
        // Sorted again: a browser puts labels that are numbers first.
        bars(Object.entries(result.probabilities).sort((a, b) => b[1] - a[1]).slice(0, 12)),
        result.label === null ? make("p", { class: "soft" }, "Not sure enough to give a label.") : null,
        result.labels && !result.labels.length ? make("p", { class: "soft" }, "No label reaches its threshold.") : null,
      ]
    : [make("p", {}, make("strong", {}, result.score.toFixed(3)))];

const remembered = { layer: 0, head: 0 };

export const VIEWS = {
  fill: {
    title: "Fill",
    form: () => [
      field(`A text with ${MASK}`, area("text", `The weather today is ${MASK}, so we stay at ${MASK}.`)),
      make("div", { class: "row" }, make("button", { type: "button", class: "quiet", "data-insert": MASK }, `Insert ${MASK}`)),
    ],
    body: (form) => (form.text.value.includes(MASK) ? { texts: [form.text.value], top: 8 } : null),
    wanted: `Put a ${MASK} where a word is missing.`,
    draw({ results: [{ masks }] }, asked, put) {
      const cards = masks.map((mask, number) => {
        const insert = (word) => {
          const letters = characters(asked.text);
          const before = letters.slice(0, mask.start).join("");
          const rest = letters.slice(mask.end).join("");
          // A piece that goes on with a word stands against it.
          const joined = word.startsWith("##") ? [before.trimEnd(), word.slice(2)] : [before, word];
          put("text", joined.join("") + rest);
        };
        const rows = mask.candidates.map(({ word, probability }) => [word, probability]);
        return make("section", { class: "card" }, make("h2", {}, `${MASK} ${masks.length > 1 ? number + 1 : ""}`), bars(rows, insert));
      });
      return [make("div", { class: "cards" }, ...cards), make("p", { class: "soft" }, "Click a word to put it in.")];
    },
  },

  classify: {
    title: "Classify",
    form: () => [field("A text", area("text", "A quiet film that stays with you for days."))],
    body: (form) => (form.text.value.trim() ? { texts: [form.text.value] } : null),
    draw: ({ results: [result] }) => [make("div", { class: "card" }, ...judged(result).filter(Boolean))],
  },

  pair: {
    title: "Pair",
    form: () => [
      field("First text", area("first", "It rained all night.", 2)),
      field("Second text", area("second", "The streets are wet.", 2)),
    ],
    body: (form) => (form.first.value.trim() ? { pairs: [[form.first.value, form.second.value]] } : null),
    draw: ({ results: [result] }) => [make("div", { class: "card" }, ...judged(result).filter(Boolean))],
  },

  tag: {
    title: "Tag",
    form: () => [field("A text", area("text", "Ada Lovelace met Charles Babbage in London on 5 June 1833."))],
    body: (form) => (form.text.value.trim() ? { texts: [form.text.value] } : null),
    draw({ results: [{ spans }] }, asked, put, model) {
      const kinds = [...new Set(model.labels.filter((label) => label !== "O").map((label) => label.replace(/^[BIESLU]-/, "")))];
      const shown = spans.map((span) => ({
        ...span,
        class: `kind${Math.max(0, kinds.indexOf(span.label)) % 8}`,
        title: span.probability == null ? span.label : `${span.label} ${percent(span.probability)}`,
      }));
      const none = spans.length ? null : make("p", { class: "soft" }, "No span is found.");
      return [make("div", { class: "card" }, marked(asked.text, shown), none)];
    },
  },

  answer: {
    title: "Answer",
    form: () => [
      field("Question", line("question", "Where did the first flight take place?")),
      field("Context", area("context", "The Wright brothers built their first powered aeroplane in Dayton, Ohio. On 17 December 1903 it flew for twelve seconds near Kitty Hawk, North Carolina, with Orville at the controls.", 6)),
    ],
    body: (form) => (form.question.value.trim() ? { questions: [{ question: form.question.value, context: form.context.value }] } : null),
    draw({ results: [result] }, asked) {
      const place = make("div", { class: "card" });
      const show = (span) =>
        place.replaceChildren(
          span.text ? make("p", {}, make("strong", {}, span.text)) : make("p", { class: "soft" }, "The context holds no answer."),
          marked(asked.context, span.text ? [{ start: span.start, end: span.end }] : []),
        );
      show(result);
      const best = result.best.map((span) => [span.text, span.probability]);
      const pick = (text) => show(result.best.find((span) => span.text === text));
      return [place, make("h2", {}, "The best spans"), make("div", { class: "card" }, bars(best, pick))];
    },
  },

  choose: {
    title: "Choose",
    form: () => [
      field("A text", area("text", "It rained all night.", 2)),
      field("Choices, one a line", area("choices", "The streets are wet.\nHe sings.", 3)),
    ],
    body(form) {
      const choices = form.choices.value.split("\n").filter((choice) => choice.trim());
      return choices.length ? { text: form.text.value, choices } : null;
    },
    draw({ results: [result] }, asked) {
      const choices = asked.choices.split("\n").filter((choice) => choice.trim());
      const rows = choices.map((choice, number) => [choice, result.probabilities[number]]).sort((a, b) => b[1] - a[1]);
      return [make("div", { class: "card" }, bars(rows))];
    },
  },

  similarity: {
    title: "Similarity",
    form: () => [field("Texts, one a line", area("texts", "A dog barks at the postman.\nThe hound makes a noise.\nThe rent is due on Friday.\nPlease pay before the weekend.", 5))],
    body(form) {
      const texts = form.texts.value.split("\n").filter((text) => text.trim());
      return texts.length > 1 ? { texts } : null;
    },
    wanted: "Two lines or more are needed.",
    draw(cosines, asked) {
      const texts = asked.texts.split("\n").filter((text) => text.trim());
      const head = make("tr", {}, make("td"), ...texts.map((_, number) => make("th", { scope: "col" }, `${number + 1}`)));
      const rows = cosines.map((row, number) => {
        const cells = row.map((cosine) => {
          const cell = make("td", {}, cosine.toFixed(2));
          const share = Math.max(0, cosine);
          cell.style.background = `color-mix(in oklab, var(--main) ${(100 * share).toFixed(0)}%, var(--card))`;
          if (share > 0.55) cell.style.color = "var(--on-main)";
          return cell;
        });
        // The number first: what is too long to be shown is cut off at its end.
        const named = [make("span", { class: "number" }, `${number + 1} `), make("bdi", {}, texts[number])];
        return make("tr", {}, make("th", { scope: "row", title: texts[number] }, ...named), ...cells);
      });
      return [make("div", { class: "card scroll" }, make("table", { class: "heat" }, make("thead", {}, head), make("tbody", {}, ...rows)))];
    },
  },

  attention: {
    title: "Attention",
    form: () => [
      field("A text", line("text", "The animal did not cross the street because it was too tired.")),
      field("A second text, or nothing", line("second", "")),
    ],
    body: (form) => (form.text.value.trim() ? { text: form.text.value, second: form.second.value || null } : null),
    draw(found) {
      const place = make("div", { class: "card" });
      const show = (layer, head, focus) => {
        Object.assign(remembered, { layer, head });
        place.replaceChildren(...drawAttention(found, remembered, show));
        if (focus) place.querySelector('[aria-pressed="true"]').focus();
      };
      show(remembered.layer, remembered.head);
      return [place];
    },
  },

  tokenize: {
    title: "Pieces",
    form: () => [field("A text", area("text", "Unbelievably, the wordsmith's café reopened."))],
    body: (form) => (form.text.value ? { inputs: form.text.value } : null),
    draw([tokens]) {
      const pieces = tokens.map(({ id, text, special }) =>
        make("span", { class: special ? "piece special" : "piece" }, text, make("small", {}, `${id}`)),
      );
      return [make("div", { class: "card" }, make("div", { class: "pieces" }, ...pieces)), make("p", { class: "soft" }, `${tokens.length} pieces`)];
    },
  },
};
