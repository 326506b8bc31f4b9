// The status page: asks the API, shows what it says, and looks again when the server says that something changed.

import { ago, byId, bytes, h, many, tick } from "./dom.js";
import { draw } from "./drawing.js";
import { tell } from "./timeline.js";

const API = "api/v1";
const SHOWN = 200; // rows of objects at once

const shown = { lab: null, objects: [], drawing: null, vlan: "", picked: "", report: null, chart: null, etag: new Map() };

/** An answer of the API; null if there is none yet or it is the one shown last. Throws what the problem says. */
async function ask(path) {
  const response = await fetch(`${API}/${path}`, { headers: { accept: "application/json" } });
  if (response.status === 404) return null;
  if (!response.ok) throw new Error(await problem(response));
  const text = await response.text();
  if (shown.etag.get(path) === text) return null;
  shown.etag.set(path, text);
  return JSON.parse(text);
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
  const headline = status.sync === "in-sync" ? "In sync" : status.sync === "reconciling" ? "Applying" : ready ? capital(words(ready.reason)) : "Nothing known yet";
  byId("headline").textContent = headline;
  byId("summary").replaceChildren(...(status.looked_s ? ["Looked at everything ", ago(status.looked_s), "."] : ["No pass has ended yet."]));
  const { in_force: known, newest } = status;
  byId("revision").replaceChildren(...(known
    ? [h("code", { title: known.commit }, known.commit.slice(0, 12)), h("span", {}, known.subject), h("small", {}, known.author.replace(/ <.*/, ""))]
    : ["no commit in force"]));
  const late = byId("newest");
  late.hidden = !newest || newest.commit === known?.commit;
  if (!late.hidden) late.replaceChildren(h("b", {}, `Commit ${newest.commit.slice(0, 12)} is not in force: ${newest.judged}`), h("pre", {}, newest.told));
  byId("conditions").replaceChildren(...status.conditions.map(conditionShown));
  document.title = `${headline} · vlab`;
  shown.objects = status.objects;
  showObjects();
  showRuns(status.runs);
  showPlan(status.plan);
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);

const GOOD = { Ready: "True", Reconciling: "False", Stalled: "False", Safe: "True", Drifted: "False" };

const mood = ({ type, status }) => (status === "Unknown" ? "unknown" : status === GOOD[type] ? "good" : type === "Reconciling" ? "busy" : "bad");

const MOOD_SIGNS = { good: "✓", bad: "✕", busy: "↻", unknown: "?" };

const ANSWERS = { True: "yes", False: "no", Unknown: "unknown" };

function conditionShown(condition) {
  const mode = mood(condition);
  return h("li", { class: mode },
    h("span", { class: "sign", "aria-hidden": "true" }, MOOD_SIGNS[mode]),
    h("div", {}, h("b", {}, condition.type), h("span", { class: "reason" }, `${ANSWERS[condition.status]} · ${words(condition.reason)}`),
      condition.message && mode !== "good" ? h("p", {}, condition.message) : null));
}

/** `GateRefused` -> `gate refused`. */
const words = (reason) => reason.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

function showFaults(faults) {
  byId("faults").hidden = !faults.length;
  byId("faults-list").replaceChildren(...faults.map((fault) =>
    h("li", {}, h("span", { class: "sign", "aria-hidden": "true" }, "✕"), h("b", {}, fault.subject), ` ${fault.text}`)));
}

// The drawing

function showLab(lab) {
  shown.lab = lab;
  showFaults(lab.faults);
  byId("vlans").replaceChildren(...lab.vlans.map(({ name, id, subnet, role }) =>
    h("button", { type: "button", "aria-pressed": String(shown.vlan === name), "data-vlan": name, title: `${role}${subnet ? `, ${subnet}` : ""}`, onclick: () => chooseVlan(name) },
      h("b", {}, id), ` ${name}`)));
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
  for (const button of byId("vlans").children) button.setAttribute("aria-pressed", String(button.dataset.vlan === shown.vlan));
  shown.drawing.focusVlan(shown.vlan);
}

