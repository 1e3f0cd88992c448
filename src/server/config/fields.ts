/**
 * The kinds of settings: validation, default and description. The schema is a tree of these, so that types,
 * validation, config/default.yaml, docs/configuration.md and the names of environment variables cannot drift apart.
 *
 * In a file a duration is called `idleTimeout` and written `60s`; inside the program it is `idleTimeoutMs`: the
 * suffix is added while parsing. No message here ever repeats the value it refuses: it may be a secret.
 */
import * as z from 'zod'

import { parseDuration, parseSize } from '../../protocol/units.ts'

export interface FieldFacts {
  /** How the value is written; decides how an environment variable is read. */
  readonly type: 'text' | 'number' | 'boolean' | 'choice' | 'size' | 'duration' | 'list' | 'object'
  /** The default as it is written in YAML. */
  readonly written: unknown
  /** What it does, in a sentence or two. */
  readonly about: string
  readonly unit: string
  readonly range: string
  /** Never printed. */
  readonly secret: boolean
  /** May be given as `<name>File`: a path whose content is the value. */
  readonly file: boolean
  /** Applied by a reload; the others need a restart. */
  readonly live: boolean
  /** Keys of each entry, for a list of objects. */
  readonly entryKeys: readonly string[]
}

export interface Field<Out, Suffix extends string = ''> {
  readonly kind: 'field'
  readonly schema: z.ZodType<Out>
  readonly suffix: Suffix
  readonly facts: FieldFacts
}

export interface Section<Out> {
  readonly kind: 'section'
  readonly schema: z.ZodType<Out>
  readonly about: string
  readonly fields: Fields
  /** May be `null`: switched off, and so by default. */
  readonly optional: boolean
}

/** A section for each name the operator chooses (tiers). */
export interface Named<Out> {
  readonly kind: 'named'
  readonly schema: z.ZodType<Readonly<Record<string, Out>>>
  readonly about: string
  readonly entry: Section<Out>
  /** The entry that always exists; what another entry leaves out is taken from it. */
  readonly base: string
}

export type Node = Field<unknown, string> | Section<unknown> | Named<unknown>
export type Fields = Readonly<Record<string, Node>>

type SuffixOf<N> = N extends Field<unknown, infer Suffix> ? Suffix : ''
/** What a set of fields becomes inside the program. */
export type Resolved<F extends Fields> = {
  readonly [K in keyof F & string as `${K}${SuffixOf<F[K]>}`]: F[K] extends { readonly schema: z.ZodType<infer Out> }
    ? Out
    : never
}

type Told = Pick<FieldFacts, 'about'> & Partial<Pick<FieldFacts, 'unit' | 'range' | 'secret' | 'file' | 'live'>>

function facts(type: FieldFacts['type'], written: unknown, told: Told & Partial<FieldFacts>): FieldFacts {
  const plain = { unit: '', range: '', secret: false, file: false, live: false, entryKeys: [] }
  return { ...plain, ...told, type, written }
}

interface NumberTold extends Told {
  readonly written: number | string
  readonly min: number
  readonly max: number
}

/** A whole number (or any number with `fraction`). */
export function countField(told: NumberTold & { readonly fraction?: boolean }): Field<number> {
  const schema = checkedNumber(told).prefault(Number(told.written))
  return { kind: 'field', schema, suffix: '', facts: facts('number', told.written, { range: rangeOf(told), ...told }) }
}

/** A whole number that may be left out: `null` then. */
export function optionalCountField(told: Omit<NumberTold, 'written'>): Field<number | null> {
  const schema = checkedNumber(told).nullable().prefault(null)
  return { kind: 'field', schema, suffix: '', facts: facts('number', null, { range: rangeOf(told), ...told }) }
}

const rangeOf = ({ min, max }: Pick<NumberTold, 'min' | 'max'>): string => `${min} to ${max}`

function checkedNumber(told: Omit<NumberTold, 'written'> & { readonly fraction?: boolean }) {
  const message = `must be a ${told.fraction ? '' : 'whole '}number from ${told.min} to ${told.max}`
  return z
    .number({ error: message })
    .refine(value => told.fraction || Number.isSafeInteger(value), message)
    .refine(value => value >= told.min && value <= told.max, message)
}

/** Bytes, written `8MiB`, `500kB` or as a plain number. `min` and `max` are in bytes, `range` describes them. */
export function sizeField(told: NumberTold & { readonly range: string; readonly unit?: string }): Field<number> {
  const message = `must be a size such as 8MiB, 500kB or 1048576, in this range: ${told.range}`
  return {
    kind: 'field',
    schema: measured(parseSize, told, message).prefault(told.written),
    suffix: '',
    facts: facts('size', told.written, { ...told, unit: told.unit ?? 'size' }),
  }
}

/** A duration, written `60s`, `30d`; `idleTimeoutMs` inside the program. */
export function durationField(told: NumberTold & { readonly range: string }): Field<number, 'Ms'> {
  const message = `must be a duration such as 500ms, 30s, 15m, 12h or 30d, in this range: ${told.range}`
  return {
    kind: 'field',
    schema: measured(parseDuration, told, message).prefault(told.written),
    suffix: 'Ms',
    facts: facts('duration', told.written, { ...told, unit: 'duration' }),
  }
}

