// The status page: asks the API, shows what it says, and looks again when the server says that something changed.

import { breakable, describe } from "./chosen.js";
import { ago, byId, h, tick } from "./dom.js";
import { draw } from "./drawing.js";
import { conditionShown, messagesShown, showObjects, showPlan, showRuns, words } from "./lists.js";
import { announced, tell } from "./timeline.js";

const API = "api/v1";

const shown = {
  lab: null,
  objects: [],
  drawing: null,
  vlan: "",
  picked: "",
  report: null,
  chart: null,
  last: new Map(),
};

/** An answer of the API; null if there is none yet. Throws what the problem says. */
async function ask(path) {
  const response = await fetch(`${API}/${path}`, { headers: { accept: "application/json" } });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(await problem(response));
  return response.json();
}

/** Whether `value` is not what was shown under this name last: what did not change keeps its focus and scrolling. */
function fresh(name, value) {
  const text = JSON.stringify(value);
  const before = shown.last.get(name);
  shown.last.set(name, text);
  return before !== text;
}

async function problem(response) {
  const told = response.headers.get("content-type")?.includes("json") ? await response.json() : {};
  return told.detail || told.title || `the server answered ${response.status}`;
}

// State

const SIGNS = { "in-sync": "✓", reconciling: "↻", "out-of-sync": "≠", stalled: "!", unknown: "?" };

function showStatus(status) {
  const of = (type) => status.conditions.find((condition) => condition.type === type);
  const ready = of("Ready");
  const stuck = of("Stalled")?.status === "True" && status.sync !== "reconciling";
  const phase = stuck ? "stalled" : status.sync;
  byId("sync").dataset.phase = phase;
  byId("sync-sign").textContent = SIGNS[phase];
  const headline = headlineOf(status.sync, ready);
  byId("headline").textContent = headline;
  byId("summary").replaceChildren(
    ...(status.looked_s ? ["Looked at everything ", ago(status.looked_s), "."] : ["No pass has ended yet."]),
  );
  const { in_force: known, newest } = status;
  byId("revision").replaceChildren(
    ...(known
      ? [
          h("code", { title: known.commit }, known.commit.slice(0, 12)),
          h("span", {}, known.subject),
          h("small", {}, known.author.replace(/ <.*/, "")),
        ]
      : ["no commit in force"]),
  );
  const late = byId("newest");
  late.hidden = !newest || newest.commit === known?.commit;
  if (!late.hidden && fresh("newest", newest))
    late.replaceChildren(
      h("b", {}, `Commit ${newest.commit.slice(0, 12)} is not in force: ${newest.judged}`),
      h("pre", {}, newest.told),
    );
  if (fresh("conditions", status.conditions)) {
    byId("conditions").replaceChildren(...status.conditions.map(conditionShown));
    byId("messages").replaceChildren(...messagesShown(status.conditions));
  }
  document.title = `${headline} · vlab`;
  shown.objects = status.objects;
  if (fresh("objects", status.objects)) showObjects(status.objects);
  if (fresh("runs", status.runs)) showRuns(status.runs, answered);
  if (fresh("plan", status.plan)) showPlan(status.plan);
}

function headlineOf(sync, ready) {
  if (sync === "in-sync") return "In sync";
  if (sync === "reconciling") return "Reconciling";
  return ready ? capital(words(ready.reason)) : "Nothing known yet";
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

function showFaults(faults) {
  byId("faults").hidden = !faults.length;
  byId("faults-list").replaceChildren(
    ...faults.map((fault) =>
      h(
        "li",
        {},
        h("span", { class: "sign", "aria-hidden": "true" }, "✕"),
        h("b", {}, fault.subject),
        ` ${fault.text}`,
      ),
    ),
  );
}

// The drawing

function showLab(lab) {
  shown.lab = lab;
  if (fresh("faults", lab.faults)) showFaults(lab.faults);
  byId("vlans").replaceChildren(
    ...lab.vlans.map(({ name, id, subnet, role }) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(shown.vlan === name),
          "data-vlan": name,
          title: `${role}${subnet ? `, ${subnet}` : ""}`,
          onclick: () => chooseVlan(name),
        },
        h("b", {}, id),
        ` ${name}`,
      ),
    ),
  );
  showChoices(lab);
  showLegend(lab);
  redraw();
}

function redraw() {
  if (!shown.lab) return;
  shown.drawing = draw(byId("drawing"), shown.lab, choose);
  shown.drawing.focusVlan(shown.vlan);
  mark();
}

function mark() {
  shown.drawing?.mark("picked", new Set([shown.picked]));
  shown.drawing?.mark("simulated", new Set(shown.report ? failing(shown.report.faults) : []));
}

const failing = (faults) => faults.map((text) => text.replace(/^(fail|silence)-/, "").replace(/@.*$/, ""));

function chooseVlan(name) {
  shown.vlan = shown.vlan === name ? "" : name;
  for (const button of byId("vlans").children)
    button.setAttribute("aria-pressed", String(button.dataset.vlan === shown.vlan));
  shown.drawing.focusVlan(shown.vlan);
}