function showLegend(lab) {
  const bonds = [...new Set(lab.hosts.flatMap((host) => host.bonds.map((bond) => bond.name)))].slice(0, 4);
  const mode = (name) => lab.hosts.flatMap((host) => host.bonds).find((bond) => bond.name === name).mode;
  const peers = lab.cables.some((cable) => cable.peer_link);
  const ilo = lab.hosts.some((host) => host.ports.some((port) => port.management));
  const line = (kind, text) => h("li", {}, h("i", { class: `line ${kind}`, "aria-hidden": "true" }), text);
  byId("legend").replaceChildren(...[
    ...bonds.map((name, number) => line(`hue${number}`, `leg of ${name} (${mode(name) === "lacp" ? "LACP" : mode(name)})`)),
    line("single", "single port"), ilo ? line("management", "management processor") : null,
    peers ? line("peer", "peer link of an MLAG pair") : null, lab.feeds.length ? line("rail", "power feed") : null,
    h("li", {}, "● runs  ○ off  ? unknown"),
  ].filter(Boolean));
}

// What can fail

const KINDS = [["node", "Nodes"], ["switch", "Switches"], ["router", "Routers"], ["feed", "Power feeds"], ["nas", "Arrays"], ["portal", "Portals"],
  ["backup-server", "Backup servers"], ["card", "Network cards"], ["cable", "Cables"], ["osd", "OSDs"], ["disk", "Disks"]];

/** Everything that can fail, in the order of KINDS: kind -> subjects. */
function breakable(lab) {
  const all = [...lab.hosts, ...lab.switches, ...lab.feeds, ...lab.cables, ...lab.hosts.flatMap((host) => host.parts)].map((each) => each.subject);
  return KINDS.map(([kind, title]) => [title, all.filter((subject) => subject.startsWith(`${kind} `))]);
}

function showChoices(lab) {
  const select = byId("element");
  const before = select.value;
  select.replaceChildren(h("option", { value: "" }, "Choose…"), ...breakable(lab).filter(([, subjects]) => subjects.length).map(([title, subjects]) =>
    h("optgroup", { label: title }, ...subjects.map((subject) => h("option", { value: subject }, subject.split(" ")[1])))));
  select.value = before;
}

/** Something was chosen, in the drawing or in the list. */
function choose(subject) {
  shown.picked = subject;
  byId("element").value = subject;
  mark();
  const about = describe(subject);
  byId("selected").replaceChildren(...(about ? [about] : []));
  if (subject) byId("words").value = `fail-${subject}`;
}

const PART_TITLES = { card: "Cards", disk: "Disks", osd: "OSDs", portal: "Portals" };

function describe(subject) {
  const { lab } = shown;
  const host = lab.hosts.find((each) => each.subject === subject);
  const cable = lab.cables.find((each) => each.subject === subject);
  const part = lab.hosts.flatMap((each) => each.parts).find((each) => each.subject === subject);
  const fault = lab.faults.find((each) => each.subject === subject);
  const facts = host ? hostFacts(host) : cable ? cableFacts(cable) : part ? [["About", part.text]] : boxFacts(subject);
  if (!facts) return null;
  const act = (words, text) => h("button", { type: "button", class: words.startsWith("fail") ? "primary" : "", onclick: () => simulate(words) }, text);
  return h("div", { class: "card" },
    h("h3", {}, subject, fault ? h("span", { class: "broken" }, ` ✕ ${fault.text}`) : ""),
    h("div", { class: "buttons" }, act(`fail-${subject}`, "What if this fails?"), act(`silence-${subject}`, "…goes silent?")),
    h("dl", {}, ...facts.filter(([, value]) => value && value.length !== 0).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, ...linked(value))])));
}

/** Subjects among the values are links to themselves. */
function linked(value) {
  if (!Array.isArray(value)) return [value];
  return value.flatMap((each, number) => [number ? ", " : "", typeof each === "string" ? each
    : h("button", { type: "button", class: "link", title: each.title ?? each.subject, onclick: () => choose(each.subject) }, each.text)]);
}

const link = (subject, text) => ({ subject, text: text ?? subject.split(" ")[1] });

