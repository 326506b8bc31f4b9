// The lab drawn: switches on both sides, everything that hangs on them in between, so that cables are short and
// straight. Wide: switches above and below; narrow: left and right, the same drawing turned. What is where is worked
// out along two axes: u runs along the switches, v across from the first to the second.

import { bytes, many, s } from "./dom.js";

const BAR = 40; // thickness of a switch
const RAIL = 16; // from a feed's rail to the nearest box
const GAP = 8; // between boxes
const GROUP_GAP = 15;
const GROUP_NAME = 15; // the strip that a group's name stands in
const ROW = 19; // a line of a guest

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
    viewBox: `0 0 ${plan.width} ${plan.height}`, width: plan.width, height: plan.height,
    role: "group", "aria-label": "Switches, cables, servers and guests",
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

// Where everything is

function laid(lab, width) {
  const stations = grouped(lab);
  const sides = sidesOf(lab);
  const wide = spread(lab, stations, sides, width);
  return wide ?? stacked(lab, stations, sides, width);
}

/** Routers, then each cluster, then servers of no cluster. */
function grouped(lab) {
  const loose = (kind) => lab.hosts.filter((host) => host.kind === kind);
  const groups = [
    { name: "", hosts: loose("router") },
    ...lab.clusters.map(({ name }) => ({
      name: `cluster ${name}`, hosts: lab.hosts.filter((host) => host.cluster === name),
    })),
    { name: "", hosts: lab.hosts.filter((host) => !host.cluster && host.kind !== "router") },
  ];
  return groups.filter((group) => group.hosts.length);
}

/** Subject of each switch -> 0 or 1, the side it is on; a pair faces itself. Feeds the same. */
function sidesOf(lab) {
  const sides = new Map();
  let next = 0;
  for (const { name, subject, peer } of lab.switches) {
    if (sides.has(subject)) continue;
    sides.set(subject, next);
    if (peer && peer !== name) sides.set(`switch ${peer}`, 1 - next);
    else next = 1 - next;
  }
  lab.feeds.forEach((feed, number) => sides.set(feed.subject, number % 2));
  return sides;
}

function content(lab, host) {
  const guests = lab.guests.filter((guest) => guest.node === host.name);
  return { host, guests, lines: Math.max(guests.length, host.kind === "node" ? 2 : 0) };
}

const heightOf = ({ lines, host }, turned) =>
  (turned ? 44 : 80) + lines * ROW + (host.guest_memory_bytes ? 30 : 0);

/** The wide form; null if a server would be too narrow to read. */
function spread(lab, groups, sides, width) {
  const start = lab.feeds.length ? 68 : 8;
  const end = lab.switches.some((each) => each.peer) ? 50 : 8;
  const count = groups.reduce((sum, group) => sum + group.hosts.reduce((n, host) => n + weight(host), 0), 0);
  const gaps = groups.reduce((sum, group) => sum + (group.hosts.length - 1) * GAP + GROUP_GAP + (group.name ? GROUP_NAME : 0), 0);
  const each = Math.min(210, (width - start - end - gaps) / count);
  if (each < 97) return null;
  const used = start + end + gaps + each * count;
  const zones = zonesOf(lab, sides, 74);
  const tall = Math.max(...groups.flatMap((group) => group.hosts.map((host) => heightOf(content(lab, host), false))), 96);
  const v = zones[0];
  const plan = {
    turned: false, width: used, height: zones[0] + tall + zones[1],
    point: (u, across) => [u, across], box: (u, across, du, dv) => ({ x: u, y: across, width: du, height: dv }),
    boxes: [], groups: [],
  };
  let u = start;
  for (const group of groups) {
    u += GROUP_GAP / 2;
    const from = u;
    if (group.name) u += GROUP_NAME;
    for (const host of group.hosts) {
      const du = each * weight(host);
      plan.boxes.push({ ...content(lab, host), u, v, du, dv: tall });
      u += du + GAP;
    }
    u += GROUP_GAP / 2 - GAP;
    if (group.name) plan.groups.push({ name: group.name, x: from - 4, y: v - 7, width: u - from - GROUP_GAP / 2 + 11, height: tall + 14 });
  }
  return finished(plan, lab, sides, { start, end: used - end, from: 0, to: plan.height, tall });
}

