// Writes docs/manifest.md from the schemas of src/client and the prose beside this script.
// With --check it writes nothing and fails when the page is not current.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

import { format, resolveConfig } from 'prettier'
import { z } from 'zod'

import { BYTES_32_PATTERN, filmSchema, manifestSchema } from '../src/client/manifest/manifest-schema.ts'
import { ID_PATTERN } from '../src/protocol/ids.ts'
import { FILM, HEAD, ITEMS, ORIGINAL, TRACK } from './manifest-prose.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

export interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly enum?: readonly string[]
  readonly const?: string | number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly prefixItems?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

/** The section that describes the fields of a field. */
const SECTIONS: Readonly<Record<string, string>> = {
  items: '[item](#item)',
  preview: '[preview](#preview)',
  thumbnail: '[sealed media](#sealed-media)',
  runs: '[sealed media](#sealed-media)',
  original: '[original](#original)',
  video: '[film](#film)',
  renditions: '[track](#track)',
  audio: '[track](#track)',
  subtitles: '[subtitles](#subtitles)',
  storyboard: '[storyboard](#storyboard)',
  media: '[media of a track](#media-of-a-track)',
}

/** All objects of a manifest by the title of their section. */
export function manifestSections(): Readonly<Record<string, JsonSchema>> {
  const manifest = jsonSchema(manifestSchema)
  const film = jsonSchema(filmSchema)
  const item = merged(at(manifest, 'items').items?.oneOf ?? [])
  const track = at(film, 'renditions').items ?? {}
  return {
    Manifest: manifest,
    Item: item,
    Preview: at(item, 'preview'),
    'Sealed media': at(item, 'thumbnail'),
    Original: at(item, 'original'),
    Film: film,
    Track: track,
    'Media of a track': merged(at(track, 'media').oneOf ?? []),
    Subtitles: at(film, 'subtitles').items ?? {},
    Storyboard: at(film, 'storyboard'),
  }
}

const PROSE: Readonly<Record<string, string>> = { Item: ITEMS, Original: ORIGINAL, Film: FILM, Track: TRACK }

/** docs/manifest.md. */
export async function renderManifestPage(): Promise<string> {
  const sections = Object.entries(manifestSections()).map(([title, schema]) =>
    [`## ${title}\n`, ...((PROSE[title] ?? '') ? [PROSE[title]] : []), table(schema)].join('\n'),
  )
  const config = await resolveConfig(`${root}package.json`)
  return format([HEAD, ...sections].join('\n'), { ...config, parser: 'markdown' })
}

/** The generated file and what it must hold. */
export async function generatedFiles(): Promise<readonly { path: string; content: string }[]> {
  return [{ path: `${root}docs/manifest.md`, content: await renderManifestPage() }]
}

/** Two states of the same object as one: what only one of them needs is not always there. */
function merged(states: readonly JsonSchema[]): JsonSchema {
  const [first = {}, second = {}] = states
  return {
    properties: { ...second.properties, ...first.properties, state: stateOf(states) },
    required: (first.required ?? []).filter(field => second.required?.includes(field)),
  }
}

function stateOf(states: readonly JsonSchema[]): JsonSchema {
  const names = states.map(({ properties }) => String(properties?.['state']?.const))
  const description = states[0]?.properties?.['state']?.description
  return { enum: names, ...(description !== undefined && { description }) }
}

function table({ properties = {}, required = [] }: JsonSchema): string {
  const rows = Object.entries(properties).map(([field, schema]) => {
    const always = required.includes(field) ? 'yes' : ''
    return `| \`${field}\` | ${typeName(field, schema)} | ${always} | ${(schema.description ?? '').replaceAll('|', '\\|')} |`
  })
  return `| field | type | always | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

function typeName(field: string, schema: JsonSchema): string {
  const { type, items, enum: options, const: only, properties, oneOf } = schema
  if (options) return options.map(option => `\`${option}\``).join(' ')
  if (only !== undefined) return `\`${only}\``
  if (schema.prefixItems) return `[${schema.prefixItems.map(each => typeName('', each)).join(', ')}]`
  if (type === 'array') return `list of ${items?.prefixItems ? typeName('', items) : SECTIONS[field]}${countOf(schema)}`
  if (properties || oneOf) return SECTIONS[field] ?? 'object'
  return `${type}${boundsOf(schema)}`
}

function countOf({ minItems, maxItems }: JsonSchema): string {
  if (maxItems === undefined) return ''
  return minItems === undefined ? `, at most ${number(maxItems)}` : `, ${number(minItems)} to ${number(maxItems)}`
}

function boundsOf({ minimum, maximum, maxLength, pattern, format: form }: JsonSchema): string {
  if (pattern === BYTES_32_PATTERN.source) return ', 32 bytes'
  if (pattern === ID_PATTERN.source) return ', an id'
  if (form === 'date-time') return ', a time'
  if (maxLength !== undefined) return `, at most ${number(maxLength)} characters`
  if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return minimum ? `, from ${number(minimum)}` : ''
  return ` ${number(minimum ?? 0)} to ${number(maximum)}`
}

const number = (value: number): string => value.toLocaleString('en')

function at({ properties }: JsonSchema, field: string): JsonSchema {
  return properties?.[field] ?? {}
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input' }) as JsonSchema
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, content } of await generatedFiles()) {
    if (!argv.includes('--check')) writeFileSync(path, content)
    else if (readFileSync(path, 'utf8') !== content) {
      console.error(`${path.slice(root.length)} is not current: run \`npm run docs\``)
      process.exitCode = 1
    }
  }
}
