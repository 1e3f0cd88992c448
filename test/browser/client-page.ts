/** What the page of `client.test.ts` runs: the SDK as an app would bundle it, with `fetch` and WebCrypto. */
import { Sealift } from '../../src/client/index.ts'

export interface ClientPage {
  /** Sends a picture, a large file and a stream; gives the link. */
  send(server: string, token: string): Promise<{ link: string; reports: number }>
  /**
   * Opens a link and downloads everything; gives the SHA-256 of each item by name.
   * `server`: the page's own, when there is one.
   */
  receive(link: string, server?: string): Promise<Record<string, string>>
  /** Begins to download and aborts; gives the code of the error. */
  abort(link: string): Promise<string>
}

/** Bytes that Node can make too. */
function pattern(length: number, step: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at += 1) bytes[at] = (at * step + (at >> 8)) & 255
  return bytes
}

async function sha256(pieces: Uint8Array<ArrayBuffer>[]): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await new Blob(pieces).arrayBuffer())
  return Array.from(new Uint8Array(digest), byte => byte.toString(16).padStart(2, '0')).join('')
}

const page: ClientPage = {
  async send(server, token) {
    await using sealift = new Sealift({ server, token })
    let reports = 0
    const items = [
      { name: 'photo.jpg', type: 'image/jpeg', source: new File([pattern(300_000, 3)], 'photo.jpg') },
      { name: 'film.mp4', source: new Blob([pattern(10_000_000, 5)]) },
      { name: 'stream', source: new Blob([pattern(9_000_001, 7)]).stream() },
      { name: 'empty', source: new Uint8Array(0) },
    ]
    const { link } = await sealift.send(items, { onProgress: () => (reports += 1) })
    return { link, reports }
  },

  async receive(link, server) {
    await using sealift = new Sealift(server === undefined ? {} : { server })
    const parcel = await sealift.open(link)
    const found: Record<string, string> = {}
    for (const item of parcel.items) {
      const pieces: Uint8Array<ArrayBuffer>[] = []
      await parcel.download(
        item,
        new WritableStream<Uint8Array<ArrayBuffer>>({ write: piece => void pieces.push(piece) }),
      )
      found[item.name] = await sha256(pieces)
    }
    return found
  },

  async abort(link) {
    await using sealift = new Sealift()
    const parcel = await sealift.open(link)
    const stop = new AbortController()
    const [, film] = parcel.items
    if (!film) return 'no item'
    const sink = new WritableStream<Uint8Array<ArrayBuffer>>({ write: () => stop.abort() })
    return parcel.download(film, sink, { signal: stop.signal }).then(
      () => 'done',
      (error: { code?: string }) => error.code ?? 'no code',
    )
  },
}

Object.assign(globalThis, { client: page })
