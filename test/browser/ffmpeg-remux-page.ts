/** What the page of the remuxer's test runs: the SDK and the packager, as an app would bundle them. */
import { Sealift } from '../../src/client/index.ts'
import type { RandomSource } from '../../src/client/index.ts'
import { webSuite } from '../../src/sealing/index.ts'
import { createRemuxer, filmMaker, originalMaker, REMUX_WAY } from '../../src/video/index.ts'

export interface RemuxPage {
  /** Sends the file that was chosen in the page as a film. */
  send(server: string, token: string): Promise<{ link: string; notes: string[] }>
}

function sourceOf(file: File): RandomSource {
  return {
    sizeBytes: file.size,
    read: async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer()),
  }
}

const page: RemuxPage = {
  async send(server, token) {
    const file = document.querySelector('input')?.files?.[0]
    if (!file) throw new Error('No file was chosen')
    const notes: string[] = []
    const film = filmMaker({
      packager: createRemuxer(),
      input: () => Promise.resolve({ source: sourceOf(file) }),
      instead: { original: originalMaker(webSuite), way: REMUX_WAY },
      onNote: note => notes.push(note),
      onPlain: reason => notes.push(reason),
    })
    await using sealift = new Sealift({ server, token })
    const { link } = await sealift.send([{ name: file.name, type: file.type, source: file, film }])
    return { link, notes }
  },
}

Object.assign(globalThis, { remux: page })
