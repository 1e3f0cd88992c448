/** Packages a film of this machine: what can be copied is copied, the rest is encoded. */
import { detectMediaType, HEAD_BYTES } from '../client/media-type.ts'
import type { LadderPackager } from './ladder/ladder-packager.ts'
import { CannotPackage } from './packager.ts'
import type { FilmInput, PackagedFilm, PackageOptions, Packager } from './packager.ts'

export interface FilmPackagerOptions {
  /** The packager that copies: `createRemuxThread()`. */
  readonly copier: Packager
  /** Called when something has to be encoded; `null`: this machine has no ffmpeg. */
  readonly findLadder: () => Promise<Pick<LadderPackager, 'package' | 'encodeAudio'> | null>
  /** Called before an entire film is encoded, which takes longer than copying. */
  readonly onEncode?: (container: string) => void
}

/** Containers that cannot be copied out of, by their media types. */
const ENCODED: Readonly<Record<string, string>> = {
  'video/mpeg': 'MPEG program streams',
  'video/ogg': 'Ogg films',
  'video/x-flv': 'Flash films (FLV)',
  'video/x-ms-asf': 'Windows Media films (ASF)',
  'video/x-ms-wmv': 'Windows Media films (ASF)',
  'video/x-msvideo': 'AVI films',
}

/** Packages films of all containers, and looks for ffmpeg only where nothing else reads them. */
export function createFilmPackager({ copier, findLadder, onEncode }: FilmPackagerOptions): Packager {
  const copy = new CopyPackager({
    copy: copier,
    ladder: {
      encodeAudio: async (...given) => {
        const ladder = await findLadder()
        if (!ladder) throw new CannotPackage('there is no ffmpeg on this machine')
        return await ladder.encodeAudio(...given)
      },
    },
  })
  return {
    async package(input, how) {
      const container = await containerToEncode(input, how)
      if (container === undefined) return await copy.package(input, how)
      const ladder = await findLadder()
      if (!ladder) throw new CannotPackage(`${container} play only when they are encoded, which takes ffmpeg`)
      onEncode?.(container)
      // An encoded film holds no bytes of the file.
      return { ...(await ladder.package(input, how)), keepsSamples: false }
    },
  }
}

async function containerToEncode({ source }: FilmInput, { signal }: PackageOptions): Promise<string | undefined> {
  const head = await source.read(0, Math.min(HEAD_BYTES, source.sizeBytes), signal)
  return ENCODED[(await detectMediaType(head)) ?? '']
}

export interface CopyPackagerOptions {
  /** Copies, and leaves audio that cannot be copied: see `leavesAudio` of `PackageOptions`. */
  readonly copy: Packager
  readonly ladder: Pick<LadderPackager, 'encodeAudio'>
}

/** Copies what can be copied, and encodes with ffmpeg the audio that cannot. */
export class CopyPackager implements Packager {
  readonly #options: CopyPackagerOptions

  constructor(options: CopyPackagerOptions) {
    this.#options = options
  }

  async package(input: FilmInput, options: PackageOptions): Promise<PackagedFilm> {
    const { copy, ladder } = this.#options
    const stop = new AbortController()
    const signal = AbortSignal.any([options.signal, stop.signal])
    const { uncopied, ...film } = await copy.package(input, { ...options, signal, leavesAudio: true })
    if (!uncopied) return film
    try {
      const encoded = await ladder.encodeAudio(input, uncopied, { signal })
      const notes = uncopied.audio.map(
        ({ position, reason }) => `Audio track ${position + 1} was encoded as AAC: it ${reason}.`,
      )
      const audio = [...film.audio, ...encoded].toSorted(
        (a, b) => Number(b.isDefault ?? false) - Number(a.isDefault ?? false),
      )
      return { ...film, audio, notes: [...film.notes, ...notes] }
    } catch (error) {
      stop.abort(error)
      await Promise.allSettled([...film.renditions, ...film.audio].map(({ bytes }) => bytes.cancel(error)))
      const [first] = uncopied.audio
      if (!(error instanceof CannotPackage)) throw error
      throw new CannotPackage(`Its audio ${first?.reason ?? 'cannot be copied'}; encoding it failed: ${error.message}`)
    }
  }
}
