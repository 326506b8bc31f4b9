// What can fail, and what is known of each: for the list of choices and the card of the chosen one.

import { h } from "./dom.js";

const KINDS = [
  ["node", "Nodes"],
  ["switch", "Switches"],
  ["router", "Routers"],
  ["feed", "Power feeds"],
  ["nas", "Arrays"],
  ["portal", "Portals"],
  ["backup-server", "Backup servers"],
  ["card", "Network cards"],
  ["cable", "Cables"],
  ["osd", "OSDs"],
  ["disk", "Disks"],
];

/** Everything that can fail, in the order of KINDS: kind -> subjects. */
export function breakable(lab) {
  const all = [
    ...lab.hosts,
    ...lab.switches,
    ...lab.feeds,
    ...lab.cables,
    ...lab.hosts.flatMap((host) => host.parts),
  ].map((each) => each.subject);
  return KINDS.map(([kind, title]) => [title, all.filter((subject) => subject.startsWith(`${kind} `))]);
}

const PART_TITLES = { card: "Cards", disk: "Disks", osd: "OSDs", portal: "Portals" };

/** A card about `subject`; `onAct(words)` simulates, `onPick(subject)` goes to another. Null if there is nothing to tell. */
export function describe(lab, subject, onAct, onPick) {
  const host = lab.hosts.find((each) => each.subject === subject);
  const cable = lab.cables.find((each) => each.subject === subject);
  const part = lab.hosts.flatMap((each) => each.parts).find((each) => each.subject === subject);
  const fault = lab.faults.find((each) => each.subject === subject);
  const facts = host
    ? hostFacts(lab, host)
    : cable
      ? cableFacts(cable)
      : part
        ? [["About", part.text]]
        : boxFacts(lab, subject);
  if (!facts) return null;
  const act = (words, text) =>
    h(
      "button",
      { type: "button", class: words.startsWith("fail") ? "primary" : "", onclick: () => onAct(words) },
      text,
    );
  return h(
    "div",
    { class: "card" },
    h("h3", {}, subject, fault ? h("span", { class: "broken" }, ` ✕ ${fault.text}`) : ""),
    h(
      "div",
      { class: "buttons" },
      act(`fail-${subject}`, "What if this fails?"),
      act(`silence-${subject}`, "…goes silent?"),
    ),
    h(
      "dl",
      {},
      ...facts
        .filter(([, value]) => value && value.length !== 0)
        .flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, ...linked(value, onPick))]),
    ),
  );
}

/** Subjects among the values are links to themselves. */
function linked(value, onPick) {
  if (!Array.isArray(value)) return [value];
  return value.flatMap((each, number) => [
    number ? ", " : "",
    typeof each === "string"
      ? each
      : h(
          "button",
          {
            type: "button",
            class: "link",
            title: each.title ?? each.subject,
            onclick: () => onPick(each.subject),
          },
          each.text,
        ),
  ]);
}

const link = (subject, text) => ({ subject, text: text ?? subject.split(" ")[1] });

function hostFacts(lab, host) {
  const cables = lab.cables.filter((cable) => cable.ends.some((end) => end.subject === host.subject));
  const parts = Object.entries(PART_TITLES).map(([kind, title]) => [
    title,
    host.parts
      .filter((part) => part.kind === kind)
      .map((part) => ({
        ...link(part.subject, part.name.split("/")[1]),
        title: `${part.subject}, ${part.text}`,
      })),
  ]);
  const guests = lab.guests.filter((guest) => guest.node === host.name);
  return [
    ["Cluster", host.cluster],
    ["Does", host.roles.join(", ")],
    ["Guests", guests.map((guest) => `${guest.name}${guest.running === false ? " (off)" : ""}`).join(", ")],
    ["Power", host.feeds.map((feed) => link(`feed ${feed}`))],
    [
      "Bonds",
      host.bonds
        .map(
          (bond) => `${bond.name}: ${bond.members.join(" + ")}, ${bond.mode === "lacp" ? "LACP" : bond.mode}`,
        )
        .join("; "),
    ],
    [
      "Addresses",
      Object.entries(host.addresses)
        .map(([vlan, address]) => `${address} (${vlan})`)
        .join(", "),
    ],
    ["Cables", cables.map((cable) => link(cable.subject))],
    ...parts,
  ];
}

function cableFacts(cable) {
  return [
    ["From", [link(cable.ends[0].subject, `${cable.ends[0].subject} ${cable.ends[0].port}`)]],
    ["To", [link(cable.ends[1].subject, `${cable.ends[1].subject} ${cable.ends[1].port}`)]],
    ["VLANs", cable.vlans.join(", ")],
    ["Colour", cable.colour],
    ["Label", cable.label],
  ];
}

function boxFacts(lab, subject) {
  const known = lab.switches.find((each) => each.subject === subject);
  if (known)
    return [
      ["Pair", known.peer ? [link(`switch ${known.peer}`)] : ""],
      ["Power", known.feeds.map((feed) => link(`feed ${feed}`))],
      ["Ports", String(known.ports)],
    ];
  const feed = lab.feeds.find((each) => each.subject === subject);
  if (!feed) return null;
  const on = [...lab.hosts, ...lab.switches].filter((each) => each.feeds.includes(feed.name));
  return [
    ["Feeds", on.map((each) => link(each.subject))],
    ["Note", feed.comment],
  ];
}
