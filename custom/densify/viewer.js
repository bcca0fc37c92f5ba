// SPDX-FileCopyrightText: 2026 The CardioInterp Bundles Authors
// SPDX-License-Identifier: Apache-2.0
// One slice, two cuts across all slices, a cross-hair that ties them. Pictures come from sheets (sprites.py); a cut is
// drawn line by line from them, so no pixel is ever read back.
'use strict';
const data = JSON.parse(document.getElementById('data').textContent);
const get = id => document.getElementById(id);
const {image, deviation, acquired, count} = data;
const isAcquired = new Set(acquired), phases = image.phases.length;
const [high, wide] = image.size, [downMm, rightMm] = data.pixelMm;  // of a picture as shown
const state = {slice: 0, phase: 0, row: high >> 1, column: wide >> 1, playing: false};
const clamp = (value, least, most) => Math.max(least, Math.min(most, Math.round(value)));

// --- sheets -----------------------------------------------------------------------------------------------------------
function sheet(set, phase, number) {
  const pictures = set.pictures ??= new Map(), key = `${phase}/${number}`;
  if (!pictures.has(key)) {
    const picture = new Image();
    picture.onload = draw;
    picture.src = set.sheets[phase][number];
    pictures.set(key, picture);
  }
  return pictures.get(key);
}
function place(set, phase, slice) {  // the sheet that a picture is on, and where
  const number = Math.floor(slice / set.perSheet), rest = slice % set.perSheet;
  const picture = sheet(set, Math.min(phase, set.sheets.length - 1), number);
  const column = rest % set.columns, row = Math.floor(rest / set.columns);
  return picture.complete && picture.naturalWidth ? [picture, column * set.pitch[1], row * set.pitch[0]] : null;
}

// --- sizes on the screen ----------------------------------------------------------------------------------------------
const room = Math.min(1300, document.documentElement.clientWidth - 60);
const extent = {down: high * downMm, right: wide * rightMm, through: (count - 1) * data.sliceMm || 1};
const isLong = data.kind === 'pullback' || extent.through > Math.max(extent.down, extent.right);
const shown = isLong ? Math.min(460, room) : Math.min(560, room * .6);
const perMm = shown / Math.max(extent.down, extent.right);
const most = isLong ? Math.max(320, room - shown - 60) : shown;
const through = clamp(extent.through * perMm, Math.min(isLong ? 320 : 60, most), most);
const isToScale = data.isMeasured && Math.abs(through - extent.through * perMm) < 1;
const views = {
  slice: {canvas: get('slice'), width: extent.right * perMm, height: extent.down * perMm},
  first: {canvas: get('first-cut'), width: through, height: (isLong ? 0.6 : 1) * extent.down * perMm},
  second: isLong ? {canvas: get('second-cut'), width: through, height: 0.6 * extent.right * perMm}
                 : {canvas: get('second-cut'), width: extent.right * perMm, height: through},
};
if (isLong && isToScale) views.first.height = extent.down * perMm, views.second.height = extent.right * perMm;
get('views').classList.toggle('long', isLong);
for (const view of Object.values(views)) {
  const ratio = window.devicePixelRatio || 1;
  for (const side of ['width', 'height']) {
    const length = Math.max(1, Math.round(view[side]));
    view.canvas[side] = length * ratio;
    view.canvas.style[side] = `${length}px`;
  }
  view.context = view.canvas.getContext('2d');
}