/** The narrow form: everything below each other. */
function stacked(lab, groups, sides, width) {
  const used = Math.min(width, 600);
  const zones = zonesOf(lab, sides, used < 480 ? 40 : 62);
  const du = used - zones[0] - zones[1];
  const plan = {
    turned: true, width: used, height: 0,
    point: (u, across) => [across, u], box: (u, across, along, dv) => ({ x: across, y: u, width: dv, height: along }),
    boxes: [], groups: [],
  };
  let u = 8;
  for (const group of groups) {
    const from = u;
    if (group.name) u += 20;
    for (const host of group.hosts) {
      const sized = content(lab, host);
      const along = Math.max(heightOf(sized, true), 14 + portRows(host) * 20, 52);
      plan.boxes.push({ ...sized, u, v: zones[0], du: along, dv: du });
      u += along + GAP;
    }
    if (group.name) plan.groups.push({ name: group.name, inside: true, x: zones[0] - 6, y: from, width: du + 12, height: u - from });
    u += GROUP_GAP - GAP;
  }
  const peers = lab.switches.some((each) => each.peer);
  plan.height = u + (peers ? 54 : 4);
  return finished(plan, lab, sides, { start: 0, end: u, from: 0, to: used });
}

const weight = (host) => (host.kind === "router" ? 0.8 : 1);

function portRows(host) {
  return Math.max(1, Math.ceil(host.ports.length / 2));
}

/** How deep each side is: its switch, the cables and the feed's rail. */
function zonesOf(lab, sides, run) {
  return [0, 1].map((side) => {
    const switched = lab.switches.some((each) => sides.get(each.subject) === side);
    const powered = lab.feeds.some((each) => sides.get(each.subject) === side);
    return switched ? BAR + run : powered ? 40 : 12;
  });
}

function finished(plan, lab, sides, edge) {
  plan.bars = barsOf(lab, sides, edge, plan);
  plan.rails = railsOf(lab, sides, plan, edge);
  plan.cables = cablesOf(lab, sides, plan, edge);
  plan.rings = ringsOf(plan);
  return plan;
}

/** Switches: all of one side share its length. */
function barsOf(lab, sides, edge, plan) {
  const length = plan.turned ? plan.height : plan.width;
  return [0, 1].flatMap((side) => {
    const here = lab.switches.filter((each) => sides.get(each.subject) === side);
    const each = length / Math.max(1, here.length);
    return here.map((known, number) => ({
      known, side, u: number * each + (number ? 4 : 0), du: each - (number ? 4 : 0),
      v: side ? edge.to - BAR : edge.from, inner: side ? edge.to - BAR : edge.from + BAR,
    }));
  });
}

/** A rail for each feed, with a drop for everything on it. */
function railsOf(lab, sides, plan, edge) {
  const above = [0, 0];
  return lab.feeds.map((feed) => {
    const side = sides.get(feed.subject);
    const rank = above[side]++;
    const sign = side ? 1 : -1;
    const drops = [];
    let v = 0;
    for (const box of plan.boxes) {
      const face = side ? box.v + box.dv : box.v;
      v = face + sign * (RAIL + rank * 9);
      if (box.host.feeds.includes(feed.name)) drops.push({ u: box.u + box.du - 9 - rank * 8, from: face, to: v });
    }
    const bars = plan.bars.filter((bar) => bar.known.feeds.includes(feed.name));
    return { feed, side, v, drops, bars, start: plan.turned ? 4 : 4, rank };
  });
}