function hostFacts(host) {
  const cables = shown.lab.cables.filter((cable) => cable.ends.some((end) => end.subject === host.subject));
  const parts = Object.entries(PART_TITLES).map(([kind, title]) =>
    [title, host.parts.filter((part) => part.kind === kind).map((part) => ({ ...link(part.subject, part.name.split("/")[1]), title: `${part.subject}, ${part.text}` }))]);
  const guests = shown.lab.guests.filter((guest) => guest.node === host.name);
  return [
    ["Cluster", host.cluster], ["Does", host.roles.join(", ")],
    ["Guests", guests.map((guest) => `${guest.name}${guest.running === false ? " (off)" : ""}`).join(", ")],
    ["Power", host.feeds.map((feed) => link(`feed ${feed}`))],
    ["Bonds", host.bonds.map((bond) => `${bond.name}: ${bond.members.join(" + ")}, ${bond.mode === "lacp" ? "LACP" : bond.mode}`).join("; ")],
    ["Addresses", Object.entries(host.addresses).map(([vlan, address]) => `${address} (${vlan})`).join(", ")],
    ["Cables", cables.map((cable) => link(cable.subject))], ...parts,
  ];
}

function cableFacts(cable) {
  return [
    ["From", [link(cable.ends[0].subject, `${cable.ends[0].subject} ${cable.ends[0].port}`)]],
    ["To", [link(cable.ends[1].subject, `${cable.ends[1].subject} ${cable.ends[1].port}`)]],
    ["VLANs", cable.vlans.join(", ")], ["Colour", cable.colour], ["Label", cable.label],
  ];
}

function boxFacts(subject) {
  const { lab } = shown;
  const known = lab.switches.find((each) => each.subject === subject);
  if (known) return [["Pair", known.peer ? [link(`switch ${known.peer}`)] : ""], ["Power", known.feeds.map((feed) => link(`feed ${feed}`))], ["Ports", String(known.ports)]];
  const feed = lab.feeds.find((each) => each.subject === subject);
  if (!feed) return null;
  const on = [...lab.hosts, ...lab.switches].filter((each) => each.feeds.includes(feed.name));
  return [["Feeds", on.map((each) => link(each.subject))], ["Note", feed.comment]];
}