// --- drawing ----------------------------------------------------------------------------------------------------------
const scratch = document.createElement('canvas'), scratchContext = scratch.getContext('2d');
const overlaid = () => deviation && get('overlay').checked;
function nearestAcquired(slice) {
  return acquired.reduce((best, other) => Math.abs(other - slice) < Math.abs(best - slice) ? other : best);
}
function drawPart(set, phase, slice, part, target, context) {  // `part` of a picture, in shares of it, onto a context
  const found = place(set, phase, slice);
  if (!found) return;
  const [picture, x, y] = found, [h, w] = set.size;
  context.drawImage(picture, x + Math.floor(part.x * w), y + Math.floor(part.y * h),
                    part.line === 'column' ? 1 : w, part.line === 'row' ? 1 : h, ...target);
}
function compose(view, width, height, paint) {  // gray picture, and the deviation over it in colour
  const layer = set => {
    scratch.width = width; scratch.height = height;
    scratchContext.fillStyle = '#000';
    scratchContext.fillRect(0, 0, width, height);
    paint(set, scratchContext);
  };
  layer(image);
  view.context.filter = `brightness(${get('brightness').value}%) contrast(${get('contrast').value}%)`;
  view.context.globalCompositeOperation = 'copy';
  view.context.drawImage(scratch, 0, 0, width, height, 0, 0, view.canvas.width, view.canvas.height);
  view.context.filter = 'none';
  view.context.globalCompositeOperation = 'source-over';
  if (!overlaid()) return;
  layer(deviation);
  scratchContext.resetTransform();
  scratchContext.globalCompositeOperation = 'multiply';
  scratchContext.fillStyle = '#ff5a1f';
  scratchContext.fillRect(0, 0, width, height);
  scratchContext.globalCompositeOperation = 'source-over';
  view.context.globalCompositeOperation = 'lighter';
  view.context.globalAlpha = get('strength').value / 100;
  view.context.drawImage(scratch, 0, 0, width, height, 0, 0, view.canvas.width, view.canvas.height);
  view.context.globalAlpha = 1;
  view.context.globalCompositeOperation = 'source-over';
}
function drawCut(view, line, share, along) {  // `along`: slices run to the right, or down
  const length = line === 'column' ? high : wide;
  const [width, height] = along === 'right' ? [count, length] : [length, count];
  compose(view, width, height, (set, context) => {
    // A row that is to stand upright: the context is transposed.
    if (line === 'row' && along === 'right') context.setTransform(0, 1, 1, 0, 0, 0);
    for (let slice = 0; slice < count; slice++) {
      const source = get('without').checked ? nearestAcquired(slice) : slice;
      const part = line === 'column' ? {line, x: share, y: 0} : {line, x: 0, y: share};
      const target = line === 'column' ? [slice, 0, 1, length] : [0, slice, length, 1];
      drawPart(set, state.phase, source, part, target, context);
    }
  });
}
function marks(view, along) {  // of the acquired slices, at two sides of a cut
  const {context, canvas} = view, long = along === 'right' ? canvas.width : canvas.height;
  context.fillStyle = '#7cc4ff';
  for (const slice of acquired) {
    const at = (slice + .5) / count * long - 1;
    if (along === 'right') for (const y of [0, canvas.height - 6]) context.fillRect(at, y, 2, 6);
    else for (const x of [0, canvas.width - 6]) context.fillRect(x, at, 6, 2);
  }
}
function hair(view, x, y) {  // shares of the view
  if (!get('cross').checked) return;
  const {context, canvas} = view;
  context.lineWidth = window.devicePixelRatio || 1;
  context.strokeStyle = isAcquired.has(state.slice) ? '#7cc4ffb0' : '#ffa24cb0';
  context.beginPath();
  context.moveTo(x * canvas.width, 0); context.lineTo(x * canvas.width, canvas.height);
  context.moveTo(0, y * canvas.height); context.lineTo(canvas.width, y * canvas.height);
  context.stroke();
}
function drawTicks() {
  const canvas = get('ticks'), context = canvas.getContext('2d');
  canvas.width = canvas.clientWidth || 600;
  const inset = 8, step = (canvas.width - 2 * inset) / Math.max(1, count - 1);
  for (let slice = 0; slice < count; slice++) {
    context.fillStyle = isAcquired.has(slice) ? '#7cc4ff' : '#ffa24c';
    const tall = isAcquired.has(slice) ? 14 : 6;
    context.fillRect(inset + slice * step - 1, 0, Math.max(1, Math.min(2, step * .8)), tall);
  }
}
let asked = 0;
function draw() { asked ||= requestAnimationFrame(() => { asked = 0; drawNow(); }); }
function drawNow() {
  const x = (state.column + .5) / wide, y = (state.row + .5) / high, z = (state.slice + .5) / count;
  compose(views.slice, wide, high, (set, context) =>
    drawPart(set, state.phase, state.slice, {x: 0, y: 0}, [0, 0, wide, high], context));
  hair(views.slice, x, y);
  drawCut(views.first, 'column', x, 'right');
  marks(views.first, 'right');
  hair(views.first, z, y);
  drawCut(views.second, 'row', y, isLong ? 'right' : 'down');
  marks(views.second, isLong ? 'right' : 'down');
  hair(views.second, ...(isLong ? [z, x] : [x, z]));
  tell();
}
function tell() {
  const known = isAcquired.has(state.slice), noun = data.noun;
  const before = Math.max(...acquired.filter(a => a <= state.slice));
  const after = Math.min(...acquired.filter(a => a >= state.slice));
  const name = `${noun} ${state.slice + 1} of ${count}`;
  const where = known ? `acquired ${acquired.indexOf(state.slice) + 1} of ${acquired.length}`
    : `between acquired ${acquired.indexOf(before) + 1} and ${acquired.indexOf(after) + 1}, ` +
      `${state.slice - before}/${after - before} of the way`;
  for (const id of ['slice', 'tag']) get(id).classList.toggle('synthetic', !known);
  get('tag').textContent = known ? 'acquired' : 'synthetic';
  get('slice-name').textContent = name;
  const millimetres = data.hasPitch ? `, ${(state.slice * data.sliceMm).toFixed(1)} mm` : '';
  const phase = phases > 1 ? `; phase ${image.phases[state.phase] + 1} of ${data.phaseCount}` : '';
  get('status').textContent = `${name}: ${known ? 'ACQUIRED' : 'SYNTHETIC'}, ${where}${millimetres}${phase}`;
  get('slice-slider').value = state.slice;
  get('phase-slider').value = state.phase;
}

