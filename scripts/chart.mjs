// @ts-check
/**
 * Charts as SVG, readable on light and dark pages. Only lines on logarithmic axes and rows of dots: what the
 * documentation needs.
 */

const WIDTH = 760
/** Page, text, faint text, grid, and the colours of six series. */
const LIGHT = ['#ffffff', '#24292f', '#57606a', '#d0d7de', '#cf222e', '#0969da', '#1a7f37', '#9a6700', '#8250df', '#57606a']
const DARK = ['#0d1117', '#e6edf3', '#9198a1', '#30363d', '#ff7b72', '#58a6ff', '#3fb950', '#d29922', '#bc8cff', '#9198a1']

/** Without custom properties, which not every renderer of SVG knows. @param {readonly string[]} colors */
function dress([page, ink, faint, grid, ...series]) {
  const lines = series.map((color, at) => `.l${at} { stroke: ${color} } .d${at} { fill: ${color} }`)
  return `.page { fill: ${page} } text { fill: ${ink} } .mark { stroke: ${ink} } .faint { fill: ${faint} } .grid { stroke: ${grid} }\n${lines.join(' ')}`
}

const STYLE = `<style>
text { font: 12px system-ui, sans-serif } polyline { fill: none } polyline, .mark { stroke-width: 2 }
${dress(LIGHT)}
@media (prefers-color-scheme: dark) {
${dress(DARK)}
}
</style>`

/** @typedef {{ name: string, points: readonly (readonly [x: number, y: number])[] }} Series */

/** @typedef {{ label: string, format?: (value: number) => string }} Axis `format` default: 1, 10, 1k … */

/**
 * Lines over logarithmic axes. Points at or below zero are left out.
 *
 * @param {{ title: string, x: Axis, y: Axis, series: readonly Series[] }} chart at most six series
 */
export function lineChart({ title, x, y, series }) {
  const shown = series.map((it) => ({ ...it, points: it.points.filter((point) => point[0] > 0 && point[1] > 0) }))
  const all = shown.flatMap((it) => it.points)
  const box = { left: 84, right: WIDTH - 24, top: 72, bottom: 310 }
  const across = createScale(
    all.map((point) => point[0]),
    box.left,
    box.right,
  )
  const up = createScale(
    all.map((point) => point[1]),
    box.bottom,
    box.top,
  )
  const format = (/** @type {Axis} */ axis, /** @type {number} */ value) => escape((axis.format ?? compact)(value))
  const parts = [
    ...up.ticks.map(
      (tick) =>
        grid(box.left, up.at(tick), box.right, up.at(tick)) +
        text(box.left - 8, up.at(tick) + 4, format(y, tick), 'end', 'faint'),
    ),
    ...across.ticks.map(
      (tick) =>
        grid(across.at(tick), box.top, across.at(tick), box.bottom) +
        text(across.at(tick), box.bottom + 18, format(x, tick), 'middle', 'faint'),
    ),
    text((box.left + box.right) / 2, box.bottom + 40, escape(x.label), 'middle'),
    text(16, 60, escape(y.label), 'start'),
    ...shown.map((it, at) =>
      drawLine(
        it.points.map((point) => [across.at(point[0]), up.at(point[1])]),
        at,
      ),
    ),
    drawLegend(shown.map(({ name }) => name)),
  ]
  return frame(title, box.bottom + 52, parts)
}

/**
 * A row of dots for each thing compared, on one logarithmic axis, with a tick where the goal is.
 *
 * @param {{ title: string, label: string, legend: readonly string[], rows: readonly { name: string, values: readonly (number | undefined)[], goal: number | undefined }[] }} chart
 * `values` in the order of `legend`; the first is drawn larger
 */
