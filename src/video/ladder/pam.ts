import { CannotPackage } from '../packager.ts'

export interface RgbaPicture {
  /** Pixels. */
  readonly width: number
  readonly height: number
  readonly rgba: Uint8Array<ArrayBuffer>
}

const END_OF_HEAD = 'ENDHDR\n'
const HEAD_BYTES = 512

/**
 * A portable arbitrary map of four channels: lines of a name and a value, then pixels.
 * @throws CannotPackage when it is anything else
 */
export function readPam(bytes: Uint8Array<ArrayBuffer>): RgbaPicture {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, HEAD_BYTES))
  const valueOf = (name: string): number => Number(new RegExp(`^${name} (\\d{1,6})$`, 'm').exec(head)?.[1] ?? 0)
  const [width, height] = [valueOf('WIDTH'), valueOf('HEIGHT')]
  const rgba = bytes.subarray(head.indexOf(END_OF_HEAD) + END_OF_HEAD.length)
  if (width < 1 || height < 1 || valueOf('DEPTH') !== 4 || rgba.byteLength !== width * height * 4)
    throw new CannotPackage('ffmpeg drew a preview that cannot be read')
  return { width, height, rgba }
}
