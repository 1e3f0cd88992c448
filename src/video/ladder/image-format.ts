import { open } from 'node:fs/promises'

const HEAD_BYTES = 16

/**
 * The demuxer for a picture, told by its first bytes and never by its name: the one that goes by names takes a `%d` in
 * one for a list of files.
 * @returns `null` when it is none of the pictures that are shown
 */
export async function imageFormat(path: string): Promise<string | null> {
  await using file = await open(path)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0)
  const head = buffer.subarray(0, bytesRead).toString('latin1')
  return SIGNATURES.find(([, pattern]) => pattern.test(head))?.[0] ?? null
}

const SIGNATURES = [
  ['jpeg_pipe', /^\xff\xd8\xff/],
  ['png_pipe', /^\x89PNG\r\n\x1a\n/],
  ['gif', /^GIF8[79]a/],
  ['webp_pipe', /^RIFF[^]{4}WEBP/],
  ['bmp_pipe', /^BM[^]{12}/],
] as const
