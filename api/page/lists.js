// What is told in words: conditions, the plan, objects, runs.

import { ago, byId, bytes, h, many } from "./dom.js";

const SHOWN = 200; // rows of objects at once

const GOOD = { Ready: "True", Reconciling: "False", Stalled: "False", Safe: "True", Drifted: "False" };

const mood = ({ type, status }) =>
  status === "Unknown" ? "unknown" : status === GOOD[type] ? "good" : type === "Reconciling" ? "busy" : "bad";

const MOOD_SIGNS = { good: "✓", bad: "✕", busy: "↻", unknown: "?" };

const ANSWERS = { True: "yes", False: "no", Unknown: "unknown" };

export function conditionShown(condition) {
  const mode = mood(condition);
  return h(
    "li",
    { class: mode },
    h("span", { class: "sign", "aria-hidden": "true" }, MOOD_SIGNS[mode]),
    h(
      "div",
      {},
      h("b", {}, condition.type),
      h("span", { class: "reason" }, `${ANSWERS[condition.status]} · ${words(condition.reason)}`),
    ),
  );
}

/** What the conditions that are not as they should be have to say; each sentence once. */
export function messagesShown(conditions) {
  const told = new Map();
  for (const condition of conditions)
    if (condition.message && mood(condition) !== "good")
      told.set(condition.message, [...(told.get(condition.message) ?? []), condition.type]);
  return [...told].map(([message, types]) => h("li", {}, h("b", {}, types.join(", ")), h("p", {}, message)));
}

/** `GateRefused` -> `gate refused`. */
export const words = (reason) => reason.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();

const told = (field, value) =>
  value === null
    ? "nothing"
    : field.endsWith("_bytes")
      ? bytes(value)
      : Array.isArray(value)
        ? `[${value.join(", ")}]`
        : String(value);

export function showPlan(plan) {
  const some = plan !== null && plan.waves.length + plan.pending.length > 0;
  byId("plan").hidden = !some;
  if (!some) return;
  const change = ({ field, old, new: to }) =>
    old === null ? `${field} ${told(field, to)}` : `${field} ${told(field, old)} → ${told(field, to)}`;
  const operation = (each) =>
    h(
      "li",
      { class: each.action },
      h("b", {}, each.action),
      ` ${each.path.join(" ") || `${each.key.kind} ${each.key.id}`}`,
      each.cost !== "none" ? h("span", { class: "cost" }, `costs ${each.cost}`) : null,
      each.place ? h("code", {}, each.place) : null,
      h("small", {}, each.reason, each.changes.map(change).join("; ")),
    );
  const wave = (operations, title, open) =>
    h(
      "details",
      { open },
      h("summary", {}, `${title}: ${many(operations.length, "operation")}`),
      h("ul", {}, ...operations.map(operation)),
    );
  byId("plan-body").replaceChildren(
    ...plan.waves.map((operations, number) => wave(operations, `Wave ${number + 1}`, number === 0)),
    ...(plan.pending.length ? [wave(plan.pending, "Waits for approval", true)] : []),
  );
}

const attention = (object) => object.conditions.some((condition) => mood(condition) !== "good");

const PASSES = {
  "": () => true,
  attention,
  Unknown: (object) => object.conditions.some((condition) => condition.status === "Unknown"),
};

export function showObjects(objects) {
  const filter = byId("filter").value.trim().toLowerCase();
  const show = byId("show").value;
  const fits =
    PASSES[show] ??
    ((object) =>
      object.conditions.some((condition) => condition.type === show && condition.status === "True"));
  const found = objects.filter(
    (object) =>
      fits(object) &&
      (!filter ||
        `${object.subject} ${object.conditions.map((condition) => condition.message).join(" ")}`
          .toLowerCase()
          .includes(filter)),
  );
  found.sort((one, other) => attention(other) - attention(one));
  byId("objects").replaceChildren(...found.slice(0, SHOWN).map(objectShown));
  byId("objects-count").textContent =
    found.length === objects.length ? String(found.length) : `${found.length} of ${objects.length}`;
  const empty = byId("objects-empty");
  empty.hidden = found.length > 0 && found.length <= SHOWN;
  empty.textContent = found.length
    ? `and ${found.length - SHOWN} more: narrow the filter`
    : objects.length
      ? "Nothing fits the filter."
      : "Nothing is known of any object yet.";
}

function objectShown(object) {
  const telling = object.conditions.filter(
    (condition) => condition.type === "Ready" || mood(condition) !== "good",
  );
  const worst = telling.find((condition) => mood(condition) !== "good") ?? telling[0];
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, object.subject),
    h(
      "td",
      {},
      ...telling.map((condition) =>
        h(
          "span",
          { class: `badge ${mood(condition)}`, title: words(condition.reason) },
          `${MOOD_SIGNS[mood(condition)]} ${condition.type}: ${ANSWERS[condition.status]}`,
        ),
      ),
    ),
    h("td", {}, worst?.message ?? ""),
  );
}

const RUN_SIGNS = { applied: "✓", running: "↻", failed: "✕", refused: "⊘", interrupted: "!" };

export function showRuns(runs, ask) {
  byId("runs-empty").hidden = runs.length > 0;
  const open = new Set([...byId("runs").querySelectorAll("details[open]")].map((each) => each.dataset.run));
  byId("runs").replaceChildren(
    ...runs.map((run) => {
      const body = h("div", { class: "operations" });
      const details = h(
        "details",
        { "data-run": run.number, ontoggle: () => details.open && showOperations(ask, run.number, body) },
        h(
          "summary",
          {},
          h("span", { class: `badge ${run.result}` }, `${RUN_SIGNS[run.result]} ${run.result}`),
          h("span", {}, `Run ${run.number}`),
          h("code", {}, run.commit.slice(0, 12)),
          h("span", { class: "why" }, run.reasons.join(", ")),
          ago(run.started_s),
        ),
        run.told ? h("p", {}, run.told) : null,
        body,
      );
      details.open = open.has(String(run.number));
      return h("li", {}, details);
    }),
  );
}

async function showOperations(ask, number, body) {
  const run = await ask(`runs/${number}`);
  if (!run) return;
  body.replaceChildren(
    h(
      "ul",
      {},
      ...run.operations.map((each) =>
        h(
          "li",
          {},
          h("span", { class: `badge ${each.state}` }, each.state),
          h("b", {}, ` ${each.action} `),
          each.subject,
          each.changes.length
            ? h(
                "small",
                {},
                each.changes.map(({ field, old, new: to }) => `${field} ${old} → ${to}`).join("; "),
              )
            : null,
          each.why ? h("p", { class: "problem" }, each.why) : null,
        ),
      ),
    ),
  );
}
