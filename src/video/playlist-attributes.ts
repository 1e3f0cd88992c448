/**
 * Attribute lists of RFC 8216 section 4.2. What stands in a manifest is its sender's word, so nothing of it is written
 * as it is: a quoted string cannot be left, and no other line can begin.
 */

/** `undefined`: the attribute is left out. */
export type Attribute = readonly [name: string, value: string | undefined]

export function attributeList(attributes: readonly Attribute[]): string {
  return attributes.flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`)).join(',')
}

// RFC 8216 section 4.1 forbids control characters and the byte order mark; the separators end a line for some readers.
const FORBIDDEN = /[\p{Cc}\p{Zl}\p{Zp}\ufeff]/gu

/** A quoted string: there is no escape in them, so a quotation mark becomes an apostrophe. */
export function quoted(text: string): string {
  return `"${plainText(text).replaceAll('"', "'")}"`
}

/** Well-formed text in normalization form C, as section 4.1 asks for, without what cannot stand in a playlist. */
export function plainText(text: string): string {
  return text.toWellFormed().normalize('NFC').replaceAll(FORBIDDEN, ' ').trim()
}

const LANGUAGE = /^[a-z]{1,8}(?:-[a-z\d]{1,8})*$/i

/** A language tag as RFC 5646 has it; `undefined` for anything else. */
export function languageTag(language: string | undefined): string | undefined {
  return language !== undefined && LANGUAGE.test(language) ? language : undefined
}

/** Formats of several tracks, each once, in their order; anything that is none is left out. */
export function codecList(codecs: readonly string[]): string | undefined {
  const known = codecs.flatMap(list => list.split(',')).map(codec => codec.trim())
  const unique = new Set(known.filter(codec => /^[\w.+-]{1,100}$/.test(codec)))
  return unique.size === 0 ? undefined : quoted(Array.from(unique).join(','))
}
