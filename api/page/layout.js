// Where everything of the drawing is, worked out along two axes: u runs along the switches, v across from the first
// to the second. Wide: switches above and below; narrow: left and right, the same drawing turned. What hangs on the
// switches stands between them, so that cables are short and straight.

export const BAR = 40; // thickness of a switch
export const ROW = 19; // a line of a guest
const RAIL = 16; // from the rail of a feed to the boxes, and
const RAILS = 21; // from rail to rail
const GAP = 8; // between boxes
const GROUP_GAP = 15;
const GROUP_NAME = 15; // the strip that a group's name stands in
const GUESTS = 10; // shown in one box

/** The places of everything of `lab` for a holder of this width. */
export function laid(lab, width) {
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
      name: `cluster ${name}`,
      hosts: lab.hosts.filter((host) => host.cluster === name),
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
  const rows = Math.min(guests.length, GUESTS) + (guests.length > GUESTS ? 1 : 0);
  return {
    host,
    guests,
    shown: guests.slice(0, GUESTS),
    lines: Math.max(rows, host.kind === "node" ? 2 : 0),
  };
}

const heightOf = ({ lines, host }, turned) =>
  (turned ? 44 : 80) + lines * ROW + (host.guest_memory_bytes ? 30 : 0);

/** The wide form; null if a server would be too narrow to read. */
function spread(lab, groups, sides, width) {
  const start = lab.feeds.length ? 68 : 8;
  const end = crossing(lab, sides) ? 50 : 8;
  const count = groups.reduce((sum, group) => sum + group.hosts.reduce((n, host) => n + weight(host), 0), 0);
  const gaps = groups.reduce(
    (sum, group) => sum + (group.hosts.length - 1) * GAP + GROUP_GAP + (group.name ? GROUP_NAME : 0),
    0,
  );
  const each = Math.min(210, (width - start - end - gaps) / count);
  if (each < 97) return null;
  const used = start + end + gaps + each * count;
  const zones = zonesOf(lab, sides, 74);
  const tall = Math.max(
    ...groups.flatMap((group) => group.hosts.map((host) => heightOf(content(lab, host), false))),
    96,
  );
  const v = zones[0];
  const plan = {
    turned: false,
    width: used,
    height: zones[0] + tall + zones[1],
    point: (u, across) => [u, across],
    box: (u, across, du, dv) => ({ x: u, y: across, width: du, height: dv }),
    boxes: [],
    groups: [],
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
    if (group.name)
      plan.groups.push({
        name: group.name,
        x: from - 4,
        y: v - 7,
        width: u - from - GROUP_GAP / 2 + 11,
        height: tall + 14,
      });
  }
  return finished(plan, lab, sides, { start, end: used - end, from: 0, to: plan.height, tall });
}

/** The narrow form: everything below each other. */
function stacked(lab, groups, sides, width) {
  const used = Math.min(width, 600);
  const zones = zonesOf(lab, sides, used < 480 ? 40 : 62);
  const du = used - zones[0] - zones[1];
  const plan = {
    turned: true,
    width: used,
    height: 0,
    point: (u, across) => [across, u],
    box: (u, across, along, dv) => ({ x: across, y: u, width: dv, height: along }),
    boxes: [],
    groups: [],
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
    if (group.name)
      plan.groups.push({
        name: group.name,
        inside: true,
        x: zones[0] - 6,
        y: from,
        width: du + 12,
        height: u - from,
      });
    u += GROUP_GAP - GAP;
  }
  plan.height = u + (crossing(lab, sides) ? 54 : 4);
  return finished(plan, lab, sides, { start: 0, end: u, from: 0, to: used });
}

/** Whether a cable joins switches of both sides. */
const crossing = (lab, sides) =>
  lab.cables.some(({ ends: [one, other] }) => sides.get(one.subject) + sides.get(other.subject) === 1);

const weight = (host) => (host.kind === "router" ? 0.8 : 1);

function portRows(host) {
  return Math.max(1, Math.ceil(host.ports.length / 2));
}

/** How deep each side is: its switch, the cables (as long as `run`) and the rails of its feeds. */
function zonesOf(lab, sides, run) {
  return [0, 1].map((side) => {
    const here = (each) => sides.get(each.subject) === side;
    const rails = lab.feeds.filter(here).length;
    const more = Math.max(0, rails - 1) * RAILS;
    return (lab.switches.some(here) ? BAR + run : rails ? 40 : 12) + more;
  });
}

