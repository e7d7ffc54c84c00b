"use strict"

// Draws the charts of a report with Observable Plot, from the JSON that stands in each figure.
;(() => {
  const LETTER_PX = 6.5
  const DRAW = { chart, strips, bars }

  const colour = (tone) => `var(--${tone})`
  const number = (value) => value.toLocaleString("en", { maximumSignificantDigits: 6 })
  const halo = { stroke: "var(--plot-background)", strokeWidth: 4, paintOrder: "stroke" }
  const tip = { fontSize: 12, lineHeight: 1.35, lineWidth: 28, textPadding: 9, stroke: "var(--quiet)", maxRadius: 60 }

  function chart({ x, y, series, rules }, width) {
    const points = series.flatMap((one) => one.points)
    const xs = [...points.map((one) => one.x), ...given(rules, "x")]
    const ys = points.flatMap((one) => [one.y, one.low ?? one.y, one.high ?? one.y]).concat(given(rules, "y"))
    const [across, up] = [axis("x", x, xs, width), axis("y", y, ys, width)]
    return Plot.plot({
      width,
      height: Math.max(260, Math.min(360, 0.66 * width)),
      marginLeft: 54,
      marginTop: 34 + 15 * given(rules, "x").length,
      marginBottom: 42,
      x: across.scale,
      y: up.scale,
      marks: [
        ...across.marks,
        ...up.marks,
        ...series.map(ranges),
        ...series.map(line),
        ...rules.filter((one) => one.y !== null).map(horizontal),
        ...rules.filter((one) => one.x !== null).map((one, row) => vertical(one, row, xs, x.scale, width - 90)),
        ...series.map(dots),
        Plot.tip(points.filter((one) => one.said), Plot.pointer({ ...tip, x: "x", y: "y", title: "said" })),
      ],
    })
  }

  function ranges({ points, tone }) {
    const drawn = points.filter((one) => one.low !== null && one.high !== null)
    const style = { stroke: colour(tone), strokeWidth: 5, strokeOpacity: 0.28, strokeLinecap: "round" }
    return Plot.ruleX(drawn, { x: "x", y1: "low", y2: "high", ...style })
  }

  function line({ points, form, tone }) {
    if (form === "dots") return null
    const dashes = form === "dashed" ? { strokeDasharray: "5 4", strokeWidth: 1.5 } : { strokeWidth: 2 }
    return Plot.line(points, { x: "x", y: "y", stroke: colour(tone), strokeLinejoin: "round", ...dashes })
  }

  function dots({ points, form, tone }) {
    if (form === "curve" || form === "dashed") return null
    // What is chosen lies on a dot of its line: a ring shows both.
    const ring = { r: 8, stroke: colour(tone), strokeWidth: 3 }
    const dot = { r: 4, fill: colour(tone), stroke: "var(--plot-background)" }
    return Plot.dot(points, { x: "x", y: "y", ...(tone === "chosen" ? ring : dot) })
  }

  function vertical({ x, label, tone }, row, xs, kind, width) {
    const along = kind === "log" ? Math.log : Number
    const [low, high] = [along(Math.min(...xs)), along(Math.max(...xs))]
    const share = high > low ? (along(x) - low) / (high - low) : 0.5
    const isLeft = (1 - share) * width > LETTER_PX * label.length + 5 // room for it at the right
    const place = { frameAnchor: isLeft ? "top-left" : "top-right", textAnchor: isLeft ? "start" : "end" }
    const words = { text: () => label, fill: colour(tone), fontWeight: 600, dx: isLeft ? 5 : -5, ...place, ...halo }
    return [
      Plot.ruleX([x], { stroke: colour(tone), strokeWidth: 1.5, insetTop: -15 * (row + 1) }),
      Plot.text([x], { x: (one) => one, dy: -15 * (row + 1), ...words }),
    ]
  }

  function horizontal({ y, label, tone }) {
    const words = { text: () => label, fill: colour(tone), fontWeight: 600, ...halo }
    return [
      Plot.ruleY([y], { stroke: colour(tone), strokeWidth: 1.5, strokeDasharray: "6 4" }),
      Plot.text([y], { y: (one) => one, frameAnchor: "left", textAnchor: "start", dx: 6, dy: -8, ...words }),
    ]
  }

  function strips({ x, samples }, width) {
    const values = samples.flatMap((one) => one.values.map((value) => ({ name: one.name, value })))
    const across = axis("x", x, values.map((one) => one.value), width)
    const { marginLeft, names } = named(samples, width)
    const place = { fill: "var(--chosen)", fontWeight: 600, dy: -26, ...halo }
    const marks = (name, textAnchor, dx) => [
      Plot.tickX(samples, { x: name, y: "name", stroke: "var(--chosen)", strokeWidth: 2.5, inset: -3 }),
      Plot.text(samples, { x: name, y: "name", text: () => name, textAnchor, dx, ...place }),
    ]
    return Plot.plot({
      width,
      height: 74 + 66 * samples.length,
      marginLeft,
      marginTop: 30,
      marginBottom: 42,
      x: across.scale,
      y: { domain: samples.map((one) => one.name), padding: 0.45, axis: null },
      marks: [
        ...across.marks,
        names,
        Plot.tickX(values, { x: "value", y: "name", stroke: "var(--measured)", strokeOpacity: 0.35 }),
        ...marks("p50", "end", -2),
        ...marks("p95", "start", 2),
        Plot.tip(samples, Plot.pointerY({ ...tip, x: "p50", y: "name", title: "said" })),
      ],
    })
  }

  function bars({ x, bars: drawn }, width) {
    const { marginLeft, names } = named(drawn, width)
    // Room for the text after the longest bar.
    const across = axis("x", x, drawn.map((one) => 1.2 * one.value), width)
    return Plot.plot({
      width,
      height: 62 + 38 * drawn.length,
      marginLeft,
      marginRight: 24,
      marginBottom: 42,
      x: across.scale,
      y: { domain: drawn.map((one) => one.name), padding: 0.3, axis: null },
      marks: [
        ...across.marks,
        names,
        Plot.barX(drawn, { x: "value", y: "name", fill: (one) => colour(one.tone), rx: 3 }),
        Plot.text(drawn, { x: "value", y: "name", text: "shown", textAnchor: "start", dx: 6 }),
        Plot.tip(drawn, Plot.pointerY({ ...tip, x: "value", y: "name", title: (one) => `${one.name}\n${one.shown}` })),
      ],
    })
  }

  // The domain of a scale, and the marks of its axis. A label for each tick is given as text,
  // since a logarithmic scale would leave some out.
  function axis(name, { label, scale: type, ticks, most }, values, width) {
    const [low, high] = [Math.min(...values), Math.max(...values)]
    const isUpright = name === "y"
    const room = isUpright ? 1.15 : 1.1
    const end = most ?? ((isUpright ? room : 1.03) * high || 1)
    const domain = type === "log" ? [low / room, high * room] : [0, end]
    const count = isUpright ? 6 : Math.min(8, width / 100)
    const at = ticks.length ? ticks : type === "log" ? decades(domain, count) : d3.ticks(...domain, count)
    const style = { label, labelArrow: "none", tickSize: 4, text: (value) => number(value) }
    const marks = isUpright
      ? [Plot.gridY(at), Plot.axisY(at, style)]
      : [Plot.gridX(at), Plot.axisX(at, { ...style, labelAnchor: "center", labelOffset: 38 })]
    return { scale: { type, domain }, marks }
  }

  // 1, 2 and 5 of each decade; over many decades the 1 alone; within one decade round numbers.
  function decades([low, high], count) {
    const steps = high / low > 5000 ? [1] : [1, 2, 5]
    const found = []
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
      found.push(...steps.map((step) => step * 10 ** power))
    }
    const within = found.filter((value) => value >= low && value <= high)
    return within.length < 3 ? d3.ticks(low, high, count) : within
  }

  // Room for the names of rows, which break into lines where it is narrow.
  function named(rows, width) {
    const longest = Math.max(...rows.map((one) => one.name.length))
    const marginLeft = Math.min(0.42 * width, 16 + LETTER_PX * longest)
    return { marginLeft, names: Plot.axisY({ label: null, tickSize: 0, lineWidth: (marginLeft - 12) / 12 }) }
  }

  const given = (rules, axis) => rules.map((one) => one[axis]).filter((one) => one !== null)

  function draw(figure) {
    const place = figure.querySelector(".drawn")
    const width = Math.floor(place.clientWidth)
    if (!width || width === Number(place.dataset.width)) return
    place.dataset.width = width
    const svg = DRAW[figure.dataset.kind](JSON.parse(figure.querySelector("script").textContent), width)
    svg.setAttribute("role", "img")
    svg.setAttribute("aria-label", figure.querySelector("figcaption").textContent)
    place.replaceChildren(svg)
  }

  const watcher = new ResizeObserver((entries) => entries.forEach((one) => draw(one.target)))
  for (const figure of document.querySelectorAll("figure[data-kind]")) {
    draw(figure)
    watcher.observe(figure)
  }
})()
