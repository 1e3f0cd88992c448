/**
 * Readers of untrusted JSON, for clients. A reader accepts, refuses and returns what its schema does, without zod and
 * without `new Function`, which a content security policy may forbid. `npm run docs` writes response-readers.ts,
 * client/manifest/manifest-readers.ts and client/manifest/film-readers.ts from the schemas.
 */

/** Returns a copy of the value, or reports what it refuses; the copy then has no meaning. */
export type Reader<T> = (value: unknown, refused: Refusals) => T

export interface ReadResult<T> {
  /** `null`: refused. */
  readonly value: T | null
  /** Paths of the refused fields, never what they hold; `''` is the value itself. Empty: nothing is refused. */
  readonly refused: readonly string[]
}

/** More than a person reads; bounds what a hostile value can make a client store. */
const MAX_FIELDS = 20

class Refusals {
  readonly fields = new Set<string>()
  readonly #path: (string | number)[] = []

  /** Refuses the value at the current path. What it returns to the reader stands for no value, and is never used. */
  add(): never {
    if (this.fields.size < MAX_FIELDS) this.fields.add(this.#path.join('.'))
    return undefined as never
  }

  at<T>(key: string | number, reader: Reader<T>, value: unknown): T {
    this.#path.push(key)
    const read = reader(value, this)
    this.#path.pop()
    return read
  }
}

export function read<T>(reader: Reader<T>, value: unknown): ReadResult<T> {
  const refused = new Refusals()
  const copy = reader(value, refused)
  return { value: refused.fields.size === 0 ? copy : null, refused: Array.from(refused.fields) }
}

/** @param bounds in characters, each of which is one or two units of `length` */
export function string({ min = 0, max = Infinity, pattern = /^/ } = {}): Reader<string> {
  return (value, refused) => {
    if (typeof value !== 'string' || value.length < min || value.length > 2 * max) return refused.add()
    const isPlain = value.length >= 2 * min && value.length <= max
    const length = isPlain ? value.length : Array.from(value).length
    return length >= min && length <= max && pattern.test(value) ? value : refused.add()
  }
}

/** A date that exists and a time, in UTC: `2026-02-28T12:00:00Z`. */
const TIME =
  /^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|(?:02)-(?:0[1-9]|1\d|2[0-8])))T(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z))$/

export const time = string({ pattern: TIME })

/** Without the white space that `URL` ignores, so that no two readers of it disagree. */
export const url: Reader<string> = (value, refused) =>
  typeof value === 'string' && URL.canParse(value.trim()) ? value.trim().replace(/[\t\n\r]/g, '') : refused.add()

export function integer(min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): Reader<number> {
  return (value, refused) =>
    typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max ? value : refused.add()
}

export function number(min = -Infinity, max = Infinity): Reader<number> {
  return (value, refused) =>
    typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max ? value : refused.add()
}

export const boolean: Reader<boolean> = (value, refused) => (typeof value === 'boolean' ? value : refused.add())

export function oneOf<const T>(...options: readonly T[]): Reader<T> {
  return (value, refused) => options.find(option => option === value) ?? refused.add()
}

export function optional<T>(reader: Reader<T>): Reader<T | undefined> {
  return (value, refused) => (value === undefined ? undefined : reader(value, refused))
}

export function array<T>(reader: Reader<T>, { min = 0, max = Infinity } = {}): Reader<T[]> {
  return (value, refused) => {
    if (!Array.isArray(value)) return refused.add()
    const before = refused.fields.size
    const elements = value.map((element: unknown, index) => refused.at(index, reader, element))
    const isLength = value.length >= min && value.length <= max
    return isLength || refused.fields.size > before ? elements : refused.add()
  }
}

export function tuple<T extends readonly unknown[]>(...readers: { [Index in keyof T]: Reader<T[Index]> }): Reader<T> {
  return (value, refused) => {
    if (!Array.isArray(value) || value.length < readers.length) return refused.add()
    if (value.length > readers.length) refused.add()
    return readers.map((reader, index) => refused.at(index, reader, value[index])) as unknown as T
  }
}

type FieldReaders<T> = { readonly [Field in keyof T]-?: Reader<T[Field]> }

/** An object of these fields; without others, which a newer sender may add. */
export function object<T extends object>(readers: FieldReaders<T>): Reader<T> {
  const fields = Object.entries<Reader<unknown>>(readers)
  return (value, refused) => {
    if (!isObject(value)) return refused.add()
    const copy: Record<string, unknown> = {}
    for (const [field, reader] of fields) {
      const read = refused.at(field, reader, Object.hasOwn(value, field) ? value[field] : undefined)
      if (read !== undefined) copy[field] = read
    }
    return copy as T
  }
}

/** As `object`, with all other fields as they are: what is written again loses nothing. */
export function openObject<T extends object>(readers: FieldReaders<T>): Reader<T> {
  const known = object(readers)
  return (value, refused) => {
    const copy = { ...known(value, refused) } as Record<string, unknown>
    if (isObject(value))
      for (const field of Object.keys(value))
        // Assigned, it would replace the prototype.
        if (field !== '__proto__' && !Object.hasOwn(readers, field)) copy[field] = value[field]
    return copy as T
  }
}

/** @param keys all of which must be there, and no others; without them, any */
export function record<K extends string, T>(reader: Reader<T>, keys?: readonly K[]): Reader<Record<K, T>> {
  return (value, refused) => {
    if (!isObject(value)) return refused.add()
    const present = Object.keys(value)
    const wanted = keys ?? present.filter(key => key !== '__proto__')
    const entries = wanted.map(key => [key, refused.at(key, reader, value[key])])
    if (keys && !present.every(key => keys.some(each => each === key))) refused.add()
    return Object.fromEntries(entries) as Record<K, T>
  }
}

/** Objects of several kinds; the field `by` names the kind. */
export function variants<R extends Readonly<Record<string, Reader<unknown>>>>(
  by: string,
  readers: R,
): Reader<ReturnType<R[keyof R]>> {
  return (value, refused) => {
    if (!isObject(value)) return refused.add()
    const variant = Object.hasOwn(value, by) ? value[by] : undefined
    const reader = typeof variant === 'string' && Object.hasOwn(readers, variant) ? readers[variant] : undefined
    return reader ? (reader(value, refused) as ReturnType<R[keyof R]>) : refused.at(by, refuse, variant)
  }
}

const refuse: Reader<never> = (_value, refused) => refused.add()

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
