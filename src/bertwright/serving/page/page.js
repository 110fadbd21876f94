// The frame: tabs for what the models can do, the model chosen, one question under way at a time.

import { ask, keep, Refused, useKey } from "./ask.js";
import { make } from "./parts.js";
import { VIEWS } from "./views.js";

const PAUSE = 350; // milliseconds after the last key before a question goes out
const at = (id) => document.getElementById(id);
const [tabs, view, status, chooser] = ["tabs", "view", "status", "model"].map(at);

let models = [];
let ability = "";
let under = null; // the question under way
let timer = 0;
let wanted = ""; // the model chosen by hand
const kept = {}; // what was typed in each view

// state: "asking", "answered", "idle" where nothing was asked, "bad" where it could not be answered.
function say(line, state) {
  status.textContent = line;
  status.dataset.state = state;
}

// Those that were made for vectors first, where vectors are asked for.
const made = (model) => ability === "similarity" && model.task === "embed";
const able = () => models.filter((model) => model.can.includes(ability)).sort((a, b) => made(b) - made(a));
const chosen = () => able().find((model) => model.name === wanted) ?? able()[0];

function showTabs() {
  const there = Object.keys(VIEWS).filter((name) => models.some((model) => model.can.includes(name)));
  tabs.replaceChildren(
    ...there.map((name) =>
      make("button", { role: "tab", type: "button", id: `tab-${name}`, "aria-controls": "view", onclick: () => open(name) }, VIEWS[name].title),
    ),
  );
  const wished = location.hash.slice(1);
  open(there.includes(wished) ? wished : there[0]);
}

function open(name) {
  ability = name;
  history.replaceState(null, "", `#${name}`);
  for (const tab of tabs.children) {
    const here = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", here);
    tab.tabIndex = here ? 0 : -1;
    if (here) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  view.setAttribute("aria-labelledby", `tab-${name}`);
  chooser.replaceChildren(...able().map((model) => make("option", { value: model.name }, model.name)));
  chooser.value = chosen().name;
  chooser.parentElement.hidden = models.length < 2;
  showForm();
}

function showForm() {
  const { form: fields } = VIEWS[ability];
  const answer = make("section", { id: "answer", "aria-label": "Answer" });
  const form = make("form", { id: "form", novalidate: true }, ...fields());
  for (const element of form.elements) {
    const name = `${ability}.${element.name}`;
    if (element.name && name in kept) element.value = kept[name];
  }
  form.addEventListener("input", (event) => {
    kept[`${ability}.${event.target.name}`] = event.target.value;
    clearTimeout(timer);
    status.dataset.state = "asking";
    timer = setTimeout(run, PAUSE);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run();
  });
  form.addEventListener("click", ({ target }) => {
    if (!target.dataset.insert) return;
    const text = form.text;
    text.setRangeText(target.dataset.insert, text.selectionStart, text.selectionEnd, "end");
    text.focus();
    text.dispatchEvent(new Event("input", { bubbles: true }));
  });
  view.replaceChildren(form, answer);
  run();
}

async function run() {
  clearTimeout(timer);
  status.dataset.state = "asking";
  under?.abort();
  const mine = (under = new AbortController());
  const [form, answer, model, name] = [at("form"), at("answer"), chosen(), ability];
  const body = VIEWS[name].body(form);
  // The answer is to what was asked, whatever is typed meanwhile.
  const asked = Object.fromEntries(new FormData(form));
  const put = (field, value) => {
    if (form.elements[field].value !== asked[field]) return;
    form.elements[field].value = value;
    form.elements[field].dispatchEvent(new Event("input", { bubbles: true }));
    run();
  };
  at("about").textContent = `${model.name}: ${model.engine}, ${model.max_length} tokens a window`;
  if (!body) {
    answer.replaceChildren();
    say(VIEWS[name].wanted ?? "", "idle");
    return;
  }
  const begun = performance.now();
  try {
    const found = await ask(`/${name}`, { ...body, model: model.name }, mine.signal);
    if (mine !== under) return;
    const focused = place(answer);
    answer.replaceChildren(...VIEWS[name].draw(found, asked, put, model).filter(Boolean));
    answer.querySelectorAll("button")[focused]?.focus();
  } catch (error) {
    if (mine === under && error.name !== "AbortError") tell(error);
    return;
  }
  say(`answered in ${Math.round(performance.now() - begun)} ms`, "answered");
}

// Which button of an answer has the focus, so that the next answer's has it: who inserts by keyboard goes on there.
const place = (answer) => [...answer.querySelectorAll("button")].indexOf(document.activeElement);

function tell(error) {
  if (error instanceof Refused && error.status === 401) {
    at("key").hidden = false;
    at("key").elements.key.focus();
  }
  say(error instanceof Refused ? error.message : `The page failed: ${error}`, "bad");
}

async function begin() {
  try {
    models = await ask("/models");
    at("key").hidden = true;
    showTabs();
  } catch (error) {
    tell(error);
  }
}

tabs.addEventListener("keydown", (event) => {
  const all = [...tabs.children];
  const here = all.findIndex((tab) => tab.tabIndex === 0);
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  const tab = all.at(to % all.length);
  tab.click();
  tab.focus();
});
chooser.addEventListener("change", () => {
  wanted = chooser.value;
  run();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address names the view, and goes on doing so.
  event.preventDefault();
  view.focus();
});
at("key").addEventListener("submit", (event) => {
  event.preventDefault();
  useKey(event.target.elements.key.value);
  begin();
});
at("theme").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  document.documentElement.dataset.theme = now === "dark" ? "light" : "dark";
  keep(() => (localStorage.theme = document.documentElement.dataset.theme));
});
addEventListener("hashchange", () => at(`tab-${location.hash.slice(1)}`) && open(location.hash.slice(1)));
const theme = keep(() => localStorage.theme);
if (theme) document.documentElement.dataset.theme = theme;
begin();
