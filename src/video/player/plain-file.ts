import type { Parcel, ParcelItem } from '../../client/index.ts'
import type { ConnectionStatus } from './connection-status.ts'
import { PlayerError } from './player.ts'

export interface PlainFileOptions {
  readonly element: HTMLMediaElement
  readonly connection: ConnectionStatus
  readonly signal: AbortSignal
  readonly maxBytes: number
}

/**
 * Fetches all of a file that is no film, for the element to play by itself.
 * @returns an object URL, to be revoked by the caller
 * @throws PlayerError `not_playable` with the reason; what `Parcel.stream` throws
 */
export async function plainFileUrl(parcel: Parcel, item: ParcelItem, options: PlainFileOptions): Promise<string> {
  const { element, connection, signal, maxBytes } = options
  const type = /^(?:audio|video)\/[\w.+-]+/.exec(item.type)?.[0]
  if (type === undefined) throw new PlayerError('not_playable', 'This is neither video nor audio')
  if (element.canPlayType(item.type) === '') {
    throw new PlayerError('not_playable', `This browser cannot play files of this type (${type})`)
  }
  if ((item.bytes ?? 0) > maxBytes) throw tooLarge()
  const blob = await connection.run(signal, async inner => {
    const stream = parcel.stream(item, { signal: inner.signal }).pipeThrough(atMost(maxBytes))
    return new Response(stream).blob()
  })
  return URL.createObjectURL(new Blob([blob], { type }))
}

function atMost(maxBytes: number): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let bytes = 0
  return new TransformStream({
    transform(piece, controller) {
      bytes += piece.byteLength
      if (bytes > maxBytes) controller.error(tooLarge())
      else controller.enqueue(piece)
    },
  })
}

function tooLarge(): PlayerError {
  return new PlayerError(
    'not_playable',
    'This was sent as a plain file, which must be fetched completely to be played, and it is too large: download it',
  )
}
