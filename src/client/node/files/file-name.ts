/** Names of files as the system has them: bytes, which need not be UTF-8. */
import { sep } from 'node:path'

/** The text where there is one, the bytes otherwise. Plain data. */
export type FileName = string | Uint8Array

/** Well-formed UTF-8, sequence by sequence (Unicode, table 3-7), each byte as a character; alone: what belongs to none. */
const SEQUENCES =
  /[\0-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2}|([\x80-\xff])/g

export function fileNameOf(bytes: Uint8Array): FileName {
  const text = Buffer.from(bytes).toString('utf8')
  return Buffer.from(text).equals(bytes) ? text : new Uint8Array(bytes)
}

/** A name that people can read: bytes that are no UTF-8 as `%E9`. */
export function readableName(name: FileName): string {
  if (typeof name === 'string') return name
  const readable = Buffer.from(name)
    .toString('latin1')
    .replaceAll(SEQUENCES, (sequence, alone?: string) => (alone === undefined ? sequence : percent(alone)))
  return Buffer.from(readable, 'latin1').toString('utf8')
}

/** A path for the system's calls. */
export function joinNames(folder: string | Buffer, ...names: readonly FileName[]): string | Buffer {
  return names.reduce<string | Buffer>((path, name) => {
    if (typeof path === 'string' && typeof name === 'string')
      return path.endsWith(sep) ? path + name : path + sep + name
    return Buffer.concat([Buffer.from(path), Buffer.from(sep), Buffer.from(name)])
  }, folder)
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`
}
