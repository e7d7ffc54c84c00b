// Ways in: drop, file dialog, clipboard, and the form. All end in `add`.

const URL_LINE = /^(https?:\/\/|s3:\/\/|data:image\/)/i
const isField = (target) => target instanceof HTMLTextAreaElement || target instanceof HTMLInputElement

/** Listens to the page. add(given): files, {url} or {text}. */
export function listen(page, add) {
  const { drop, files, composer, lines } = page
  drop.addEventListener('click', () => files.click())
  files.addEventListener('change', () => {
    add([...files.files])
    files.value = ''
  })
  composer.addEventListener('submit', (event) => {
    event.preventDefault()
    add(itemsOf(lines.value))
    lines.value = ''
    lines.focus()
  })
  lines.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
    event.preventDefault()
    composer.requestSubmit()
  })
  document.addEventListener('paste', (event) => paste(event, add))
  listenToDrags(drop, add)
}

/** Returns an item for each line: a URL, or a text. */
export function itemsOf(text) {
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter(Boolean)
  return lines.map((line) => (URL_LINE.test(line) ? { url: line } : { text: line }))
}

function paste(event, add) {
  const files = [...event.clipboardData.files]
  const text = event.clipboardData.getData('text/plain')
  // Words that come with a picture of them, as from a spreadsheet, are words where one types.
  if (isField(event.target) && (files.length === 0 || text)) return
  const given = files.length > 0 ? files : itemsOf(text)
  if (given.length === 0) return
  event.preventDefault()
  add(given)
}

/** The whole page takes drops, so that none opens a file in place of the page. */
function listenToDrags(drop, add) {
  const over = (is) => drop.classList.toggle('over', is)
  document.addEventListener('dragover', (event) => {
    if (isField(event.target) && !event.dataTransfer.types.includes('Files')) return
    event.preventDefault()
    event.dataTransfer.dropEffect = 'copy'
    over(true)
  })
  document.addEventListener('dragleave', (event) => event.relatedTarget === null && over(false))
  document.addEventListener('drop', (event) => {
    over(false)
    if (isField(event.target) && event.dataTransfer.files.length === 0) return
    event.preventDefault()
    add(dropped(event.dataTransfer))
  })
}

function dropped(data) {
  if (data.files.length > 0) return [...data.files]
  const uris = data.getData('text/uri-list').split(/\r?\n/).filter((line) => line && !line.startsWith('#'))
  return itemsOf(uris.join('\n') || data.getData('text/plain'))
}
