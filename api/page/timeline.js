// What a simulation told: the verdict, a chart of who was out when and what happened, and the same as lists.

import { fit, h, many, s, seconds } from "./dom.js";

// Causes above, what people notice below. Subjects begin with their kind; one with a lane of its own is named.
const LANES = [
  ["Power and hardware", ["feed", "node", "nas", "backup-server", "router", "card", "disk", "raid"]],
  ["Network", ["switch", "cable", "port", "bond", "portal", "multipath"]],
  ["Cluster and HA", ["cluster"]],
  ["Storage", ["ceph", "osd", "pool", "lun"]],
];
const LANE = 28;
const HEAD = 26;

/** Show `report` in `holder`; `onSubject(subject or null)` hears of what is looked at. */
export function tell(holder, report, onSubject) {
  const hurt = report.outages.filter((outage) => outage.ongoing || outage.outage_s > 0);
  const chart = h("div", { class: "chart" });
  holder.replaceChildren(
    verdictTold(report),
    chart,
    h(
      "p",
      { class: "readout", id: "readout", "aria-live": "polite" },
      "Point at a mark, or step through them with the arrow keys.",
    ),
    outagesTold(report, hurt),
    ...costsTold(report),
    eventsTold(report),
    h("p", { class: "rests" }, "Rests on ", report.rests_on.join("; "), "."),
  );
  const drawn = () => chart.replaceChildren(chartDrawn(report, hurt, chart.clientWidth || 600, onSubject));
  drawn();
  return drawn;
}

/** The outcome in a sentence, for those who hear the page. */
export function announced({ verdict, outages }) {
  const out = longestFirst(
    outages.filter((each) => each.subject.startsWith("service ") && each.spans.length),
  );
  const told = out.map(
    (each) => `${each.subject} out for ${seconds(each.outage_s)}${each.ongoing ? " and not back" : ""}`,
  );
  return `${verdict.name}; ${told.join(", ") || "no service is out"}`;
}

function verdictTold({ verdict, faults, settled, until_s }) {
  const safe = verdict.name === "safe";
  const findings = verdict.findings.map((finding) =>
    h(
      "li",
      {},
      finding.text,
      finding.place ? h("code", {}, ` ${finding.place.file}:${finding.place.line}`) : "",
    ),
  );
  const unjudged = verdict.unjudged.map((reason) => h("li", {}, `Not judged: ${reason}`));
  const end = settled
    ? `Nothing more happens after ${seconds(until_s)}.`
    : `The run ends after ${seconds(until_s)}.`;
  return h(
    "div",
    { class: `outcome ${safe ? "safe" : "unsafe"}` },
    h("span", { class: "sign", "aria-hidden": "true" }, safe ? "✓" : "✕"),
    h(
      "div",
      {},
      h("h3", {}, safe ? "Safe" : "Unsafe"),
      h(
        "p",
        {},
        h("code", {}, faults.join(" ")),
        " ",
        safe ? "breaks nothing that is expected of the lab." : "breaks what is expected of the lab.",
        ` ${end}`,
      ),
      findings.length || unjudged.length ? h("ul", {}, ...findings, ...unjudged) : null,
    ),
  );
}

// The chart

function lanesOf(report, hurt) {
  const taken = new Set();
  const lanes = LANES.map(([name, kinds]) => {
    const events = report.events.filter((event) => kinds.includes(event.subject.split(" ")[0]));
    events.forEach((event) => taken.add(event));
    return { name, events, bars: [] };
  });
  const rest = report.events.filter((event) => !taken.has(event) && !/^(guest|service) /.test(event.subject));
  lanes.push({ name: "Other", events: rest, bars: [] });
  for (const kind of ["guest", "service"])
    for (const outage of longestFirst(hurt.filter((each) => each.subject.startsWith(`${kind} `))))
      lanes.push({
        name: outage.subject.slice(kind.length + 1),
        kind,
        subject: outage.subject,
        outage,
        bars: outage.spans,
        events: report.events.filter((event) => event.subject === outage.subject),
      });
  return lanes.filter((lane) => lane.events.length || lane.bars.length);
}

const longestFirst = (outages) => [...outages].sort((one, other) => other.outage_s - one.outage_s);

