// Joins the parts: what comes in becomes items, items are embedded, and what is known is drawn.

import { redraw } from './dom.js'
import { Embedding } from './embedding.js'
import { exampleItems } from './example.js'
import { drawFacts } from './facts.js'
import { listen } from './intake.js'
import { Items } from './items.js'
import { drawMatrix } from './matrix.js'
import { Screen } from './screen.js'
import { getFacts, patiently, Refusal } from './service.js'
import { drawSheet } from './sheet.js'
import { drawTray } from './tray.js'
import { countText } from './words.js'

const page = Object.fromEntries([...document.querySelectorAll('[id]')].map((element) => [element.id, element]))
const items = new Items()
const screen = new Screen(page, items, { again: () => start(), other: () => readFacts() })
const embedding = new Embedding(items, screen)
let asked = false

/** Reads the facts, by and by if the model is still loading, then embeds what waits. */
async function start() {
  try {
    await readFacts()
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal
    screen.refused(refusal)
    return
  }
  items.again(items.list.filter((item) => item.state === 'failed' && item.error.retryable))
  await embedding.run()
}

async function readFacts() {
  const { models, limits } = await patiently(getFacts, (refusal) => screen.pause(refusal))
  embedding.limits = limits
  items.most = Math.min(items.most, limits.max_items)
  if (!models.some((model) => model.name === embedding.model)) {
    // Named, because the service's default may be a model that could not be loaded.
    embedding.model = models.length > 1 ? models[0].name : null
  }
  showModels(models)
}

function showModels(models) {
  drawFacts(page.facts, models, embedding.model, (name) => {
    Object.assign(embedding, { model: name, fingerprint: null })
    showModels(models)
    items.again()
    embedding.run()
  })
}

function add(given) {
  const refused = items.add(given)
  page.notice.textContent = refused > 0 ? `The page holds ${countText(items.most, 'item')}; ${refused} found no room.` : ''
  embedding.run()
}

/** Draws once a frame, however many changes there were. */
function drawSoon() {
  if (!asked) requestAnimationFrame(draw)
  asked = true
}

/** Focuses what the next frame shows, since the button that was pressed is gone then. */
function focusSoon(element) {
  requestAnimationFrame(() => element.focus())
}

function draw() {
  asked = false
  const run = () => embedding.run()
  drawTray(page, items, run)
  drawSheet(page.sheet, items)
  drawMatrix(page.matrix, items)
  screen.counted()
  page.empty.hidden = items.list.length > 0
  if (items.list.length === 0) redraw(page.timings)
  page.timings.hidden = page.timings.childElementCount === 0
}

items.addEventListener('change', drawSoon)
page.clear.addEventListener('click', () => {
  items.clear()
  screen.rested()
  focusSoon(page.example)
})
page.example.addEventListener('click', async () => {
  add(await exampleItems())
  items.ask(items.texts[0])
  focusSoon(page.sheet)
})
listen(page, add)
start()
