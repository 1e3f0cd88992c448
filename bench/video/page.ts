/** What the page of the benchmark runs: the SDK and the player as an app has them, and the browser's own player. */
import { Sealift } from '../../src/client/index.ts'
import { attach } from '../../src/video/player/index.ts'

/** Milliseconds. */
export interface FirstFrame {
  /** From `attach`, or from setting `src`, to the first picture. */
  readonly fromAttach: number
  /** From having no more than an address, with no connection open. */
  readonly fromLink: number
}

const element = document.createElement('video')
element.muted = true
element.autoplay = true
element.width = 1280
element.height = 720
document.body.append(element)

const PATIENCE_MS = 30_000
/** A busy machine may miss the first pictures of a moment. */
const MISSED_SECONDS = 5

/** Resolves with the time of the first picture of moment `seconds` or soon after. */
function frameOf(seconds: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const watch = (): void => {
      element.requestVideoFrameCallback((now, { mediaTime }) => {
        if (mediaTime >= seconds - 0.1 && mediaTime < seconds + MISSED_SECONDS) resolve(now)
        else watch()
      })
    }
    element.addEventListener('error', () => reject(new Error(element.error?.message)), { once: true })
    setTimeout(
      () => reject(new Error(`No picture of second ${seconds} after ${PATIENCE_MS} ms: ${state()}`)),
      PATIENCE_MS,
    )
    watch()
  })
}

function state(): string {
  const { currentTime, readyState, seeking, buffered } = element
  const ranges = Array.from({ length: buffered.length }, (_, at) => [buffered.start(at), buffered.end(at)])
  return JSON.stringify({ currentTime, readyState, seeking, ranges })
}

const bench = {
  async sealed(link: string): Promise<FirstFrame> {
    const begun = performance.now()
    const sealift = new Sealift()
    const parcel = await sealift.open(link)
    const [item] = parcel.items
    if (!item) throw new Error('The parcel is empty')
    const attachedAt = performance.now()
    const player = attach(element, parcel, item)
    const failed = new Promise<never>((_, reject) => void player.on('error', reject))
    const shown = await Promise.race([frameOf(0), failed])
    return { fromAttach: shown - attachedAt, fromLink: shown - begun }
  },
  /** A connection to the same server is open before `src` is set, as it is when a parcel was opened. */
  async plain(url: string): Promise<FirstFrame> {
    const begun = performance.now()
    await fetch(new URL('/warm', url), { mode: 'no-cors', credentials: 'include' })
    const attachedAt = performance.now()
    element.src = url
    const shown = await frameOf(0)
    return { fromAttach: shown - attachedAt, fromLink: shown - begun }
  },
  /** @returns milliseconds from the wish to a picture of that moment */
  async seek(seconds: number): Promise<number> {
    const begun = performance.now()
    element.currentTime = seconds
    return (await frameOf(seconds)) - begun
  },
}

Object.assign(globalThis, { bench })
