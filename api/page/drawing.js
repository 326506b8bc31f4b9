// The lab drawn as SVG: what stands where is `layout.js`; here are its lines, words and what can be pressed.

import { bytes, fit, many, s, wide } from "./dom.js";
import { BAR, ROW, laid } from "./layout.js";

/** Draw `lab` into `holder`; `onPick(subject)` hears of what is chosen. Answers what can be told to the drawing. */
export function draw(holder, lab, onPick) {
  const width = Math.max(holder.clientWidth, 300);
  const plan = laid(lab, width);
  const pick = (subject) => (event) => {
    if (event.type === "keydown" && event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    onPick(subject);
  };
  const svg = s("svg", {
    viewBox: `0 0 ${plan.width} ${plan.height}`,
    width: plan.width,
    height: plan.height,
    role: "group",
    "aria-label": "Switches, cables, servers and guests",
    class: plan.turned ? "turned" : "flat",
  });
  const broken = new Map(lab.faults.map((fault) => [fault.subject, fault.text]));
  svg.append(
    ...plan.groups.map((group) => groupDrawn(group, broken)),
    ...plan.rails.map((rail) => railDrawn(rail, plan, pick, broken)),
    ...plan.cables.map((cable) => cableDrawn(cable, plan, pick, broken)),
    ...peerNamed(plan),
    ...plan.rings.map((ring) => s("ellipse", { ...ring, class: "ring" })),
    ...plan.bars.map((bar) => barDrawn(bar, plan, pick, broken)),
    ...plan.boxes.map((box) => boxDrawn(box, plan, pick, broken)),
  );
  holder.replaceChildren(svg);
  return {
    focusVlan: (vlan) => focusVlan(svg, vlan),
    mark: (name, subjects) => {
      for (const element of svg.querySelectorAll("[data-subject]"))
        element.classList.toggle(name, subjects.has(element.dataset.subject));
    },
  };
}

const act = (subject, label, pick, focusable = true) => ({
  "data-subject": subject,
  role: "button",
  "aria-label": label,
  tabindex: focusable ? 0 : -1,
  onclick: pick(subject),
  onkeydown: pick(subject),
});

function groupDrawn({ name, inside, ...place }, broken) {
  const fault = broken.get(name);
  const label = fault ? `✕ ${name}` : name;
  return s(
    "g",
    { class: `group${fault ? " fault" : ""}`, "data-subject": name },
    s("title", {}, fault ? `${name}: ${fault}` : name),
    s("rect", { ...place, rx: 12 }),
    inside
      ? s("text", { x: place.x + 10, y: place.y + 15, class: "group-name" }, label)
      : s(
          "text",
          {
            transform: `translate(${place.x + 13} ${place.y + place.height / 2}) rotate(-90)`,
            "text-anchor": "middle",
            class: "group-name",
          },
          label,
        ),
  );
}

function railDrawn(rail, plan, pick, broken) {
  const { feed, drops, bars, v } = rail;
  const last = Math.max(...drops.map((drop) => drop.u), 60);
  const fault = broken.get(feed.subject);
  const line = (u1, v1, u2, v2) => `M${plan.point(u1, v1)}L${plan.point(u2, v2)}`;
  const to = bars.map((bar) => line(22 + rail.rank * 6, v, 22 + rail.rank * 6, bar.inner));
  const path = [
    line(plan.turned ? 22 : 60, v, last, v),
    ...drops.map((drop) => line(drop.u, drop.from, drop.u, drop.to)),
    ...to,
  ].join("");
  const [x, y] = plan.point(plan.turned ? 22 : 36, v);
  return s(
    "g",
    {
      class: `feed${fault ? " fault" : ""}`,
      ...act(feed.subject, `power feed ${feed.name}${fault ? `, broken: ${fault}` : ""}`, pick),
    },
    s("title", {}, `power feed ${feed.name}: ${feed.comment}`),
    s("path", { d: path, class: "rail" }),
    ...drops.map((drop) => {
      const [cx, cy] = plan.point(drop.u, drop.from);
      return s("circle", { cx, cy, r: 2.5, class: "plug" });
    }),
    s(
      "g",
      { transform: plan.turned ? `translate(${x} ${y + 26}) rotate(-90)` : `translate(${x} ${y})` },
      s("rect", { x: -30, y: -9, width: 60, height: 18, rx: 9, class: "pill" }),
      s("text", { "text-anchor": "middle", y: 3.5 }, `${fault ? "✕" : "⚡"} ${fit(feed.name, 42, 10.5)}`),
    ),
  );
}

function cableDrawn({ cable, kind, path, port }, plan, pick, broken) {
  if (!path) return s("g", {});
  const fault = broken.get(cable.subject);
  const ends = cable.ends.map((end) => `${end.subject} ${end.port}`).join(" to ");
  const what =
    kind === "peer"
      ? "peer link"
      : port?.port.bond
        ? `leg of ${port.port.bond} (${port.mode === "lacp" ? "LACP" : port.mode})`
        : port?.port.management
          ? "management processor"
          : "single";
  const label = `cable ${cable.name}: ${ends}, ${what}; ${cable.vlans.join(", ") || "carries nothing"}`;
  const classes = [
    "cable",
    kind,
    port?.hue !== null && port?.hue !== undefined ? `hue${port.hue}` : "",
    port?.mode === "active-backup" ? "standby" : "",
    fault ? "fault" : "",
  ];
  return s(
    "g",
    {
      class: classes.filter(Boolean).join(" "),
      "data-vlans": cable.vlans.join(" "),
      ...act(cable.subject, label, pick, false),
    },
    s("title", {}, label),
    s("path", { d: path, class: "grip" }),
    s("path", { d: path, class: "wire" }),
    fault ? crossed(path) : null,
  );
}

/** The words beside the link of a pair. */
function peerNamed(plan) {
  const peers = plan.cables.filter((each) => each.kind === "peer" && each.at);
  if (!peers.length) return [];
  const u = Math.max(...peers.map((each) => each.at));
  if (plan.turned)
    return [
      s("text", { x: plan.width / 2, y: u + 15, "text-anchor": "middle", class: "peer-name" }, "peer link"),
    ];
  return [
    s(
      "text",
      {
        transform: `translate(${u + 9} ${plan.height / 2}) rotate(90)`,
        "text-anchor": "middle",
        class: "peer-name",
      },
      "peer link",
    ),
  ];
}

function crossed(path) {
  const numbers = path.match(/-?\d+(\.\d+)?/g).map(Number);
  const [x, y] = [(numbers[0] + numbers.at(-2)) / 2, (numbers[1] + numbers.at(-1)) / 2];
  return s("text", { x, y: y + 4, "text-anchor": "middle", class: "cross" }, "✕");
}

function barDrawn({ known, u, v, du, side }, plan, pick, broken) {
  const fault = broken.get(known.subject);
  const place = plan.box(u + 0.5, v + 0.5, du - 1, BAR - 1);
  const name = fit(known.name, 120, 13.5, 650);
  const about = fault
    ? `✕ ${fault}`
    : `${many(known.ports, "port")}${known.peer ? ` · MLAG pair with ${known.peer}` : ""}`;
  const label = `switch ${known.name}, ${about}`;
  const text = plan.turned
    ? [
        s(
          "text",
          { transform: `translate(${place.x + BAR / 2 + 1} ${place.y + 14}) rotate(90)`, class: "name" },
          name,
          s("tspan", { dx: 10, class: "about" }, about),
        ),
      ]
    : [
        s(
          "text",
          { x: place.x + 14, y: place.y + 25, class: "name" },
          name,
          s("tspan", { dx: 10, class: "about" }, about),
        ),
      ];
  const [x, y] = [place.x + place.width, place.y + place.height];
  const tag = plan.turned
    ? s(
        "text",
        {
          transform: `translate(${place.x + BAR / 2 + 1} ${y - 12}) rotate(90)`,
          "text-anchor": "end",
          class: "tag",
        },
        SIMULATED,
      )
    : s("text", { x: x - 14, y: place.y + 25, "text-anchor": "end", class: "tag" }, SIMULATED);
  return s(
    "g",
    { class: `switch${fault ? " fault" : ""}`, ...act(known.subject, label, pick), "data-side": side },
    s("title", {}, label),
    s("rect", { ...place, rx: 9, class: "body" }),
    ...text,
    tag,
  );
}

const SIMULATED = "✕ simulated";
const KIND = { node: "node", router: "router", nas: "array", "backup-server": "backup server" };

function boxDrawn(box, plan, pick, broken) {
  const { host, guests } = box;
  const fault = broken.get(host.subject);
  const place = plan.box(box.u, box.v, box.du, box.dv);
  const inset = plan.turned ? 44 : 9;
  const top = place.y + (plan.turned ? 19 : 33);
  const room = place.width - inset * 2;
  const about = fault ? `✕ ${fault}` : host.roles.join(", ") || KIND[host.kind];
  const label = [
    `${host.kind.replace("-", " ")} ${host.name}`,
    host.cluster && `cluster ${host.cluster}`,
    fault && `broken: ${fault}`,
    guests.length && `guests ${guests.map((guest) => guest.name).join(", ")}`,
  ]
    .filter(Boolean)
    .join(", ");
  return s(
    "g",
    {
      class: `box ${host.kind}${fault ? " fault" : ""}`,
      "data-vlans": vlansOf(box).join(" "),
      ...act(host.subject, label, pick),
    },
    s("title", {}, label),
    s("rect", { ...place, rx: 9, class: "body" }),
    s("text", { x: place.x + inset, y: top, class: "name" }, fit(host.name, room, 13.5, 650)),
    s(
      "text",
      { x: place.x + inset, y: top + 15, class: "about" },
      fit(about, plan.turned ? room : room + 6, 11),
    ),
    s("text", { x: place.x + inset, y: top + 15, class: "tag" }, SIMULATED),
    ...box.shown.map((guest, row) =>
      guestDrawn(guest, place.x + inset - 3, top + 25 + row * ROW, room + 6, broken),
    ),
    guests.length > box.shown.length
      ? s(
          "text",
          { x: place.x + inset, y: top + 37 + box.shown.length * ROW, class: "about" },
          `and ${guests.length - box.shown.length} more`,
        )
      : null,
    host.guest_memory_bytes ? meter(host, guests, place.x + inset, top + 34 + box.lines * ROW, room) : null,
    ...[...box.ports.values()].map((port) => portDrawn(port, plan)),
  );
}

const vlansOf = (box) => [
  ...new Set([...Object.keys(box.host.addresses), ...box.guests.flatMap((guest) => guest.vlans)]),
];

function portDrawn({ port, at, kind, side, hue }, plan) {
  const [x, y] = plan.point(...at);
  const label = port.management ? "iLO" : (port.bond ?? port.name);
  const inward = side ? -1 : 1;
  const where = plan.turned
    ? { x: x + inward * 8, y: y + 3, "text-anchor": side ? "end" : "start" }
    : { x, y: y + (side ? -8 : 14), "text-anchor": "middle" };
  const wire = hue === null ? kind : `leg hue${hue}`;
  return s(
    "g",
    { class: `port ${wire}` },
    s("rect", { x: x - 4, y: y - 4, width: 8, height: 8, rx: 2 }),
    s("text", { ...where }, fit(label, 34, 9)),
  );
}

const POWER = { true: ["●", "runs"], false: ["○", "is off"], null: ["?", "unknown"] };

function guestDrawn(guest, x, y, width, broken) {
  const fault = broken.get(guest.subject);
  const [sign, told] = fault ? ["✕", fault] : POWER[guest.running];
  const state = fault ? "fault" : guest.running === false ? "off" : guest.running === null ? "unknown" : "on";
  const size = bytes(guest.memory_bytes);
  const name = fit(guest.name, width - 24, 11.5);
  const roomy = width > wide(name, 11.5) + wide(size, 10) + 30;
  return s(
    "g",
    { class: `guest ${state}`, "data-subject": guest.subject, "data-vlans": guest.vlans.join(" ") },
    s("title", {}, `guest ${guest.name} ${told}; ${size}, ${many(guest.cores, "core")}`),
    s("rect", { x, y: y - 1, width, height: ROW - 3, rx: 5 }),
    s("text", { x: x + 6, y: y + 11, class: "sign" }, sign),
    s("text", { x: x + 18, y: y + 11 }, name),
    roomy ? s("text", { x: x + width - 6, y: y + 11, "text-anchor": "end", class: "size" }, size) : null,
  );
}

/** How much of its memory for guests a node has given away. */
function meter(host, guests, x, y, width) {
  const used = guests.filter((guest) => guest.running).reduce((sum, guest) => sum + guest.memory_bytes, 0);
  const share = used / host.guest_memory_bytes;
  return s(
    "g",
    { class: `meter${share > 1 ? " over" : ""}` },
    s("title", {}, `guests have ${bytes(used)} of ${bytes(host.guest_memory_bytes)} of memory`),
    s("rect", { x, y, width, height: 4, rx: 2, class: "trough" }),
    s("rect", { x, y, width: Math.max(0, Math.min(1, share) * width), height: 4, rx: 2, class: "level" }),
    s(
      "text",
      { x, y: y + 15 },
      `${used ? bytes(used).replace(" GiB", "") : 0} of ${bytes(host.guest_memory_bytes)}`,
    ),
  );
}

function focusVlan(svg, vlan) {
  svg.classList.toggle("focused", Boolean(vlan));
  for (const element of svg.querySelectorAll("[data-vlans]"))
    element.classList.toggle("in", Boolean(vlan) && element.dataset.vlans.split(" ").includes(vlan));
}