async function simulate(words) {
  const [told, run] = [byId("told"), byId("run")];
  byId("words").value = words;
  told.setAttribute("aria-busy", "true");
  run.disabled = true;
  try {
    const token = byId("token").value;
    const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
    const response = await fetch(`${API}/simulations`, { method: "POST", headers, body: JSON.stringify({ faults: words }) });
    byId("token-asked").hidden = response.status !== 401 && !token;
    if (!response.ok) throw new Error(await problem(response));
    shown.report = await response.json();
    shown.chart = tell(told, shown.report, (subjects) => shown.drawing?.mark("looked", subjects));
    history.replaceState(null, "", `#${encodeURIComponent(words)}`);
    byId("clear").hidden = false;
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

// Plan, objects, runs

const told = (field, value) => (value === null ? "nothing" : field.endsWith("_bytes") ? bytes(value) : Array.isArray(value) ? `[${value.join(", ")}]` : String(value));

function showPlan(plan) {
  const some = plan !== null && plan.waves.length + plan.pending.length > 0;
  byId("plan").hidden = !some;
  if (!some) return;
  const change = ({ field, old, new: to }) => (old === null ? `${field} ${told(field, to)}` : `${field} ${told(field, old)} → ${told(field, to)}`);
  const operation = (each) => h("li", { class: each.action },
    h("b", {}, each.action), ` ${each.path.join(" ") || `${each.key.kind} ${each.key.id}`}`,
    each.cost !== "none" ? h("span", { class: "cost" }, `costs ${each.cost}`) : null,
    each.place ? h("code", {}, each.place) : null,
    h("small", {}, each.reason, each.changes.map(change).join("; ")));
  const wave = (operations, title, open) => h("details", { open }, h("summary", {}, `${title}: ${many(operations.length, "operation")}`), h("ul", {}, ...operations.map(operation)));
  byId("plan-body").replaceChildren(
    ...plan.waves.map((operations, number) => wave(operations, `Wave ${number + 1}`, number === 0)),
    ...(plan.pending.length ? [wave(plan.pending, "Waits for approval", true)] : []));
}

const attention = (object) => object.conditions.some((condition) => mood(condition) !== "good");

const PASSES = {
  "": () => true, attention,
  Unknown: (object) => object.conditions.some((condition) => condition.status === "Unknown"),
};

function showObjects() {
  const filter = byId("filter").value.trim().toLowerCase();
  const show = byId("show").value;
  const fits = PASSES[show] ?? ((object) => object.conditions.some((condition) => condition.type === show && condition.status === "True"));
  const found = shown.objects.filter((object) => fits(object) && (!filter ||
    `${object.subject} ${object.conditions.map((condition) => condition.message).join(" ")}`.toLowerCase().includes(filter)));
  found.sort((one, other) => attention(other) - attention(one));
  byId("objects").replaceChildren(...found.slice(0, SHOWN).map(objectShown));
  byId("objects-count").textContent = found.length === shown.objects.length ? String(found.length) : `${found.length} of ${shown.objects.length}`;
  const empty = byId("objects-empty");
  empty.hidden = found.length > 0 && found.length <= SHOWN;
  empty.textContent = found.length ? `and ${found.length - SHOWN} more: narrow the filter` : shown.objects.length ? "Nothing fits the filter." : "Nothing is known of any object yet.";
}

function objectShown(object) {
  const telling = object.conditions.filter((condition) => condition.type === "Ready" || mood(condition) !== "good");
  const worst = telling.find((condition) => mood(condition) !== "good") ?? telling[0];
  return h("tr", {}, h("th", { scope: "row" }, object.subject),
    h("td", {}, ...telling.map((condition) => h("span", { class: `badge ${mood(condition)}`, title: words(condition.reason) }, `${MOOD_SIGNS[mood(condition)]} ${condition.type}: ${ANSWERS[condition.status]}`))),
    h("td", {}, worst?.message ?? ""));
}

const RUN_SIGNS = { applied: "✓", running: "↻", failed: "✕", refused: "⊘", interrupted: "!" };

function showRuns(runs) {
  byId("runs-empty").hidden = runs.length > 0;
  const open = new Set([...byId("runs").querySelectorAll("details[open]")].map((each) => each.dataset.run));
  byId("runs").replaceChildren(...runs.map((run) => {
    const body = h("div", { class: "operations" });
    const details = h("details", { "data-run": run.number, ontoggle: () => details.open && showOperations(run.number, body) },
      h("summary", {}, h("span", { class: `badge ${run.result}` }, `${RUN_SIGNS[run.result]} ${run.result}`),
        h("span", {}, `Run ${run.number}`), h("code", {}, run.commit.slice(0, 12)), h("span", { class: "why" }, run.reasons.join(", ")), ago(run.started_s)),
      run.told ? h("p", {}, run.told) : null, body);
    details.open = open.has(String(run.number));
    return h("li", {}, details);
  }));
}

async function showOperations(number, body) {
  const run = await answered(`runs/${number}`);
  if (!run) return;
  shown.etag.delete(`runs/${number}`);
  body.replaceChildren(h("ul", {}, ...run.operations.map((each) => h("li", {},
    h("span", { class: `badge ${each.state}` }, each.state), h("b", {}, ` ${each.action} `), each.subject,
    each.changes.length ? h("small", {}, each.changes.map(({ field, old, new: to }) => `${field} ${old} → ${to}`).join("; ")) : null,
    each.why ? h("p", { class: "problem" }, each.why) : null))));
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

async function look() {
  const [status, lab] = await Promise.all([answered("status"), answered("lab")]);
  if (status) showStatus(status);
  if (lab) showLab(lab);
}

function listen() {
  const events = new EventSource(`${API}/events`);
  events.addEventListener("open", () => { live("on", "live"); look(); });
  events.addEventListener("error", () => live("lost", "connection lost, trying again"));
  events.addEventListener("status", () => look());
  events.addEventListener("run", () => look());
}

byId("filter").addEventListener("input", showObjects);
byId("show").addEventListener("change", showObjects);
byId("element").addEventListener("change", (event) => choose(event.target.value));
byId("clear").addEventListener("click", clear);
byId("whatif").addEventListener("submit", (event) => { event.preventDefault(); simulate(byId("words").value.trim()); });
let width = 0;
new ResizeObserver(([{ contentRect }]) => {
  if (Math.abs(contentRect.width - width) < 1) return;
  width = contentRect.width;
  redraw();
  shown.chart?.();
}).observe(byId("lab"));
setInterval(() => document.querySelectorAll("time").forEach(tick), 10_000);

await look();
listen();
const asked = decodeURIComponent(location.hash.slice(1));
if (/^(fail|silence)-/.test(asked)) simulate(asked);
