// Draws on a canvas, in the colours of one screen.

import { h } from './dom.js'

export const BOARD = { width: 520, height: 360 }
export const PHONE = { width: 260, height: 480 }

/** Colours of a light screen. accent: a CSS colour. */
export function light(accent) {
  return { ground: '#eeeeef', surface: '#ffffff', line: '#d4d4d9', muted: '#85858e', text: '#1b1b20', accent, onAccent: '#ffffff' }
}

/** Colours of a dark screen. */
export function dark(accent) {
  return { ground: '#1b1d1f', surface: '#26292c', line: '#43474c', muted: '#8f949b', text: '#f0f0f2', accent, onAccent: '#ffffff' }
}

/** Returns a PNG file of a screen. drawn(draw, size): draws it. */
export async function encoded(name, size, colours, drawn) {
  const canvas = h('canvas', size)
  const draw = new Drawing(canvas.getContext('2d'), colours)
  draw.box(0, 0, size.width, size.height, 'ground')
  drawn(draw, size)
  const blob = await new Promise((done) => canvas.toBlob(done))
  return new File([blob], name, { type: 'image/png', lastModified: 0 })
}

/** Shapes in px; a colour is a name of `colours`. */
class Drawing {
  constructor(context, colours) {
    Object.assign(this, { context, colours })
  }

  box(x, y, width, height, colour, radius = 0) {
    this.#path(colour, () => this.context.roundRect(x, y, width, height, radius))
  }

  frame(x, y, width, height) {
    this.box(x, y, width, height, 'muted', 7)
    this.box(x + 1.5, y + 1.5, width - 3, height - 3, 'surface', 6)
  }

  disc(x, y, radius, colour) {
    this.#path(colour, () => this.context.arc(x, y, radius, 0, 2 * Math.PI))
  }

  /** A triangle that points right, or left with a negative size. */
  triangle(x, y, size, colour) {
    this.#path(colour, () => {
      this.context.moveTo(x, y - Math.abs(size) / 2)
      this.context.lineTo(x + size, y)
      this.context.lineTo(x, y + Math.abs(size) / 2)
    })
  }

  words(text, x, y, size, colour, align = 'start') {
    Object.assign(this.context, { font: `600 ${size}px sans-serif`, textAlign: align, fillStyle: this.colours[colour] })
    this.context.fillText(text, x, y)
  }

  #path(colour, trace) {
    this.context.beginPath()
    trace()
    this.context.fillStyle = this.colours[colour]
    this.context.fill()
  }
}