function finished(plan, lab, sides, edge) {
  plan.bars = barsOf(lab, sides, edge, plan);
  plan.rails = railsOf(lab, sides, plan);
  plan.cables = cablesOf(lab, sides, plan, edge);
  plan.rings = ringsOf(plan, edge);
  return plan;
}

/** Switches: all of one side share its length. */
function barsOf(lab, sides, edge, plan) {
  const length = plan.turned ? plan.height : plan.width;
  return [0, 1].flatMap((side) => {
    const here = lab.switches.filter((each) => sides.get(each.subject) === side);
    const each = length / Math.max(1, here.length);
    return here.map((known, number) => ({
      known,
      side,
      u: number * each + (number ? 4 : 0),
      du: each - (number ? 4 : 0),
      v: side ? edge.to - BAR : edge.from,
      inner: side ? edge.to - BAR : edge.from + BAR,
    }));
  });
}

/** A rail for each feed, with a drop for everything on it. */
function railsOf(lab, sides, plan) {
  const above = [0, 0];
  return lab.feeds.map((feed) => {
    const side = sides.get(feed.subject);
    const rank = above[side]++;
    const sign = side ? 1 : -1;
    const drops = [];
    let v = 0;
    for (const box of plan.boxes) {
      const face = side ? box.v + box.dv : box.v;
      v = face + sign * (RAIL + rank * RAILS);
      if (box.host.feeds.includes(feed.name))
        drops.push({ u: box.u + box.du - 9 - rank * 8, from: face, to: v });
    }
    const bars = plan.bars.filter((bar) => bar.known.feeds.includes(feed.name));
    return { feed, side, v, drops, bars, rank };
  });
}

function cablesOf(lab, sides, plan, edge) {
  const boxes = new Map(plan.boxes.map((box) => [box.host.subject, box]));
  const bars = new Map(plan.bars.map((bar) => [bar.known.subject, bar]));
  for (const box of plan.boxes) box.ports = portsOf(box, lab, bars, plan.turned);
  let crossings = 0;
  return lab.cables.map((cable) => {
    const ends = cable.ends.map((end) => ({
      ...end,
      box: boxes.get(end.subject),
      bar: bars.get(end.subject),
    }));
    if (ends.every((end) => end.bar)) {
      const [one, other] = ends.map((end) => end.bar);
      const kind = cable.peer_link ? "peer" : "single";
      if (one.side === other.side) return { cable, kind, path: beside(plan, one, other) };
      const u = edge.end + (plan.turned ? 16 : 18) + 12 * crossings++;
      return { cable, kind, path: between(plan, [u, one.inner], [u, other.inner]), at: u };
    }
    const points = ends.map((end) => (end.box ? end.box.ports.get(end.port)?.at : null));
    const port = ends.map((end) => end.box?.ports.get(end.port)).find(Boolean);
    ends.forEach((end, number) => {
      const other = points[1 - number];
      if (end.bar && other)
        points[number] = [clamp(other[0], end.bar.u + 6, end.bar.u + end.bar.du - 6), end.bar.inner];
    });
    if (!points[0] || !points[1]) return { cable, kind: "loose", path: "", port };
    return { cable, kind: port?.kind ?? "single", path: between(plan, ...points), port, points };
  });
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** A line between switches of one side, from middle to middle; what lies below a switch is not seen. */
function beside(plan, one, other) {
  const middle = (bar) => [bar.u + bar.du / 2, bar.v + BAR / 2];
  return between(plan, middle(one), middle(other));
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
        port,
        side,
        at: [u, side ? box.v + box.dv : box.v],
        kind: port.management ? "management" : port.bond ? "leg" : "single",
        hue: port.bond ? bonds.indexOf(port.bond) % 4 : null,
        mode,
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
function ringsOf(plan, edge) {
  return plan.boxes.flatMap((box) => {
    const legs = new Map();
    for (const port of box.ports.values())
      if (port.kind === "leg")
        legs.set(`${port.port.bond} ${port.side}`, [
          ...(legs.get(`${port.port.bond} ${port.side}`) ?? []),
          port,
        ]);
    return [...legs.values()]
      .filter((ports) => ports.length > 1)
      .map((ports) => {
        const us = ports.map((port) => port.at[0]);
        const [, face] = ports[0].at;
        const v = ports[0].side ? edge.to - BAR - (edge.to - BAR - face) / 3 : BAR + (face - BAR) / 3;
        const [cx, cy] = plan.point((Math.min(...us) + Math.max(...us)) / 2, v);
        const along = (Math.max(...us) - Math.min(...us)) / 2 + 6;
        return plan.turned ? { cx, cy, rx: 4, ry: along } : { cx, cy, rx: along, ry: 4 };
      });
  });
}
