// The example: screens like those that the built-in model knows, and texts for three of them.

import { BOARD, dark, encoded, light, PHONE } from './drawing.js'

const TEXTS = ['dark login screen', 'pricing cards', 'dashboard with a bar chart']
const RED = '#d62028'
const ORANGE = '#f57c10'
const YELLOW = '#f0c80a'
const GREEN = '#269e3c'
const TEAL = '#0ea4a8'
const BLUE = '#245ce8'
const PURPLE = '#8030cc'
const PINK = '#f048a0'

// File name: size, colours, and what is drawn.
const SCREENS = {
  'login.png': [BOARD, dark(GREEN), login],
  'pricing.png': [BOARD, light(ORANGE), pricing],
  'dashboard.png': [BOARD, light(BLUE), dashboard],
  'calendar.png': [BOARD, light(PINK), calendar],
  'chat.png': [PHONE, light(GREEN), chat],
  'player.png': [PHONE, dark(TEAL), player],
  'settings.png': [BOARD, light(PURPLE), settings],
  'sign-in.png': [PHONE, light(RED), login],
  'statistics.png': [BOARD, dark(YELLOW), dashboard],
}

/** Returns the files of the drawn screens and the texts, as a user would give them. */
export async function exampleItems() {
  const files = Object.entries(SCREENS).map(([name, screen]) => encoded(name, ...screen))
  return [...(await Promise.all(files)), ...TEXTS.map((text) => ({ text }))]
}

function login(draw, { width, height }) {
  const side = Math.min(width * 0.8, 250)
  const left = (width - side) / 2
  const top = height / 2 - 130
  draw.box(left - 16, top - 12, side + 32, 284, 'surface', 12)
  draw.disc(width / 2, top + 34, 26, 'accent')
  draw.words('Welcome back', width / 2, top + 86, 20, 'text', 'center')
  for (const [row, label] of ['Email', 'Password'].entries()) {
    draw.frame(left, top + 112 + 50 * row, side, 38)
    draw.words(label, left + 12, top + 136 + 50 * row, 13, 'muted')
  }
  draw.box(left, top + 212, side, 40, 'accent', 8)
  draw.words('Sign in', width / 2, top + 238, 15, 'onAccent', 'center')
}

function pricing(draw, { width, height }) {
  draw.words('Plans', width / 2, 40, 22, 'text', 'center')
  const side = (width - 80) / 3
  for (const [at, [name, price]] of [['Free', '$0'], ['Team', '$49'], ['Max', '$99']].entries()) {
    const x = 24 + at * (side + 16)
    const chosen = at === 1
    draw.box(x, 60, side, height - 84, chosen ? 'accent' : 'surface', 10)
    draw.words(name, x + side / 2, 92, 15, chosen ? 'onAccent' : 'muted', 'center')
    draw.words(price, x + side / 2, 136, 34, chosen ? 'onAccent' : 'text', 'center')
    for (let row = 0; row < 4; row += 1) draw.box(x + 24, 164 + 24 * row, side - 48, 7, chosen ? 'onAccent' : 'line', 3)
    draw.box(x + 14, height - 70, side - 28, 34, chosen ? 'onAccent' : 'accent', 7)
  }
}

function dashboard(draw, { width, height }) {
  draw.box(0, 0, width, 40, 'accent')
  draw.words('Overview', width / 2, 26, 16, 'onAccent', 'center')
  const side = (width - 64) / 3
  for (const [at, count] of ['873', '248', '617'].entries()) {
    draw.box(16 + at * (side + 16), 54, side, 66, 'surface', 8)
    draw.words(count, 32 + at * (side + 16), 96, 24, 'text')
  }
  draw.box(16, 132, width - 32, height - 148, 'surface', 8)
  const bars = [0.46, 0.38, 0.52, 0.44, 0.78, 0.62, 0.9, 0.71]
  const step = (width - 64) / bars.length
  for (const [at, full] of bars.entries()) {
    const tall = full * (height - 180)
    draw.box(32 + at * step, height - 24 - tall, step - 7, tall, 'accent', 3)
  }
}

function calendar(draw, { width, height }) {
  draw.box(0, 0, width, 44, 'accent')
  draw.words('August', 20, 29, 18, 'onAccent')
  const [wide, tall] = [width / 7, (height - 44) / 5]
  for (let day = 0; day < 35; day += 1) {
    const [x, y] = [(day % 7) * wide, 44 + Math.floor(day / 7) * tall]
    const busy = [3, 9, 10, 17, 22, 26, 31].includes(day)
    draw.box(x + 1, y + 1, wide - 2, tall - 2, busy ? 'accent' : 'surface')
    draw.words(String(day + 1), x + wide / 2, y + tall / 2 + 5, 13, busy ? 'onAccent' : 'text', 'center')
  }
}

function chat(draw, { width, height }) {
  draw.words('Grace Hopper', width / 2, 42, 18, 'text', 'center')
  for (const [at, wide] of [0.5, 0.62, 0.44, 0.66, 0.52, 0.4].entries()) {
    const mine = at % 2 === 1
    const x = mine ? width * (0.93 - wide) : width * 0.07
    draw.box(x, 64 + 56 * at, width * wide, 42, mine ? 'accent' : 'line', 18)
    draw.words('Sounds good to me'.slice(0, Math.floor(wide * 26)), x + 14, 90 + 56 * at, 13, mine ? 'onAccent' : 'text')
  }
  draw.frame(14, height - 56, width - 70, 40)
  draw.disc(width - 32, height - 36, 18, 'accent')
}

function player(draw, { width, height }) {
  draw.box(width * 0.14, 50, width * 0.72, width * 0.72, 'line', 8)
  draw.disc(width * 0.62, 50 + width * 0.26, 26, 'muted')
  draw.words('See you at nine', width / 2, height - 140, 18, 'text', 'center')
  draw.box(width * 0.14, height - 112, width * 0.72, 5, 'line', 2)
  draw.box(width * 0.14, height - 112, width * 0.34, 5, 'accent', 2)
  draw.disc(width / 2, height - 58, 28, 'accent')
  draw.triangle(width / 2 - 7, height - 58, 22, 'onAccent')
  draw.triangle(width * 0.74, height - 58, 16, 'text')
  draw.triangle(width * 0.26, height - 58, -16, 'text')
}

function settings(draw, { width, height }) {
  draw.box(0, 0, width, 44, 'accent')
  draw.words('Preferences', width / 2, 28, 17, 'onAccent', 'center')
  const names = ['Bluetooth', 'Sharing', 'Privacy', 'Sounds', 'Backups', 'Updates']
  const tall = (height - 60) / names.length
  for (const [at, name] of names.entries()) {
    const y = 52 + at * tall
    draw.box(width * 0.16, y, width * 0.68, tall - 6, 'surface', 6)
    draw.words(name, width * 0.2, y + tall / 2 + 2, 14, 'text')
    const on = at % 3 !== 0
    draw.box(width * 0.74, y + tall / 2 - 12, 36, 18, on ? 'accent' : 'line', 9)
    draw.disc(width * 0.74 + (on ? 27 : 9), y + tall / 2 - 3, 7, 'surface')
  }
}