function chartDrawn(report, hurt, width, onSubject) {
  const lanes = lanesOf(report, hurt);
  const narrow = width < 560;
  const left = narrow ? 8 : 148;
  const lane = narrow ? LANE + 18 : LANE;
  const right = width - 16;
  const end = Math.max(report.until_s, 1);
  const x = (at) => left + (Math.min(at, end) / end) * (right - left);
  const height = HEAD + lanes.length * lane + 8;
  const marks = [];
  const svg = s(
    "svg",
    { viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": "Timeline" },
    hatch(),
    ...axis(end, x, height, right),
    ...faultLines(report, x, height),
    ...lanes.map((each, row) =>
      laneDrawn(each, HEAD + row * lane, { x, left, right, lane, narrow, end }, marks),
    ),
  );
  walk(marks, onSubject);
  return svg;
}

/** Stripes, so that an outage is not told by its colour alone. */
function hatch() {
  const line = s("path", { d: "M0 6L6 0", class: "stripe" });
  return s(
    "defs",
    {},
    s("pattern", { id: "hatch", width: 6, height: 6, patternUnits: "userSpaceOnUse" }, line),
  );
}

function axis(end, x, height, right) {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800].find((each) => end / each <= 7) ?? 3600;
  const ticks = [];
  for (let at = 0; at <= end; at += step) ticks.push(at);
  return ticks.flatMap((at) => [
    s("line", { x1: x(at), x2: x(at), y1: HEAD - 6, y2: height, class: "grid" }),
    s(
      "text",
      {
        x: x(at),
        y: 13,
        "text-anchor": at === 0 ? "start" : x(at) > right - 30 ? "end" : "middle",
        class: "tick",
      },
      step >= 60 ? `${at / 60} min` : `${at} s`,
    ),
  ]);
}

function laneDrawn(lane, y, area, marks) {
  const middle = y + (area.narrow ? area.lane - LANE / 2 : area.lane / 2);
  const name = lane.kind ? [h2(lane.kind), lane.name] : [null, lane.name];
  const text = area.narrow
    ? s("text", { x: area.left, y: y + 14, class: "lane-name" }, ...name)
    : s("text", { x: area.left - 12, y: middle + 4, "text-anchor": "end", class: "lane-name" }, ...name);
  return s(
    "g",
    { class: `lane ${lane.kind ?? "cause"}` },
    s("line", { x1: area.left, x2: area.right, y1: middle, y2: middle, class: "base" }),
    text,
    ...lane.bars.map((span, number) => barDrawn(lane, span, number, middle, area)),
    ...markedEvents(lane, middle, area, marks),
  );
}

/** The marks of a lane; beside those of causes what they say, as far as there is room. */
function markedEvents(lane, middle, area, marks) {
  const groups = together(lane.events, area.x);
  return groups.map((events, number) => {
    const mark = markDrawn(events, middle, area, marks);
    const from = area.x(events[0].at_s) + (events.length > 1 ? 16 : 10);
    const next = number + 1 < groups.length ? area.x(groups[number + 1][0].at_s) : area.right;
    const room = next - from - 10;
    if (lane.kind || room < 60) return mark;
    return s(
      "g",
      {},
      mark,
      s("text", { x: from, y: middle + 4, class: "said" }, fit(events[0].text, room, 11)),
    );
  });
}

const h2 = (kind) => s("tspan", { class: "lane-kind" }, `${kind} `);

function barDrawn(lane, [from, to], number, middle, area) {
  const [x1, x2] = [area.x(from), area.x(to ?? area.end)];
  const width = Math.max(3, x2 - x1);
  const last = number === lane.bars.length - 1;
  const told = lane.outage.ongoing
    ? `${seconds(lane.outage.outage_s)}, not back`
    : seconds(lane.outage.outage_s);
  const inside = x1 + width + 76 > area.right;
  const box = { x: x1, y: middle - 8, width, height: 16, rx: 4 };
  return s(
    "g",
    { class: `outage${to === null ? " ongoing" : ""}` },
    s(
      "title",
      {},
      `${lane.subject} out from ${seconds(from)} ${to === null ? "to the end" : `to ${seconds(to)}`}`,
    ),
    s("rect", box),
    s("rect", { ...box, class: "hatched" }),
    last
      ? s(
          "text",
          {
            x: inside ? x1 + width - 8 : x1 + width + 8,
            y: middle + 4,
            "text-anchor": inside ? "end" : "start",
            class: inside ? "told inside" : "told",
          },
          told,
        )
      : null,
  );
}

/** Events that would lie on each other share a mark. */
function together(events, x) {
  const groups = [];
  for (const event of events) {
    const last = groups.at(-1);
    if (last && x(event.at_s) - x(last[0].at_s) < 9) last.push(event);
    else groups.push([event]);
  }
  return groups;
}

