/** Public and internal ids: 130 random bits as 26 characters of lower-case base32 (RFC 4648 alphabet). */
export const ID_PATTERN = /^[a-z2-7]{26}$/

/** Parts of an upload are numbered from 0 up to this, whatever their size. */
export const MAX_PART_INDEX = 9_999_999

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'
const ID_LENGTH = 26

/** The id of a lease, and so the public id of a media item. */
export type MediaId = string
/** An upload in progress. Only the uploader is ever told it. */
export type UploadId = string
/** A parcel: what one link or one message refers to. */
export type ParcelId = string

/** True when `text` has the shape of an id; says nothing of whether it exists. */
export function isId(text: string): boolean {
  return ID_PATTERN.test(text)
}

/** A fresh id. `random` must be a cryptographic source; each character uses 5 bits of one byte, so there is no bias. */
export function newId(random: (byteCount: number) => Uint8Array): string {
  let id = ''
  for (const byte of random(ID_LENGTH)) id += ALPHABET.charAt(byte & 31)
  return id
}
