// Making elements, and numbers as people read them. Text is always set as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element. */
export const h = (tag, attributes, ...children) => filled(document.createElement(tag), attributes, children);

/** An SVG element. */
export const s = (tag, attributes, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

export const byId = (id) => document.getElementById(id);

/** 237.6 -> "237.6 s", 900 -> "15 min", 26.0 -> "26 s". */
export function seconds(value) {
  if (value < 300) return `${Number(value.toFixed(1))} s`;
  const minutes = Math.floor(value / 60);
  const rest = Math.round(value - minutes * 60);
  return rest ? `${minutes} min ${rest} s` : `${minutes} min`;
}

/** 8589934592 -> "8 GiB". */
export function bytes(value) {
  for (const [unit, size] of [
    ["TiB", 2 ** 40],
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
  ])
    if (value >= size) return `${Number((value / size).toFixed(1))} ${unit}`;
  return `${value} B`;
}

const pen = document.createElement("canvas").getContext("2d");

/** How wide a text is in the page's typeface, in pixels. */
export function wide(text, size, weight = 400) {
  pen.font = `${weight} ${size}px ${getComputedStyle(document.documentElement).fontFamily}`;
  return pen.measureText(text).width;
}

/** `text`, cut to `room` pixels. */
export function fit(text, room, size, weight = 400) {
  if (wide(text, size, weight) <= room) return text;
  let end = text.length - 1;
  while (end > 1 && wide(`${text.slice(0, end)}…`, size, weight) > room) end -= 1;
  return `${text.slice(0, end)}…`;
}

const STEPS = [
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** An instant (seconds since the epoch) as its distance from now; the exact one on hover. */
export function ago(at) {
  const element = h("time", { datetime: new Date(at * 1000).toISOString() });
  element.title = new Date(at * 1000).toLocaleString();
  tick(element);
  return element;
}

/** Write anew how long ago an `ago` element is. */
export function tick(element) {
  const past = Date.now() / 1000 - Date.parse(element.dateTime) / 1000;
  const [size, unit] = STEPS.find(([length]) => past >= length) ?? [1, "s"];
  element.textContent = past < 10 ? "just now" : `${Math.floor(past / size)} ${unit} ago`;
}

export const many = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
