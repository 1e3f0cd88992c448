import { CannotPackage, type FilmInput, type PackagedFilm, type PackageOptions, type Packager } from '../packager.ts'
import type { LadderPackager } from './ladder-packager.ts'

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
        ({ place, reason }) => `Sound track ${place + 1} was encoded as AAC: it ${reason}.`,
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
      throw new CannotPackage(`Its sound ${first?.reason ?? 'cannot be copied'}; encoding it failed: ${error.message}`)
    }
  }
}