function markDrawn(events, middle, area, marks) {
  const label = events.map((event) => `${seconds(event.at_s)}: ${event.subject}: ${event.text}`).join("; ");
  const bad = events.some(
    (event) =>
      event.kind === "fault" || /lost|down|killed|stopped|stalled|off$|failed|error/.test(event.kind),
  );
  const mark = s(
    "g",
    {
      class: `mark${bad ? " bad" : ""}`,
      role: "img",
      "aria-label": label,
      tabindex: -1,
      transform: `translate(${area.x(events[0].at_s)} ${middle})`,
    },
    s("circle", { r: 11, class: "grip" }),
    bad ? s("path", { d: "M0 -5.5L5.5 0L0 5.5L-5.5 0Z" }) : s("circle", { r: 4.2 }),
    events.length > 1 ? s("text", { y: -7, x: 4, class: "times" }, `${events.length}`) : null,
  );
  marks.push({ mark, events, at: events[0].at_s });
  return mark;
}

function faultLines(report, x, height) {
  return report.faults.flatMap((text) => {
    const when = /@([\d.]+)s(?:\.\.([\d.]+)s)?$/.exec(text);
    const instants = [[Number(when?.[1] ?? 0), "fails"]];
    if (when?.[2]) instants.push([Number(when[2]), "restored"]);
    return instants.map(([at, what]) =>
      s("line", { x1: x(at), x2: x(at), y1: HEAD - 8, y2: height, class: `moment ${what}` }),
    );
  });
}

/** One tab stop; arrows walk through the marks in the order of time. */
function walk(marks, onSubject) {
  marks.sort((one, other) => one.at - other.at);
  const look = (number) => {
    const { mark, events } = marks[number];
    marks.forEach((each) => each.mark.setAttribute("tabindex", -1));
    mark.setAttribute("tabindex", 0);
    const readout = document.getElementById("readout");
    readout.replaceChildren(
      ...events
        .slice(0, 6)
        .map((event) =>
          h(
            "span",
            { class: "line" },
            h("b", {}, `+${seconds(event.at_s)}`),
            ` ${event.subject}: ${event.text}`,
          ),
        ),
      events.length > 6 ? h("span", { class: "line" }, `and ${events.length - 6} more at this time`) : "",
    );
    onSubject(new Set(events.map((event) => event.subject)));
  };
  marks.forEach(({ mark }, number) => {
    mark.addEventListener("pointerenter", () => look(number));
    mark.addEventListener("pointerleave", () => onSubject(new Set()));
    mark.addEventListener("focus", () => look(number));
    mark.addEventListener("keydown", (event) => {
      const next = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: marks.length - 1 }[
        event.key
      ];
      if (next === undefined) return;
      event.preventDefault();
      marks[Math.min(Math.max(next, 0), marks.length - 1)].mark.focus();
    });
  });
  marks[0]?.mark.setAttribute("tabindex", 0);
}

// Lists

function outagesTold(report, hurt) {
  const fine = report.outages.filter((outage) => !hurt.includes(outage)).map((outage) => outage.subject);
  const rows = longestFirst(hurt).map((outage) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, outage.subject),
      h("td", { class: "number" }, seconds(outage.outage_s)),
      h("td", {}, outage.ongoing ? `not back: ${outage.reason}` : "back"),
    ),
  );
  return h(
    "div",
    { class: "outages" },
    rows.length
      ? h("table", {}, h("caption", {}, "Outages"), h("tbody", {}, ...rows))
      : h("p", {}, "Nobody notices: no guest and no service is out."),
    h(
      "div",
      { class: "fine" },
      fine.length ? h("p", {}, h("b", {}, "No outage: "), fine.join(", ")) : null,
      report.down_before.length
        ? h("p", {}, h("b", {}, "Off before, not counted: "), report.down_before.join(", "))
        : null,
    ),
  );
}

function costsTold(report) {
  const span = ({ from_s, until_s }) =>
    `from ${seconds(from_s)} ${until_s === null ? "to the end" : `to ${seconds(until_s)}`}`;
  const lists = [
    ["Less in reserve", report.lost_redundancy.map((lost) => [lost.subject, `${lost.text}, ${span(lost)}`])],
    [
      "Memory overcommitted",
      report.overcommit.map((over) => [`node ${over.node}`, `${over.text}, ${span(over)}`]),
    ],
  ];
  return lists
    .filter(([, rows]) => rows.length)
    .map(([title, rows]) =>
      h(
        "details",
        { class: "costs", open: rows.length <= 4 },
        h("summary", {}, `${title} (${rows.length})`),
        h("dl", {}, ...rows.flatMap(([subject, text]) => [h("dt", {}, subject), h("dd", {}, text)])),
      ),
    );
}

function eventsTold(report) {
  return h(
    "details",
    { class: "events" },
    h("summary", {}, many(report.events.length, "event")),
    h(
      "ol",
      {},
      ...report.events.map((event) =>
        h(
          "li",
          {},
          h("span", { class: "at" }, `+${event.at_s.toFixed(1)} s`),
          h("span", { class: "who" }, event.subject),
          h("span", {}, event.text),
        ),
      ),
    ),
  );
}
