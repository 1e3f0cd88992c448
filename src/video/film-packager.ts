/** Chooses how a film of this machine is packaged, by its container: copied where that is possible, else encoded. */
import { detectMediaType, HEAD_BYTES } from '../client/media-type.ts'
import { CannotPackage } from './packager.ts'
import type { FilmInput, PackageOptions, Packager } from './packager.ts'

export interface FilmPackagerOptions {
  /** The packager that copies: `createRemuxThread()`. */
  readonly copier: Packager
  /** The packager that encodes. Called when a film needs it; `null`: there is none on this machine. */
  readonly encoder: (signal: AbortSignal) => Promise<Packager | null>
  /** Told before a film is encoded, which takes longer than copying. */
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

/** Packages films of all containers: those that cannot be copied out of are encoded. */
export function createFilmPackager({ copier, encoder, onEncode }: FilmPackagerOptions): Packager {
  return {
    async package(input, how) {
      const container = await containerToEncode(input, how)
      if (container === undefined) return await copier.package(input, how)
      const encoding = await encoder(how.signal)
      if (!encoding) throw new CannotPackage(`${container} are played only when they are encoded, which takes ffmpeg`)
      onEncode?.(container)
      // Nothing of the file is in what was encoded.
      return { ...(await encoding.package(input, how)), keepsSamples: false }
    },
  }
}

async function containerToEncode({ source }: FilmInput, { signal }: PackageOptions): Promise<string | undefined> {
  const head = await source.read(0, Math.min(HEAD_BYTES, source.sizeBytes), signal)
  return ENCODED[(await detectMediaType(head)) ?? '']
}
