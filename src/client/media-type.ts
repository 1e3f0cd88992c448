/** The type of a file by what is in it. For Node and browsers. */

/** Bytes from the beginning of a file that are enough to know its type. */
export const HEAD_BYTES = 4100

/** What `file-type` calls by names that others do not know. */
const USUAL_NAMES: Readonly<Record<string, string>> = {
  'audio/x-flac': 'audio/flac',
  'audio/x-m4a': 'audio/mp4',
  'video/matroska': 'video/x-matroska',
  'video/mp1s': 'video/mpeg',
  'video/mp2p': 'video/mpeg',
  'video/vnd.avi': 'video/x-msvideo',
  'video/x-m4v': 'video/mp4',
}

/** The name in use for a type that `file-type` or mime-types calls by another one. */
export function usualName(type: string): string {
  return USUAL_NAMES[type] ?? type
}

/**
 * The media type that the beginning of a file shows; `null` when it shows none, as text does.
 * @param head the first bytes, `HEAD_BYTES` or all there are
 */
export async function detectMediaType(head: Uint8Array): Promise<string | null> {
  const { fileTypeFromBuffer } = await import('file-type')
  const found = await fileTypeFromBuffer(head)
  const [essence = ''] = found?.mime.toLowerCase().split(';') ?? []
  // A transport stream is known by two bytes, both of which are the letter G.
  if (essence === '' || (isMoving(essence) && isText(head))) return null
  return essence === 'application/vnd.ms-asf' ? 'video/x-ms-asf' : usualName(essence)
}

/**
 * The type of a file that has a name too. What is seen or heard is known by its content; of other files the name says
 * more (a document is a zip archive by its content).
 * @param named what its name stands for; `null` when that is unknown
 */
export async function chooseMediaType(head: Uint8Array, named: string | null): Promise<string> {
  const found = await detectMediaType(head)
  if (found !== null && (named === null || /^(audio|image|video)\//.test(found))) return found
  // The ending .ts stands for transport streams, and for TypeScript.
  if (named !== null && isMoving(named) && isText(head)) return 'text/plain'
  return named ?? 'application/octet-stream'
}

const isMoving = (type: string): boolean => type.startsWith('video/')

/** UTF-8 without control characters. The last character may be cut. */
export function isText(head: Uint8Array): boolean {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
    // oxlint-disable-next-line no-control-regex -- these are what text does not have
    return !/[\0-\x08\x0e-\x1a\x1c-\x1f]/.test(text)
  } catch {
    return false
  }
}