// --- moving -----------------------------------------------------------------------------------------------------------
function go(change) {
  Object.assign(state, change);
  state.slice = clamp(state.slice, 0, count - 1);
  state.phase = ((state.phase % phases) + phases) % phases;
  state.row = clamp(state.row, 0, high - 1);
  state.column = clamp(state.column, 0, wide - 1);
  draw();
}
function toAcquired(step) {
  const others = acquired.filter(a => step > 0 ? a > state.slice : a < state.slice);
  if (others.length) go({slice: step > 0 ? others[0] : others[others.length - 1]});
}
let timer = null;
function play() {
  state.playing = !state.playing && phases > 1;
  get('play').textContent = state.playing ? 'Pause' : 'Play';
  clearInterval(timer);
  if (state.playing) timer = setInterval(() => go({phase: state.phase + 1}), data.phaseMs * data.phaseCount / phases);
}
const toggle = id => { get(id).checked = !get(id).checked; draw(); };
const keys = {
  ArrowUp: () => go({slice: state.slice - 1}), ArrowDown: () => go({slice: state.slice + 1}),
  ArrowLeft: () => go({phase: state.phase - 1}), ArrowRight: () => go({phase: state.phase + 1}),
  PageUp: () => toAcquired(-1), PageDown: () => toAcquired(1),
  Home: () => go({slice: 0}), End: () => go({slice: count - 1}),
  ' ': play, u: () => deviation && toggle('overlay'), s: () => toggle('without'), c: () => toggle('cross'),
};
document.addEventListener('keydown', event => {
  if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
  const onSlider = event.target.type === 'range' && !['slice-slider', 'phase-slider'].includes(event.target.id);
  if (onSlider && event.key.startsWith('Arrow')) return;
  event.preventDefault();
  keys[event.key]();
});
function drags(view, move) {
  const act = event => {
    const box = view.canvas.getBoundingClientRect();
    move((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  view.canvas.addEventListener('pointerdown', event => { view.canvas.setPointerCapture(event.pointerId); act(event); });
  view.canvas.addEventListener('pointermove', event => event.buttons && act(event));
  view.canvas.addEventListener('wheel', event => {
    event.preventDefault();
    go({slice: state.slice + Math.sign(event.deltaY)});
  }, {passive: false});
}
const index = (share, length) => Math.floor(share * length);
drags(views.slice, (x, y) => go({column: index(x, wide), row: index(y, high)}));
drags(views.first, (x, y) => go({slice: index(x, count), row: index(y, high)}));
drags(views.second, (x, y) => go(isLong ? {slice: index(x, count), column: index(y, wide)}
                                        : {column: index(x, wide), slice: index(y, count)}));
get('slice-slider').addEventListener('input', event => go({slice: +event.target.value}));
get('phase-slider').addEventListener('input', event => go({phase: +event.target.value}));
get('ticks').addEventListener('pointerdown', event =>
  go({slice: (event.offsetX - 8) / (get('ticks').clientWidth - 16) * (count - 1)}));
for (const id of ['cross', 'without', 'overlay', 'brightness', 'contrast', 'strength'])
  get(id).addEventListener('input', draw);
get('play').addEventListener('click', play);
window.addEventListener('resize', drawTicks);

// --- beginning --------------------------------------------------------------------------------------------------------
const plural = `${data.noun}s`, scale = isToScale ? '' : ' (not to scale)';
get('slice-label').textContent = data.noun[0].toUpperCase() + data.noun.slice(1);
get('plural').textContent = get('plural2').textContent = plural;
get('first-name').textContent = `${data.cutName}, upright${scale}`;
get('second-name').textContent = `${data.cutName}, level${scale}`;
get('slice-slider').max = count - 1;
get('phase-slider').max = phases - 1;
document.querySelectorAll('[data-cine]').forEach(part => { part.hidden = phases < 2; });
document.querySelectorAll('[data-std]').forEach(part => { part.hidden = !deviation; });
drawTicks();
// A link may say where to begin: index.html#slice=18&phase=3
const wanted = new URLSearchParams(location.hash.slice(1));
const given = Object.fromEntries([...wanted].filter(([key]) => key in state).map(([key, text]) => [key, +text || 0]));
go({slice: count >> 1, ...given, playing: false});