export function dotChart({ title, label, legend, rows }) {
  const box = { left: 250, right: WIDTH - 24, top: 64, bottom: 64 + rows.length * 26 }
  const values = rows.flatMap((row) => [...row.values, row.goal]).filter((it) => it !== undefined && it > 0)
  const across = createScale(/** @type {number[]} */ (values), box.left, box.right)
  const dots = rows.flatMap((row, at) => {
    const middle = box.top + at * 26 + 13
    const drawn = row.values.map((value, which) =>
      value && value > 0
        ? `<circle class="d${which}" cx="${fixed(across.at(value))}" cy="${middle}" r="${which === 0 ? 6 : 4}"><title>${escape(legend[which] ?? '')} ${value.toPrecision(3)}</title></circle>`
        : '',
    )
    const goal = row.goal
      ? `<line class="mark" x1="${fixed(across.at(row.goal))}" y1="${middle - 9}" x2="${fixed(across.at(row.goal))}" y2="${middle + 9}"/>`
      : ''
    return [
      grid(box.left, middle, box.right, middle),
      text(box.left - 8, middle + 4, escape(row.name), 'end'),
      goal,
      ...drawn.reverse(),
    ]
  })
  const ticks = across.ticks.map(
    (tick) =>
      grid(across.at(tick), box.top, across.at(tick), box.bottom) +
      text(across.at(tick), box.bottom + 16, compact(tick), 'middle', 'faint'),
  )
  return frame(title, box.bottom + 46, [
    ...ticks,
    ...dots,
    text((box.left + box.right) / 2, box.bottom + 36, escape(label), 'middle'),
    drawLegend(legend, 50),
  ])
}

/** Logarithmic, from a tick to a tick: powers of ten, and when those are few their doubles and fives too. @param {readonly number[]} values @param {number} from @param {number} to */
function createScale(values, from, to) {
  const [least, most] = values.length > 0 ? [Math.min(...values) * CLOSE, Math.max(...values) / CLOSE] : [1, 10]
  const steps = most / least > 30 ? [1] : [1, 2, 5]
  const decades = Array.from({ length: 31 }, (_, i) => 10 ** (i - 12))
  const all = decades.flatMap((decade) => steps.map((step) => step * decade))
  const first = all.findLastIndex((tick) => tick <= least)
  const last = Math.max(
    all.findIndex((tick) => tick >= most),
    first + 1,
  )
  const ticks = all.slice(first, last + 1)
  const [low, high] = [Math.log(ticks[0] ?? 1), Math.log(ticks.at(-1) ?? 10)]
  return { at: (/** @type {number} */ value) => from + ((Math.log(value) - low) / (high - low)) * (to - from), ticks }
}

/** A point may be so much past the last tick without another one for it. */
const CLOSE = 1.02

/** @param {readonly (readonly number[])[]} points @param {number} color */
function drawLine(points, color) {
  const path = points.map(([x = 0, y = 0]) => `${fixed(x)},${fixed(y)}`).join(' ')
  const dots = points.map(([x = 0, y = 0]) => `<circle class="d${color}" cx="${fixed(x)}" cy="${fixed(y)}" r="3"/>`).join('')
  return `<polyline class="l${color}" points="${path}"/>${dots}`
}

/** @param {readonly string[]} names @param {number} [y] */
function drawLegend(names, y = 40) {
  let x = 16
  return names
    .map((name, at) => {
      const entry = `<circle class="d${at}" cx="${x + 5}" cy="${y - 4}" r="5"/>${text(x + 15, y, escape(name), 'start')}`
      x += 34 + name.length * 6.4
      return entry
    })
    .join('')
}

/** @param {string} title @param {number} height @param {readonly string[]} parts */
function frame(title, height, parts) {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-label="${escape(title)}">`
  const page = `<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>`
  return `${[head, STYLE, page, text(16, 22, escape(title), 'start'), ...parts].join('\n')}\n</svg>\n`
}

/** @param {number} x1 @param {number} y1 @param {number} x2 @param {number} y2 */
function grid(x1, y1, x2, y2) {
  return `<line class="grid" x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}"/>`
}

/** @param {number} x @param {number} y @param {string} content @param {'start' | 'middle' | 'end'} anchor @param {string} [look] */
function text(x, y, content, anchor, look = '') {
  return `<text${look && ` class="${look}"`} x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}">${content}</text>`
}

/** One digit behind the point is less than a pixel. @param {number} value */
function fixed(value) {
  return String(Math.round(value * 10) / 10)
}

/** `1k`, `10M`, `0.1`. @param {number} value */
function compact(value) {
  const [scaled, unit] =
    value >= 1e9 ? [value / 1e9, 'G'] : value >= 1e6 ? [value / 1e6, 'M'] : value >= 1e3 ? [value / 1e3, 'k'] : [value, '']
  return `${Number(scaled.toPrecision(3))}${unit}`
}

/** @param {string} value */
function escape(value) {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')
}