/** A duration that travels in whole seconds; `defaultTtlSeconds` inside the program. */
export function lifetimeField(told: NumberTold & { readonly range: string }): Field<number, 'Seconds'> {
  const message = `must be a duration such as 30s, 12h or 30d, in this range: ${told.range}`
  const schema = measured(parseDuration, told, message).transform(ms => Math.floor(ms / 1000))
  return {
    kind: 'field',
    schema: schema.prefault(told.written),
    suffix: 'Seconds',
    facts: facts('duration', told.written, { ...told, unit: 'duration' }),
  }
}

function measured(parse: (text: string | number) => number | null, told: NumberTold, message: string) {
  return z.union([z.string(), z.number()], { error: message }).transform((text, context) => {
    const value = parse(text)
    if (value !== null && value >= told.min && value <= told.max) return value
    context.issues.push({ code: 'custom', message, input: null })
    return z.NEVER
  })
}

export function flagField(told: Told & { readonly written: boolean }): Field<boolean> {
  const schema = z.boolean({ error: 'must be true or false' }).prefault(told.written)
  return { kind: 'field', schema, suffix: '', facts: facts('boolean', told.written, { ...told, range: 'true, false' }) }
}

export function choiceField<const Options extends readonly [string, ...string[]]>(
  told: Told & { readonly options: Options; readonly written: Options[number] },
): Field<Options[number]> {
  const range = told.options.join(', ')
  const schema = z.enum(told.options, { error: `must be one of ${range}` })
  const withDefault = schema.prefault(told.written) as unknown as z.ZodType<Options[number]>
  return { kind: 'field', schema: withDefault, suffix: '', facts: facts('choice', told.written, { ...told, range }) }
}

interface TextTold extends Told {
  readonly written: string
  /** Says what is wrong with a text, or `null` when nothing is. */
  readonly check?: (text: string) => string | null
}

export function textField(told: TextTold): Field<string> {
  return {
    kind: 'field',
    schema: checkedText(told).prefault(told.written),
    suffix: '',
    facts: facts('text', told.written, told),
  }
}

/** A host to listen on. An IPv6 address may stand in brackets, as in a URL. */
export function hostField(told: TextTold): Field<string> {
  const schema = checkedText(told)
    .transform(host => host.trim().replace(/^\[(.*)\]$/, '$1'))
    .prefault(told.written)
  return { kind: 'field', schema, suffix: '', facts: facts('text', told.written, told) }
}

/** A text that may be left out: `null` then. */
export function optionalTextField(told: Omit<TextTold, 'written'>): Field<string | null> {
  const schema = checkedText(told).nullable().prefault(null)
  return { kind: 'field', schema, suffix: '', facts: facts('text', null, told) }
}

function checkedText(told: Pick<TextTold, 'check'>) {
  return z
    .string({ error: 'must be a text' })
    .min(1, 'must not be empty')
    .superRefine((value, context) => {
      const wrong = value === '' ? null : (told.check?.(value) ?? null)
      if (wrong !== null) context.addIssue({ code: 'custom', message: wrong })
    })
}

export function listField<Item>(
  told: Told & {
    readonly item: z.ZodType<Item>
    readonly written: readonly unknown[]
    readonly entryKeys?: readonly string[]
  },
): Field<readonly Item[]> {
  const schema = z.array(told.item, { error: 'must be a list' })
  const withDefault = schema.prefault(told.written as z.input<typeof schema>) as unknown as z.ZodType<readonly Item[]>
  return { kind: 'field', schema: withDefault, suffix: '', facts: facts('list', told.written, told) }
}

/** A value with a schema of its own, `null` when left out. */
export function optionalValueField<Out>(
  told: Told & { readonly schema: z.ZodType<Out>; readonly type: 'text' | 'object' },
): Field<Out | null> {
  return {
    kind: 'field',
    schema: told.schema.nullable().prefault(null),
    suffix: '',
    facts: facts(told.type, null, told),
  }
}

export interface SectionOf<F extends Fields> extends Section<Resolved<F>> {
  readonly fields: F
}

export function section<const F extends Fields>(about: string, fields: F): SectionOf<F> {
  return { kind: 'section', about, fields, optional: false, schema: sectionSchema(fields).prefault({}) }
}

/** A section that is switched off (`null`) unless it is given. */
export function optionalSection<const F extends Fields>(about: string, fields: F): Section<Resolved<F> | null> {
  return { kind: 'section', about, fields, optional: true, schema: sectionSchema(fields).nullable().prefault(null) }
}

export function named<F extends Fields>(told: {
  about: string
  entry: SectionOf<F>
  base: string
}): Named<Resolved<F>> {
  const name = z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'a name is 1 to 32 lower-case letters, digits or -, a letter first')
  const schema = z.record(name, told.entry.schema, { error: 'must be a map of names' }).prefault({})
  const withBase = schema.transform(entries => ({ [told.base]: told.entry.schema.parse({}), ...entries }))
  return { kind: 'named', ...told, schema: withBase }
}

function sectionSchema<F extends Fields>(fields: F) {
  const shape = Object.fromEntries(Object.entries(fields).map(([key, node]) => [key, node.schema]))
  return z
    .strictObject(shape, { error: issue => (issue.code === 'unrecognized_keys' ? undefined : 'must be a map of keys') })
    .transform(values => withSuffixes(fields, values) as Resolved<F>)
}

function withSuffixes(fields: Fields, values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, node]) => [node.kind === 'field' ? key + node.suffix : key, values[key]]),
  )
}