function cablesOf(lab, sides, plan, edge) {
  const boxes = new Map(plan.boxes.map((box) => [box.host.subject, box]));
  const bars = new Map(plan.bars.map((bar) => [bar.known.subject, bar]));
  for (const box of plan.boxes) box.ports = portsOf(box, lab, bars, plan.turned);
  let peers = 0;
  return lab.cables.map((cable) => {
    const ends = cable.ends.map((end) => ({ ...end, box: boxes.get(end.subject), bar: bars.get(end.subject) }));
    if (ends.every((end) => end.bar)) {
      const u = peerPlace(plan, edge, peers++);
      return { cable, kind: "peer", path: between(plan, [u, ends[0].bar.inner], [u, ends[1].bar.inner]), at: u };
    }
    const points = ends.map((end) => (end.box ? end.box.ports.get(end.port)?.at : null));
    const port = ends.map((end) => end.box?.ports.get(end.port)).find(Boolean);
    ends.forEach((end, number) => {
      const other = points[1 - number];
      if (end.bar && other) points[number] = [clamp(other[0], end.bar.u + 6, end.bar.u + end.bar.du - 6), end.bar.inner];
    });
    if (!points[0] || !points[1]) return { cable, kind: "loose", path: "", port };
    return { cable, kind: port?.kind ?? "single", path: between(plan, ...points), port, points };
  });
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function peerPlace(plan, edge, number) {
  return edge.end + (plan.turned ? 16 : 18) + number * 12;
}

/** A straight line where both ends are level, else a calm curve. */
function between(plan, [u1, v1], [u2, v2]) {
  const [a, b] = [plan.point(u1, v1), plan.point(u2, v2)];
  if (Math.abs(u1 - u2) < 0.5) return `M${a}L${b}`;
  const middle = (v1 + v2) / 2;
  return `M${a}C${plan.point(u1, middle)} ${plan.point(u2, middle)} ${b}`;
}

/** Ports of a box on the edge that faces their switch: name -> place and kind. */
function portsOf(box, lab, bars, turned) {
  const edges = [[], []];
  for (const port of box.host.ports) {
    const far = farEnd(lab, box.host.subject, port.name);
    const bar = far && bars.get(far.subject);
    edges[bar ? bar.side : 0].push(port);
  }
  const bonds = box.host.bonds.map((bond) => bond.name);
  const found = new Map();
  edges.forEach((ports, side) => {
    const room = box.du - (turned ? 16 : 18);
    const step = Math.min(turned ? 26 : 46, room / Math.max(1, ports.length));
    ports.forEach((port, number) => {
      const u = box.u + 3 + step * (number + 0.5);
      const mode = box.host.bonds.find((bond) => bond.name === port.bond)?.mode;
      found.set(port.name, {
        port, side, at: [u, side ? box.v + box.dv : box.v],
        kind: port.management ? "management" : port.bond ? "leg" : "single",
        hue: port.bond ? bonds.indexOf(port.bond) % 4 : null, mode,
      });
    });
  });
  return found;
}

function farEnd(lab, subject, port) {
  for (const cable of lab.cables) {
    const near = cable.ends.findIndex((end) => end.subject === subject && end.port === port);
    if (near >= 0) return cable.ends[1 - near];
  }
  return null;
}

/** The classic ring around legs of one bond that run side by side. */
function ringsOf(plan) {
  return plan.boxes.flatMap((box) => {
    const legs = new Map();
    for (const port of box.ports.values())
      if (port.kind === "leg") legs.set(`${port.port.bond} ${port.side}`, [...(legs.get(`${port.port.bond} ${port.side}`) ?? []), port]);
    return [...legs.values()].filter((ports) => ports.length > 1).map((ports) => {
      const us = ports.map((port) => port.at[0]);
      const v = ports[0].at[1] + (ports[0].side ? 30 : -30);
      const [cx, cy] = plan.point((Math.min(...us) + Math.max(...us)) / 2, v);
      const along = (Math.max(...us) - Math.min(...us)) / 2 + 6;
      return plan.turned ? { cx, cy, rx: 4, ry: along } : { cx, cy, rx: along, ry: 4 };
    });
  });
}

// Drawing it

const act = (subject, label, pick, focusable = true) => ({
  "data-subject": subject, role: "button", "aria-label": label, tabindex: focusable ? 0 : -1,
  onclick: pick(subject), onkeydown: pick(subject),
});

const cut = (text, room) => (text.length <= room ? text : `${text.slice(0, Math.max(1, room - 1))}…`);

function groupDrawn({ name, inside, ...place }, broken) {
  const fault = broken.get(name);
  const label = fault ? `✕ ${name}` : name;
  return s("g", { class: `group${fault ? " fault" : ""}`, "data-subject": name },
    s("title", {}, fault ? `${name}: ${fault}` : name),
    s("rect", { ...place, rx: 12 }),
    inside
      ? s("text", { x: place.x + 10, y: place.y + 15, class: "group-name" }, label)
      : s("text", { transform: `translate(${place.x + 13} ${place.y + place.height / 2}) rotate(-90)`, "text-anchor": "middle", class: "group-name" }, label),
  );
}

function railDrawn(rail, plan, pick, broken) {
  const { feed, drops, bars, v } = rail;
  const last = Math.max(...drops.map((drop) => drop.u), 60);
  const fault = broken.get(feed.subject);
  const line = (u1, v1, u2, v2) => `M${plan.point(u1, v1)}L${plan.point(u2, v2)}`;
  const to = bars.map((bar) => line(22 + rail.rank * 6, v, 22 + rail.rank * 6, bar.inner));
  const path = [line(plan.turned ? 22 : 60, v, last, v), ...drops.map((drop) => line(drop.u, drop.from, drop.u, drop.to)), ...to].join("");
  const [x, y] = plan.point(plan.turned ? 22 : 36, v);
  return s("g", { class: `feed${fault ? " fault" : ""}`, ...act(feed.subject, `power feed ${feed.name}${fault ? `, broken: ${fault}` : ""}`, pick) },
    s("title", {}, `power feed ${feed.name}: ${feed.comment}`),
    s("path", { d: path, class: "rail" }),
    ...drops.map((drop) => { const [cx, cy] = plan.point(drop.u, drop.from); return s("circle", { cx, cy, r: 2.5, class: "plug" }); }),
    s("g", { transform: plan.turned ? `translate(${x} ${y + 26}) rotate(-90)` : `translate(${x} ${y})` },
      s("rect", { x: -30, y: -9, width: 60, height: 18, rx: 9, class: "pill" }),
      s("text", { "text-anchor": "middle", y: 3.5 }, `${fault ? "✕" : "⚡"} ${cut(feed.name, 8)}`)),
  );
}

function cableDrawn({ cable, kind, path, port }, plan, pick, broken) {
  if (!path) return s("g", {});
  const fault = broken.get(cable.subject);
  const ends = cable.ends.map((end) => `${end.subject} ${end.port}`).join(" to ");
  const what = kind === "peer" ? "peer link" : port?.port.bond ? `leg of ${port.port.bond} (${port.mode === "lacp" ? "LACP" : port.mode})` : port?.port.management ? "management processor" : "single";
  const label = `cable ${cable.name}: ${ends}, ${what}; ${cable.vlans.join(", ") || "carries nothing"}`;
  const classes = ["cable", kind, port?.hue !== null && port?.hue !== undefined ? `hue${port.hue}` : "", port?.mode === "active-backup" ? "standby" : "", fault ? "fault" : ""];
  return s("g", { class: classes.filter(Boolean).join(" "), "data-vlans": cable.vlans.join(" "), ...act(cable.subject, label, pick, false) },
    s("title", {}, label),
    s("path", { d: path, class: "grip" }),
    s("path", { d: path, class: "wire" }),
    fault ? crossed(path) : null,
  );
}

/** The words beside the link of a pair. */
function peerNamed(plan) {
  const peers = plan.cables.filter((each) => each.kind === "peer");
  if (!peers.length) return [];
  const u = Math.max(...peers.map((each) => each.at));
  if (plan.turned) return [s("text", { x: plan.width / 2, y: u + 15, "text-anchor": "middle", class: "peer-name" }, "peer link")];
  return [s("text", { transform: `translate(${u + 9} ${plan.height / 2}) rotate(90)`, "text-anchor": "middle", class: "peer-name" }, "peer link")];
}

function crossed(path) {
  const numbers = path.match(/-?\d+(\.\d+)?/g).map(Number);
  const [x, y] = [(numbers[0] + numbers.at(-2)) / 2, (numbers[1] + numbers.at(-1)) / 2];
  return s("text", { x, y: y + 4, "text-anchor": "middle", class: "cross" }, "✕");
}

function barDrawn({ known, u, v, du, side }, plan, pick, broken) {
  const fault = broken.get(known.subject);
  const place = plan.box(u + 0.5, v + 0.5, du - 1, BAR - 1);
  const name = cut(known.name, 12);
  const about = fault ? `✕ ${fault}` : `${many(known.ports, "port")}${known.peer ? ` · MLAG pair with ${known.peer}` : ""}`;
  const label = `switch ${known.name}, ${about}`;
  const text = plan.turned
    ? [s("text", { transform: `translate(${place.x + BAR / 2 + 1} ${place.y + 14}) rotate(90)`, class: "name" }, name,
        s("tspan", { dx: 10, class: "about" }, about))]
    : [s("text", { x: place.x + 14, y: place.y + 25, class: "name" }, name, s("tspan", { dx: 10, class: "about" }, about))];
  const [x, y] = [place.x + place.width, place.y + place.height];
  const tag = plan.turned
    ? s("text", { transform: `translate(${place.x + BAR / 2 + 1} ${y - 12}) rotate(90)`, "text-anchor": "end", class: "tag" }, SIMULATED)
    : s("text", { x: x - 14, y: place.y + 25, "text-anchor": "end", class: "tag" }, SIMULATED);
  return s("g", { class: `switch${fault ? " fault" : ""}`, ...act(known.subject, label, pick), "data-side": side },
    s("title", {}, label), s("rect", { ...place, rx: 9, class: "body" }), ...text, tag);
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
  const letters = Math.floor(room / 5.4);
  const about = fault ? `✕ ${fault}` : host.roles.join(", ") || KIND[host.kind];
  const label = [`${host.kind.replace("-", " ")} ${host.name}`, host.cluster && `cluster ${host.cluster}`, fault && `broken: ${fault}`,
    guests.length && `guests ${guests.map((guest) => guest.name).join(", ")}`].filter(Boolean).join(", ");
  return s("g", { class: `box ${host.kind}${fault ? " fault" : ""}`, "data-vlans": vlansOf(box).join(" "), ...act(host.subject, label, pick) },
    s("title", {}, label),
    s("rect", { ...place, rx: 9, class: "body" }),
    s("text", { x: place.x + inset, y: top, class: "name" }, cut(host.name, Math.floor(room / 7.6))),
    s("text", { x: place.x + inset, y: top + 15, class: "about" }, cut(about, letters)),
    s("text", { x: place.x + inset, y: top + 15, class: "tag" }, SIMULATED),
    ...guests.map((guest, row) => guestDrawn(guest, place.x + inset - 3, top + 25 + row * ROW, room + 6, pick, broken)),
    host.guest_memory_bytes ? meter(host, guests, place.x + inset, top + 34 + box.lines * ROW, room) : null,
    ...[...box.ports.values()].map((port) => portDrawn(port, plan)),
  );
}

const vlansOf = (box) => [...new Set([...Object.keys(box.host.addresses), ...box.guests.flatMap((guest) => guest.vlans)])];

function portDrawn({ port, at, kind, side, hue }, plan) {
  const [x, y] = plan.point(...at);
  const label = port.management ? "iLO" : port.bond ?? port.name;
  const inward = side ? -1 : 1;
  const where = plan.turned
    ? { x: x + inward * 8, y: y + 3, "text-anchor": side ? "end" : "start" }
    : { x, y: y + (side ? -8 : 14), "text-anchor": "middle" };
  const wire = hue === null ? kind : `leg hue${hue}`;
  return s("g", { class: `port ${wire}` },
    s("rect", { x: x - 4, y: y - 4, width: 8, height: 8, rx: 2 }),
    s("text", { ...where }, cut(label, 6)));
}

const POWER = { true: ["●", "runs"], false: ["○", "is off"], null: ["?", "unknown"] };

function guestDrawn(guest, x, y, width, pick, broken) {
  const fault = broken.get(guest.subject);
  const [sign, told] = fault ? ["✕", fault] : POWER[guest.running];
  const state = fault ? "fault" : guest.running === false ? "off" : guest.running === null ? "unknown" : "on";
  const size = bytes(guest.memory_bytes);
  const roomy = width > guest.name.length * 6.6 + size.length * 6 + 26;
  return s("g", { class: `guest ${state}`, "data-subject": guest.subject, "data-vlans": guest.vlans.join(" ") },
    s("title", {}, `guest ${guest.name} ${told}; ${size}, ${many(guest.cores, "core")}`),
    s("rect", { x, y: y - 1, width, height: ROW - 3, rx: 5 }),
    s("text", { x: x + 6, y: y + 11, class: "sign" }, sign),
    s("text", { x: x + 18, y: y + 11 }, cut(guest.name, Math.floor((width - 22) / 6.4))),
    roomy ? s("text", { x: x + width - 6, y: y + 11, "text-anchor": "end", class: "size" }, size) : null);
}

/** How much of its memory for guests a node has given away. */
function meter(host, guests, x, y, width) {
  const used = guests.filter((guest) => guest.running).reduce((sum, guest) => sum + guest.memory_bytes, 0);
  const share = used / host.guest_memory_bytes;
  return s("g", { class: `meter${share > 1 ? " over" : ""}` },
    s("title", {}, `guests have ${bytes(used)} of ${bytes(host.guest_memory_bytes)} of memory`),
    s("rect", { x, y, width, height: 4, rx: 2, class: "trough" }),
    s("rect", { x, y, width: Math.max(0, Math.min(1, share) * width), height: 4, rx: 2, class: "level" }),
    s("text", { x, y: y + 15 }, `${used ? bytes(used).replace(" GiB", "") : 0} of ${bytes(host.guest_memory_bytes)}`));
}

function focusVlan(svg, vlan) {
  svg.classList.toggle("focused", Boolean(vlan));
  for (const element of svg.querySelectorAll("[data-vlans]"))
    element.classList.toggle("in", Boolean(vlan) && element.dataset.vlans.split(" ").includes(vlan));
}