function showLegend(lab) {
  const bonds = [...new Set(lab.hosts.flatMap((host) => host.bonds.map((bond) => bond.name)))].slice(0, 4);
  const mode = (name) => lab.hosts.flatMap((host) => host.bonds).find((bond) => bond.name === name).mode;
  const peers = lab.cables.some((cable) => cable.peer_link);
  const ilo = lab.hosts.some((host) => host.ports.some((port) => port.management));
  const line = (kind, text) => h("li", {}, h("i", { class: `line ${kind}`, "aria-hidden": "true" }), text);
  byId("legend").replaceChildren(
    ...[
      ...bonds.map((name, number) =>
        line(
          `hue${number}${mode(name) === "lacp" ? "" : " standby"}`,
          `leg of ${name} (${mode(name) === "lacp" ? "LACP" : mode(name)})`,
        ),
      ),
      line("single", "single port"),
      ilo ? line("management", "management processor") : null,
      peers ? line("peer", "peer link of an MLAG pair") : null,
      lab.feeds.length ? line("rail", "power feed") : null,
      h("li", {}, "● runs  ○ off  ? unknown"),
    ].filter(Boolean),
  );
}

// What can fail

function showChoices(lab) {
  const select = byId("element");
  const before = select.value;
  select.replaceChildren(
    h("option", { value: "" }, "Choose…"),
    ...breakable(lab)
      .filter(([, subjects]) => subjects.length)
      .map(([title, subjects]) =>
        h(
          "optgroup",
          { label: title },
          ...subjects.map((subject) => h("option", { value: subject }, subject.split(" ")[1])),
        ),
      ),
  );
  select.value = before;
}

/** Something was chosen, in the drawing or in the list. */
function choose(subject) {
  pick(subject);
  if (subject) byId("words").value = `fail-${subject}`;
}

/** Show what is known of `subject`; empty: of nothing. */
function pick(subject) {
  shown.picked = subject;
  byId("element").value = subject;
  mark();
  const about = describe(shown.lab, subject, simulate, choose);
  byId("selected").replaceChildren(...(about ? [about] : []));
}

async function simulate(faults) {
  const [told, run] = [byId("told"), byId("run")];
  byId("words").value = faults;
  told.setAttribute("aria-busy", "true");
  run.disabled = true;
  try {
    const token = byId("token").value;
    const headers = {
      "content-type": "application/json",
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    };
    const response = await fetch(`${API}/simulations`, {
      method: "POST",
      headers,
      body: JSON.stringify({ faults }),
    });
    byId("token-asked").hidden = response.status !== 401 && !token;
    if (!response.ok) throw new Error(await problem(response));
    shown.report = await response.json();
    shown.chart = tell(told, shown.report, (subjects) => shown.drawing?.mark("looked", subjects));
    history.replaceState(null, "", `#${encodeURIComponent(faults)}`);
    byId("clear").hidden = false;
    byId("announced").textContent = announced(shown.report);
    pick(failing(shown.report.faults)[0]);
  } catch (error) {
    shown.report = shown.chart = null;
    told.replaceChildren(h("p", { class: "problem", role: "alert" }, `✕ ${error.message}`));
  }
  told.setAttribute("aria-busy", "false");
  run.disabled = false;
  mark();
}

function clear() {
  shown.report = shown.chart = null;
  byId("words").value = "";
  byId("clear").hidden = true;
  byId("told").replaceChildren();
  history.replaceState(null, "", location.pathname);
  choose("");
}

// Live

/** `ask`, with a lost connection shown and not thrown. */
async function answered(path) {
  try {
    return await ask(path);
  } catch (error) {
    live("lost", error.message);
    return null;
  }
}

function live(state, text) {
  const element = byId("live");
  element.dataset.state = state;
  element.textContent = text;
}

let looking = false;
let outdated = false;

/** Show how things are now. One look at a time, and one more if it was asked for meanwhile: of two, the older one could
 * be answered last. */
async function look() {
  outdated = true;
  if (looking) return;
  looking = true;
  try {
    while (outdated) {
      outdated = false;
      const [status, lab] = await Promise.all([answered("status"), answered("lab")]);
      if (status) showStatus(status);
      if (lab && fresh("lab", lab)) showLab(lab);
    }
  } finally {
    looking = false;
  }
}

function listen() {
  const events = new EventSource(`${API}/events`);
  events.addEventListener("open", () => {
    live("on", "live");
    look();
  });
  events.addEventListener("error", () => live("lost", "connection lost, trying again"));
  events.addEventListener("status", () => look());
  events.addEventListener("run", () => look());
}

byId("filter").addEventListener("input", () => showObjects(shown.objects));
byId("show").addEventListener("change", () => showObjects(shown.objects));
byId("element").addEventListener("change", (event) => choose(event.target.value));
byId("clear").addEventListener("click", clear);
byId("whatif").addEventListener("submit", (event) => {
  event.preventDefault();
  simulate(byId("words").value.trim());
});
let width = byId("drawing").clientWidth; // what is drawn anew loses its focus, so only another width counts
new ResizeObserver(([{ contentRect }]) => {
  if (Math.abs(contentRect.width - width) < 1) return;
  width = contentRect.width;
  redraw();
  shown.chart?.();
}).observe(byId("drawing"));
setInterval(() => document.querySelectorAll("time").forEach(tick), 10_000);

await look();
listen();
const asked = decodeURIComponent(location.hash.slice(1));
if (/^(fail|silence)-/.test(asked)) simulate(asked);
