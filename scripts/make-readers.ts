// Writes the readers of clients, and the types they return, from the schemas of the protocol and of the manifest.
// With --check it writes nothing and fails when they are not current.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

import { format, resolveConfig } from 'prettier'
import { z } from 'zod'

import * as manifest from '../src/client/manifest/manifest-schema.ts'
import * as protocol from '../src/protocol/schemas.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const LINE_COLUMNS = 120

/** A type and its reader: what it is called, where it comes from, and what it is when the schema does not say so. */
interface Declaration {
  readonly name: string
  readonly schema: z.ZodType
  readonly doc?: string
}

interface ReadersFile {
  readonly path: string
  readonly doc: string
  readonly reader: string
  readonly declarations: readonly Declaration[]
}

const FILES: readonly ReadersFile[] = [
  {
    path: 'src/protocol/response-readers.ts',
    doc: 'What the server responds with. Written by `npm run docs` from schemas.ts.',
    reader: './reader.ts',
    declarations: [
      { name: 'UploadBegun', schema: protocol.uploadBegun, doc: 'An upload that parts may be sent to.' },
      { name: 'UploadStatus', schema: protocol.uploadStatus, doc: 'The state of an upload, to resume it.' },
      { name: 'DirectAddress', schema: protocol.directAddress },
      { name: 'DirectRead', schema: protocol.directRead },
      { name: 'Media', schema: protocol.media, doc: 'Facts about a media item and its lease.' },
      { name: 'Problem', schema: protocol.problem },
      { name: 'PublishedParcel', schema: protocol.parcel, doc: 'A version of a parcel.' },
      { name: 'TierLimits', schema: protocol.tierLimits },
      { name: 'Limits', schema: protocol.limits, doc: 'What applies to a client, what it uses and what is left.' },
    ],
  },
  {
    path: 'src/client/manifest/manifest-readers.ts',
    doc: 'What a manifest holds. Written by `npm run docs` from manifest-schema.ts.',
    reader: '../../protocol/reader.ts',
    declarations: [
      { name: 'SealedMedia', schema: manifest.sealedMediaSchema, doc: 'Where sealed bytes are, and what opens them.' },
      { name: 'Preview', schema: manifest.previewSchema, doc: 'What to show before the bytes are there.' },
      { name: 'ItemOriginal', schema: manifest.original, doc: 'The file that an item was made of.' },
      { name: 'CompleteItem', schema: manifest.completeItem, doc: 'An item with all its bytes.' },
      { name: 'SendingItem', schema: manifest.sendingItem, doc: 'An item whose bytes are still being sent.' },
      { name: 'ManifestItem', schema: manifest.manifestItemSchema, doc: 'A file, whole or still being sent.' },
      { name: 'Manifest', schema: manifest.manifestSchema, doc: 'Everything that one link leads to.' },
    ],
  },
  {
    path: 'src/client/manifest/film-readers.ts',
    doc: 'How a film is laid out. Written by `npm run docs` from manifest-schema.ts.',
    reader: '../../protocol/reader.ts',
    declarations: [
      { name: 'CompleteTrackMedia', schema: manifest.completeTrackMedia, doc: 'All sealed bytes of a track.' },
      { name: 'SendingTrackMedia', schema: manifest.sendingTrackMedia, doc: 'A track that is still being sent.' },
      { name: 'TrackMedia', schema: manifest.trackMediaSchema, doc: 'What opens a track: sealed as role `media`.' },
      { name: 'FilmTrack', schema: manifest.track, doc: 'One fragmented MP4 file.' },
      { name: 'FilmSubtitles', schema: manifest.subtitles, doc: 'Text as WebVTT, in sealed bytes of its own.' },
      { name: 'FilmStoryboard', schema: manifest.storyboard, doc: 'Sheets of small JPEG pictures of a film.' },
      {
        name: 'FilmDescription',
        schema: manifest.filmSchema,
        doc: 'How a film is laid out: what a player needs to choose and where it reads; offsets and lengths of plaintext.',
      },
    ],
  },
]

/** As `z.toJSONSchema` writes it. */
interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly enum?: readonly string[]
  readonly const?: string | number | boolean
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly propertyNames?: JsonSchema
  readonly additionalProperties?: JsonSchema
  readonly required?: readonly string[]
  readonly items?: JsonSchema | false
  readonly prefixItems?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

