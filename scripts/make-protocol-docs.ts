// Writes docs/protocol.md from the wire contract in src/protocol and the prose beside this script.
// With --check it writes nothing and fails when the page is not current.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

import { format, resolveConfig } from 'prettier'
import { z } from 'zod'

import { WIRE_ERRORS } from '../src/protocol/errors.ts'
import { COMMON_ERRORS, ROUTES, type Route, type RouteName } from '../src/protocol/routes.ts'
import * as schemas from '../src/protocol/schemas.ts'
import { DIRECT, DOWNLOADS, HEAD, LIMITS, PARCELS, UPLOADS } from './protocol-prose.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/** docs/protocol.md. */
export async function renderProtocolPage(): Promise<string> {
  const page = [
    HEAD,
    errorTable(),
    routeTable(),
    UPLOADS,
    DOWNLOADS,
    DIRECT,
    PARCELS,
    LIMITS,
    limitTable(),
    bodies(),
  ].join('\n')
  return format(page, { ...(await resolveConfig(`${root}package.json`)), parser: 'markdown' })
}

/** The generated file and what it must hold. */
export async function generatedFiles(): Promise<readonly { path: string; content: string }[]> {
  return [{ path: `${root}docs/protocol.md`, content: await renderProtocolPage() }]
}

function errorTable(): string {
  const rows = Object.entries(WIRE_ERRORS).map(([code, { status, title }]) => `| \`${code}\` | ${status} | ${title} |`)
  return `| code | status | meaning |\n|---|---|---|\n${rows.join('\n')}\n`
}

function routeTable(): string {
  const names = Object.keys(ROUTES) as RouteName[]
  const common = COMMON_ERRORS.map(code => `\`${code}\``).join(', ')
  return [
    '## Routes\n',
    '| route | access | does | responses | refusals |\n|---|---|---|---|---|',
    ...names.map(routeRow),
    `\nEvery route that is not public may also return ${common}, and those with a JSON body \`too_large\``,
    'and `stalled`. Another method gets 405 with `Allow`, another path 404. `OPTIONS` handles',
    'preflights: pages of any origin in `cors.origins` may call, with bearer tokens, never with credentials.\n',
  ].join('\n')
}

function routeRow(name: RouteName): string {
  const route: Route = ROUTES[name]
  const deprecated = route.jsonDeprecated ? ' The JSON body is deprecated.' : ''
  const headers = route.headers ? ` (${route.headers.map(header => `\`${header}\``).join(', ')})` : ''
  const responses = route.responses.map(({ status, description }) => `${status} ${description}`).join('; ')
  const refusals = route.errors.map(code => `\`${code}\``).join(' ')
  return `| \`${route.method} ${route.path}\` | ${route.access} | ${route.summary}${headers}${deprecated} | ${responses} | ${refusals} |`
}

function limitTable(): string {
  const rows = Object.entries(schemas.tierLimits.shape).map(([name, schema]) => `| \`${name}\` | ${describe(schema)} |`)
  return `| limit | meaning |\n|---|---|\n${rows.join('\n')}\n`
}

const BODIES: Readonly<Record<string, z.ZodObject>> = {
  BeginUploadRequest: schemas.beginUploadRequest,
  UploadBegun: schemas.uploadBegun,
  UploadStatus: schemas.uploadStatus,
  CompleteUploadRequest: schemas.completeUploadRequest,
  Media: schemas.media,
  FormFileResult: schemas.formFileResult,
  LeaseRequest: schemas.leaseRequest,
  PublishParcelRequest: schemas.publishParcelRequest,
  ReplaceManifestRequest: schemas.replaceManifestRequest,
  Parcel: schemas.parcel,
  Problem: schemas.problem,
}

function bodies(): string {
  const tables = Object.entries(BODIES).map(([name, schema]) => bodyTable(name, schema))
  return `## Bodies\n\nRequests with unknown fields are refused; responses may gain fields.\n\n${tables.join('\n')}`
}

function bodyTable(name: string, schema: z.ZodObject): string {
  const rows = Object.entries(schema.shape).map(([field, type]) => {
    const optional = type.safeParse(undefined).success ? '' : 'yes'
    return `| \`${field}\` | ${typeName(type)} | ${optional} | ${describe(type)} |`
  })
  return `### ${name}\n\n| field | type | always | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`
}

function describe(schema: unknown): string {
  const { description } = jsonSchema(schema)
  return (description ?? '').replaceAll('|', '\\|')
}

function typeName(schema: unknown): string {
  const { type, enum: options, items } = jsonSchema(schema)
  if (options) return options.map(option => `\`${option}\``).join(' ')
  return type === 'array' && items?.type ? `list of ${items.type}` : (type ?? 'any')
}

interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly enum?: readonly string[]
  readonly items?: JsonSchema
}

function jsonSchema(schema: unknown): JsonSchema {
  return z.toJSONSchema(schema as z.ZodType, { io: 'input' }) as JsonSchema
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
