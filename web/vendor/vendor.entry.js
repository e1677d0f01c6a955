// The chart library behind one function, so that the pages (Rust) speak plain values. No logic of the product here.
import uPlot from "uplot";

const HATCH = 6;
/** Distances between ticks of bytes: 1 B to 512 TiB. */
const POWERS_OF_TWO = Array.from({ length: 50 }, (_, i) => 2 ** i);
/** Distances between ticks of durations: 1 ms to 100 d. */
const [MINUTE, HOUR, DAY] = [60, 3600, 86400];
const DURATIONS = [
  ...[0.001, 0.01, 0.1, 1].flatMap((s) => [s, 2 * s, 5 * s]), 10, 15, 30,
  ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE), ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
  ...[1, 2, 5, 10, 20, 50, 100].map((n) => n * DAY),
];
const TICKS = { bytes: POWERS_OF_TWO, duration: DURATIONS };

/** A pattern of diagonal lines, for what is not known. */
function hatch(color) {
  const ratio = devicePixelRatio || 1;
  const tile = document.createElement("canvas");
  tile.width = tile.height = HATCH * ratio;
  const draw = tile.getContext("2d");
  draw.scale(ratio, ratio);
  draw.strokeStyle = color;
  draw.lineWidth = 1.4;
  draw.beginPath();
  for (const shift of [-HATCH, 0, HATCH]) {
    draw.moveTo(shift, HATCH);
    draw.lineTo(shift + HATCH, 0);
  }
  draw.stroke();
  return draw.createPattern(tile, "repeat");
}

/** NaN is a gap. */
const gaps = (columns) => columns.map((column, i) => (i ? Array.from(column, (v) => (Number.isNaN(v) ? null : v)) : column));

