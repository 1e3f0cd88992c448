import type { FileSource } from '../../client/node/files/file-source.ts'

const HEAD_BYTES = 16

/**
 * The demuxer for a picture, told by its first bytes and never by its name: the one that goes by names takes a `%d` in
 * one for a list of files.
 * @returns `null` when it is none of the pictures that are shown
 */
export async function imageFormat(source: FileSource): Promise<string | null> {
  await using file = await source.openFile()
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
  const head = buffer.subarray(0, bytesRead).toString('latin1')
  return SIGNATURES.find(([, at, signature]) => head.startsWith(signature, at))?.[0] ?? null
}

/** Demuxer, offset, bytes. */
const SIGNATURES = [
  ['jpeg_pipe', 0, '\xff\xd8\xff'],
  ['png_pipe', 0, '\x89PNG\r\n\x1a\n'],
  ['gif', 0, 'GIF87a'],
  ['gif', 0, 'GIF89a'],
  ['webp_pipe', 8, 'WEBP'],
  ['bmp_pipe', 0, 'BM'],
] as const
