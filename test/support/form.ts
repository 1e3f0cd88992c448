/** Multipart forms by hand, so that they can also be malformed. */
export interface FormPart {
  readonly name?: string
  readonly fileName?: string
  readonly bytes: Uint8Array | string
  /** Lines to stand instead of the usual headers. */
  readonly headers?: readonly string[]
}

export const BOUNDARY = 'sealift-test-boundary'

export const FORM = { 'content-type': `multipart/form-data; boundary=${BOUNDARY}` }

export function formBody(parts: readonly FormPart[], { end = true, boundary = BOUNDARY } = {}): Buffer {
  const pieces = parts.flatMap(({ name = 'file', fileName, bytes, headers }) => [
    Buffer.from(`--${boundary}\r\n${(headers ?? usualHeaders(name, fileName)).join('\r\n')}\r\n\r\n`),
    Buffer.from(bytes as Uint8Array),
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...pieces, Buffer.from(end ? `--${boundary}--\r\n` : '')])
}

function usualHeaders(name: string, fileName: string | undefined): string[] {
  const file = fileName === undefined ? '' : `; filename="${fileName}"`
  return [`Content-Disposition: form-data; name="${name}"${file}`, 'Content-Type: application/octet-stream']
}