type Literal = string | number | boolean

/** A piece of TypeScript for a schema: its type, and the expression that makes its reader. */
interface Written {
  readonly type: string
  readonly reader: string
}

class Writer {
  /** Names by schema: what is declared is not written out again where it is used. */
  readonly #names: ReadonlyMap<string, string>
  /** Names that are imported from reader.ts. */
  readonly used = new Set<string>()

  constructor(declarations: readonly Declaration[]) {
    this.#names = new Map(declarations.map(({ name, schema }) => [canonical(jsonSchema(schema)), name]))
  }

  declaration({ name, schema, doc }: Declaration): string {
    const json = jsonSchema(schema)
    const { type, reader } = this.#writtenOut(json, name)
    const head = comment(json.description ?? doc ?? '')
    const declared = type.startsWith('{') ? `export interface ${name} ${type}` : `export type ${name} = ${type}`
    return `${head}\n${declared}\n\nexport const ${readerName(name)}: Reader<${name}> = ${reader}\n`
  }

  #write(json: JsonSchema): Written {
    const name = this.#names.get(canonical(json))
    return name === undefined ? this.#writtenOut(json) : { type: name, reader: readerName(name) }
  }

  #writtenOut(json: JsonSchema, name?: string): Written {
    if (json.oneOf) return this.#variants(json.oneOf)
    if (json.const !== undefined) return this.#literals([json.const])
    if (json.enum) return this.#literals(json.enum)
    if (json.type === 'object') return json.properties ? this.#object(json, name) : this.#record(json)
    if (json.prefixItems) return this.#tuple(json.prefixItems)
    if (json.type === 'array') return this.#list(json)
    return this.#simple(json)
  }

  #object({ properties = {}, required = [], additionalProperties }: JsonSchema, name?: string): Written {
    const isOpen = additionalProperties !== undefined
    if (Object.keys(properties).length === 0 && isOpen)
      return { type: 'Record<string, unknown>', reader: `${this.#use('openObject')}({})` }
    if (isOpen && Object.keys(additionalProperties).length > 0) throw new Error(`${name}: other fields must be free`)
    const fields = Object.entries(properties).map(([field, json]) => {
      const { type, reader } = this.#write(json)
      const doc = json.description === undefined ? '' : `${comment(json.description)}\n`
      return required.includes(field)
        ? { type: `${doc}${field}: ${type}`, reader: `${field}: ${reader}` }
        : { type: `${doc}${field}?: ${type} | undefined`, reader: `${field}: ${this.#use('optional')}(${reader})` }
    })
    const type = `{\n${[...fields.map(each => each.type), ...(isOpen ? ['[field: string]: unknown'] : [])].join('\n')}\n}`
    const made = isOpen ? 'openObject' : 'object'
    const typed = name === undefined ? '' : `<${name}>`
    return { type, reader: `${this.#use(made)}${typed}({ ${fields.map(each => each.reader).join(', ')} })` }
  }

  #record({ propertyNames, additionalProperties = {} }: JsonSchema): Written {
    const { type, reader } = this.#write(additionalProperties)
    const keys = propertyNames?.enum
    if (!keys) return { type: `Record<string, ${type}>`, reader: `${this.#use('record')}(${reader})` }
    return {
      type: `Record<${literalTypes(keys)}, ${type}>`,
      reader: `${this.#use('record')}(${reader}, ${JSON.stringify(keys)})`,
    }
  }

  #tuple(elements: readonly JsonSchema[]): Written {
    const written = elements.map(each => this.#write(each))
    return {
      type: `[${written.map(each => each.type).join(', ')}]`,
      reader: `${this.#use('tuple')}(${written.map(each => each.reader).join(', ')})`,
    }
  }

  #list({ items, minItems, maxItems }: JsonSchema): Written {
    const { type, reader } = this.#write(items || {})
    const bounds = boundsOf({ min: minItems, max: maxItems })
    return {
      type: type.includes(' ') ? `(${type})[]` : `${type}[]`,
      reader: `${this.#use('array')}(${reader}${bounds && `, ${bounds}`})`,
    }
  }

  #variants(options: readonly JsonSchema[]): Written {
    const by = Object.keys(options[0]?.properties ?? {}).find(field =>
      options.every(option => option.properties?.[field]?.const !== undefined),
    )
    if (by === undefined) throw new Error('One field must name the variant')
    const written = options.map(option => ({ ...this.#write(option), of: String(option.properties?.[by]?.const) }))
    return {
      type: written.map(each => each.type).join(' | '),
      reader: `${this.#use('variants')}('${by}', { ${written.map(each => `${each.of}: ${each.reader}`).join(', ')} })`,
    }
  }

  #simple(json: JsonSchema): Written {
    const { type, format: form, minLength, maxLength, pattern, minimum, maximum } = json
    if (form === 'date-time') return { type: 'string', reader: this.#use('time') }
    if (form === 'uri') return { type: 'string', reader: this.#use('url') }
    if (form !== undefined) throw new Error(`No reader for the format ${form}`)
    switch (type) {
      case 'string': {
        const options = { min: minLength, max: maxLength, pattern: pattern && `/${pattern}/` }
        return { type, reader: `${this.#use('string')}(${boundsOf(options)})` }
      }
      case 'integer':
        return { type: 'number', reader: `${this.#use('integer')}(${range(minimum, maximum)})` }
      case 'number':
        return { type, reader: `${this.#use('number')}(${range(minimum, maximum)})` }
      case 'boolean':
        return { type, reader: this.#use('boolean') }
      case undefined:
      default:
        throw new Error(`No reader for ${JSON.stringify(json)}`)
    }
  }

  #literals(values: readonly Literal[]): Written {
    const options = values.map(value => JSON.stringify(value)).join(', ')
    return { type: literalTypes(values), reader: `${this.#use('oneOf')}(${options})` }
  }

  #use(name: string): string {
    this.used.add(name)
    return name
  }
}

function literalTypes(values: readonly Literal[]): string {
  return values.map(value => JSON.stringify(value)).join(' | ')
}

/** `min, max`, without what is the default. */
function range(minimum?: number, maximum?: number): string {
  const max = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum
  const min = minimum === Number.MIN_SAFE_INTEGER ? undefined : minimum
  return [min ?? (max === undefined ? undefined : 'undefined'), max].filter(each => each !== undefined).join(', ')
}

/** `{ min: 1, max: 5 }`, without what is absent. */
function boundsOf(options: Readonly<Record<string, string | number | undefined>>): string {
  const present = Object.entries(options).filter(([, value]) => value !== undefined)
  return present.length === 0 ? '' : `{ ${present.map(([name, value]) => `${name}: ${value}`).join(', ')} }`
}

/** A doc comment; the formatter leaves comments as they are, so it is broken here. */
function comment(text: string): string {
  if (text.length + '  /**  */'.length <= LINE_COLUMNS) return `/** ${text} */`
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + word.length + '   *  '.length <= LINE_COLUMNS)
      lines.push(`${lines.pop()} ${word}`)
    else lines.push(word)
  }
  return ['/**', ...lines.map(line => ` * ${line}`), ' */'].join('\n')
}

const readerName = (name: string): string => `${name.charAt(0).toLowerCase()}${name.slice(1)}Reader`

function jsonSchema(schema: z.ZodType): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io: 'input' }) as JsonSchema & { $schema?: string }
  return json
}

/** The same text for the same schema, whatever it is used for and in whichever order its parts are written. */
function canonical(schema: JsonSchema): string {
  const { description: _, ...json } = schema
  return JSON.stringify(json, (_key, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  )
}

async function render({ doc, reader, declarations }: ReadersFile): Promise<string> {
  const writer = new Writer(declarations)
  const body = declarations.map(each => writer.declaration(each)).join('\n')
  const used = Array.from(writer.used).sort()
  const head = `/** ${doc} */\nimport { ${used.join(', ')}, type Reader } from '${reader}'`
  return format(`${head}\n\n${body}`, { ...(await resolveConfig(`${root}package.json`)), parser: 'typescript' })
}

/** The generated files and what they must hold. */
export async function generatedFiles(): Promise<readonly { path: string; content: string }[]> {
  return Promise.all(FILES.map(async file => ({ path: `${root}${file.path}`, content: await render(file) })))
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
