/** What a JSON text may consist of. */
export interface JsonBounds {
  /** Containers within containers; 1: one object or array that holds no other. */
  readonly depth: number
  /** Elements of all arrays and keys of all objects together. */
  readonly members: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const SPACE = 0x20

/**
 * Bounds the structure of a JSON text as its bytes arrive, before anything parses it: a parser makes an object of every
 * two bytes of `[{},{},…`. It does not check the grammar; a text that is no JSON is bounded all the same.
 */
export class JsonScan {
  readonly #bounds: JsonBounds
  #depth = 0
  #members = 0
  #inString = false
  #escaped = false
  /** The last byte that is no space opened a container. */
  #opened = false

  constructor(bounds: JsonBounds) {
    this.#bounds = bounds
  }

  /** False once there is too much; then it stays false. */
  accept(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      if (this.#inString) at = this.#skipString(bytes, at)
      else this.#step(bytes[at++] ?? 0)
    }
    return this.#depth <= this.#bounds.depth && this.#members <= this.#bounds.members
  }

  /** @returns where the text goes on behind the string, or the end */
  #skipString(bytes: Uint8Array, from: number): number {
    let at = from
    for (; at < bytes.length; at++) {
      const byte = bytes[at]
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) {
        this.#inString = false
        return at + 1
      }
    }
    return at
  }

  #step(byte: number): void {
    if (byte === SPACE || (byte >= 0x09 && byte <= 0x0d)) return
    if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      this.#opened = false
      // What was too deep stays so.
      if (this.#depth <= this.#bounds.depth) this.#depth -= 1
      return
    }
    if (this.#opened || byte === COMMA) this.#members += 1
    this.#opened = byte === OPEN_OBJECT || byte === OPEN_ARRAY
    if (this.#opened && this.#depth <= this.#bounds.depth) this.#depth += 1
    if (byte === QUOTE) this.#inString = true
  }
}
