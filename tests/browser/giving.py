"""What a user gives the page with the mouse or the clipboard, which no key or click can do."""

import base64

# A transfer of files ([name, type, base64]) and texts ([type, text]), as a browser makes it.
TRANSFER = """([files, texts]) => {
  const transfer = new DataTransfer()
  for (const [name, type, data] of files) {
    const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0))
    transfer.items.add(new File([bytes], name, { type, lastModified: 0 }))
  }
  for (const [type, text] of texts) transfer.setData(type, text)
  return transfer
}"""
PASTE = """(transfer) => document.activeElement.dispatchEvent(
  new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }))"""


def transfer(page, files=None, texts=()):
    """files: data by name."""
    listed = [
        [name, "image/png", base64.b64encode(data).decode()] for name, data in (files or {}).items()
    ]
    return page.evaluate_handle(TRANSFER, [listed, list(texts)])


def drop(page, files=None, texts=(), onto="#drop"):
    page.dispatch_event(onto, "drop", {"dataTransfer": transfer(page, files, texts)})


def paste(page, files=None, texts=()):
    page.evaluate(PASTE, transfer(page, files, texts))