/** Lines across, where a scale reaches so far. */
function levels(plot, { levels: all = [] }) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const { at, color } of all) {
    const y = Math.round(plot.valToPos(at, "y", true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.strokeStyle = color;
    ctx.setLineDash([6, 4]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function marks(plot, events) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const { time, color } of events) {
    const x = Math.round(plot.valToPos(time, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = color;
    ctx.setLineDash([3, 3]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/**
 * Draws series over time in `host`.
 * spec: { height, group, from, to, low, high, axis, gutter, ticks, font, text, grid, stacked,
 *         series: [{ color, fill, hatched, width }], events: [{ time, color }], levels: [{ at, color }] }
 * columns: seconds, then one column a series; of stacked series the sums, the largest first.
 * calls: { tick(value), time(seconds), splits() in seconds, hover(index or -1, x), brush(from, to) }
 */
window.coulombPlot = (host, spec, columns, calls) => {
  const axis = {
    stroke: spec.text, font: spec.font, grid: { stroke: spec.grid, width: 1 }, ticks: { show: false },
  };
  const line = ({ color, fill, hatched, width }) => ({
    stroke: color,
    width: width ?? 1.5,
    fill: hatched ? () => hatch(color) : fill,
    points: { show: false },
    spanGaps: false,
    paths: spec.stacked ? uPlot.paths.stepped({ align: 1 }) : undefined,
  });
  const plot = new uPlot(
    {
      width: host.clientWidth, height: spec.height, legend: { show: false },
      padding: [6, 8, spec.axis ? 0 : 4, 0],
      scales: {
        x: { time: false, range: () => [spec.from, spec.to] },
        y: { range: (_, low, high) => [spec.low ?? low ?? 0, spec.high ?? ((high ?? 0) > (spec.low ?? 0) ? high * 1.04 : (spec.low ?? 0) + 1)] },
      },
      axes: [
        {
          ...axis, show: spec.axis, size: 28, gap: 4, space: 80,
          splits: () => calls.splits().slice(),
          values: (_, splits) => splits.map((s) => calls.time(s)),
        },
        { ...axis, size: spec.gutter, gap: 6, space: spec.axis && spec.stacked ? 40 : 24, incrs: TICKS[spec.ticks], values: (_, splits) => splits.map((v) => calls.tick(v)) },
      ],
      cursor: {
        y: false, points: { size: 6, show: !spec.stacked }, drag: { x: true, y: false, setScale: false },
        sync: spec.group ? { key: spec.group, setSeries: false } : undefined,
      },
      series: [{}, ...spec.series.map(line)],
      hooks: {
        draw: [(u) => marks(u, spec.events), (u) => levels(u, spec)],
        setCursor: [(u) => calls.hover(u.cursor.idx ?? -1, u.cursor.left + u.over.offsetLeft)],
        setSelect: [(u) => {
          if (u.select.width >= 6) {
            calls.brush(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          }
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        }],
      },
    },
    gaps(columns),
    host,
  );
  const watch = new ResizeObserver(() => plot.setSize({ width: host.clientWidth, height: spec.height }));
  watch.observe(host);
  return { destroy() { watch.disconnect(); plot.destroy(); } };
};

/** Looks that a copy of an SVG outside of the page has to carry with it. */
const LOOKS = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "font", "text-anchor"];

/** The SVG as an image, with the page's looks written into it. */
async function pictured(svg) {
  const copy = svg.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll("*")];
  [svg, ...svg.querySelectorAll("*")].forEach((element, i) => {
    const looks = getComputedStyle(element);
    for (const look of LOOKS) copies[i].style.setProperty(look, looks.getPropertyValue(look));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  return image;
}

/** What a picture of a card leaves out: what is pressed or follows the pointer. */
const NOT_PICTURED = ".menu, .tip, header .control, .visually-hidden";

/** A card as it lies on the page, title and key included: `done` gets it as a PNG, twice as fine as the page. */
window.coulombPng = async (host, color, done) => {
  const card = host.getBoundingClientRect();
  const out = document.createElement("canvas");
  [out.width, out.height] = [card.width * 2, card.height * 2];
  const draw = out.getContext("2d");
  draw.scale(2, 2);
  draw.translate(-card.left, -card.top);
  draw.fillStyle = color;
  draw.fillRect(card.left, card.top, card.width, card.height);
  for (const element of host.querySelectorAll("*")) {
    const { left, top, width, height } = element.getBoundingClientRect();
    const isPart = element.parentElement.closest("svg") || element.closest(NOT_PICTURED);
    if (isPart || width < 1 || height < 1 || isScrolledAway(element, host)) continue;
    if (element instanceof SVGElement) draw.drawImage(await pictured(element), left, top, width, height);
    else if (element instanceof HTMLCanvasElement) draw.drawImage(element, left, top, width, height);
    else box(draw, element);
  }
  out.toBlob(done, "image/png");
};

/** Whether it reaches out of what scrolls around it. */
function isScrolledAway(element, host) {
  const { top, bottom } = element.getBoundingClientRect();
  for (let around = element.parentElement; around && around !== host; around = around.parentElement) {
    if (getComputedStyle(around).overflowY === "visible") continue;
    const sight = around.getBoundingClientRect();
    if (bottom > sight.bottom + 1 || top < sight.top - 1) return true;
  }
  return false;
}

/** A box's ground and its own words, each where it stands. */
function box(draw, element) {
  const looks = getComputedStyle(element);
  const { left, top, width, height } = element.getBoundingClientRect();
  draw.save();
  draw.beginPath();
  draw.rect(left, top, width, height);
  draw.clip();
  draw.fillStyle = looks.backgroundColor;
  draw.fillRect(left, top, width, height);
  const stops = looks.backgroundImage.match(/rgba?\([^)]*\)/g) ?? [];
  if (looks.backgroundImage.startsWith("repeating")) {
    draw.strokeStyle = stops[0];
    draw.lineWidth = 1.5;
    for (let x = left - height; x < left + width; x += 5) {
      draw.beginPath();
      draw.moveTo(x, top + height);
      draw.lineTo(x + height, top);
      draw.stroke();
    }
  } else if (looks.backgroundImage.startsWith("linear") && stops.length > 1) {
    const ramp = draw.createLinearGradient(left, 0, left + width, 0);
    stops.forEach((stop, i) => ramp.addColorStop(i / (stops.length - 1), stop));
    draw.fillStyle = ramp;
    draw.fillRect(left, top, width, height);
  }
  [draw.font, draw.fillStyle] = [looks.font, looks.color];
  for (const text of element.childNodes) if (text.nodeType === Node.TEXT_NODE) words(draw, text);
  draw.restore();
}

function words(draw, text) {
  const range = document.createRange();
  for (const { 0: word, index } of text.data.matchAll(/\S+/g)) {
    range.setStart(text, index);
    range.setEnd(text, index + word.length);
    const { left, top, width, height } = range.getBoundingClientRect();
    const { width: drawn, fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = draw.measureText(word);
    // Where the canvas has another font than the page, a word still takes the room that it has there.
    draw.save();
    draw.translate(left, top + (height + up - down) / 2);
    draw.scale(width / drawn, 1);
    draw.fillText(word, 0, 0);
    draw.restore();
  }
}
