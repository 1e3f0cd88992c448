// Writes config/default.yaml and docs/configuration.md from the schema of the configuration.
// With --check it writes nothing and fails when they are not current.
import { readFileSync, writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import { fileURLToPath } from 'node:url'

import { format, resolveConfig } from 'prettier'
import { stringify } from 'yaml'

import type { Field, Node } from '../src/server/config/fields.ts'
import { configSchema } from '../src/server/config/config-schema.ts'
import { VARIABLES, variableName } from '../src/server/config/environment.ts'

type AnyField = Field<unknown, string>

const root = fileURLToPath(new URL('..', import.meta.url))

const YAML_HEAD = `# Every setting of Sealift with its default. No key is required: copy only those that you change.
# Sizes are written 8MiB or 500kB, durations 500ms, 30s, 15m, 12h or 30d.
# Each value can also come from an environment variable: SEALIFT_ and its path in capitals, with _ between words.
# All keys are explained in docs/configuration.md; \`sealift config check FILE\` finds every mistake at once.
# (live): applied by a reload, without a restart.
`

/** The complete default configuration as annotated YAML. */
export async function renderDefaultYaml(): Promise<string> {
  return pretty(`${YAML_HEAD}\n${renderSection(configSchema.fields, 0)}`, 'yaml')
}

function renderSection(fields: Readonly<Record<string, Node>>, depth: number): string {
  return Object.entries(fields)
    .map(([key, node]) => renderNode(key, node, depth))
    .join('')
}

function renderNode(key: string, node: Node, depth: number): string {
  const indent = '  '.repeat(depth)
  if (node.kind === 'field') return renderField(key, node, indent)
  const gap = depth === 0 ? '\n' : ''
  const head = `${gap}${comment(node.about, indent)}${indent}${key}:`
  if (node.kind === 'named') return `${head}\n${renderNode(node.base, node.entry, depth + 1)}`
  if (!node.optional) return `${head}\n${renderSection(node.fields, depth + 1)}`
  return `${head} null\n${commentedOut(renderSection(node.fields, depth + 1), indent)}`
}

function renderField(key: string, { facts }: AnyField, indent: string): string {
  const value = stringify(facts.written, { collectionStyle: 'flow' }).trim()
  return `${comment(describeField({ facts }), indent)}${indent}${key}: ${value}\n`
}

function describeField({ facts }: Pick<AnyField, 'facts'>): string {
  const notes = [facts.unit, facts.range].filter(Boolean).join(', ')
  const file = facts.file ? ' May be read from a separate file, named by the key with File at its end.' : ''
  return `${sentence(facts.about)}${notes ? ` [${notes}]` : ''}${facts.live ? ' (live)' : ''}${file}`
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`
}

function comment(text: string, indent: string): string {
  return `${wrap(text, 116 - indent.length)
    .map(line => `${indent}# ${line}`)
    .join('\n')}\n`
}

/** An optional section is shown as a comment: `#` in front of every line, two in front of comments. */
function commentedOut(block: string, indent: string): string {
  return block
    .trimEnd()
    .split('\n')
    .map(line => `${indent}# ${line.slice(indent.length)}\n`)
    .join('')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || last.length + word.length >= width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

const PAGE_HEAD = `# Configuration

<!-- Made by scripts/make-config-docs.ts from the schema that checks the configuration: change it there. -->

Sealift runs without any configuration. To change a setting, write a YAML file and name it by \`--config FILE\` or by the
variable \`SEALIFT_CONFIG\`. Environment variables override the file, and the command line overrides both.
[\`config/default.yaml\`](../config/default.yaml) shows every key with its default; the files beside it are examples.

- **Sizes** are written \`8MiB\` (binary), \`500kB\` (decimal) or as a number of bytes; **durations** \`500ms\`, \`30s\`,
  \`15m\`, \`12h\`, \`30d\`, \`4w\`, or as a number of milliseconds.
- **Variables**: \`SEALIFT_\` and the path of the key in capitals, with \`_\` between words: \`listen.publicUrl\` is
  \`SEALIFT_LISTEN_PUBLIC_URL\`. Lists and maps are YAML or JSON; a list of plain words may be written
  \`one,two\`. In \`SEALIFT_TIERS_<NAME>_…\` the name is that of a tier. An empty variable counts as unset.
- **Separate files**: a key marked *file* may be given as \`<key>File\` (variable \`…_FILE\`): the path of a file that
  contains the value, as Docker and Kubernetes provide secrets.
- **Mistakes** are reported all at once, with the key and its line or variable, never with the value. An unknown
  key or variable is a mistake. \`sealift config check\` validates without starting; \`sealift config print\` prints the effective
  configuration with secrets hidden.
- **Reload**: \`SIGHUP\` reads everything again. Keys marked *live* apply to new requests at once; running
  transfers are not affected. Other changed keys are reported as needing a restart. After any mistake, the
  old configuration stays in force.
- **Tiers**: a tier inherits omitted keys from \`tiers.default\`.

## Tokens

Requests carry a token as \`Authorization: Bearer TOKEN\`; a token in a URL is ignored. A token that is sent must be valid,
even where none is required. All tokens of one subject are one client: they share its limits, its quota and its media.

- **Static tokens** are long random texts; the configuration contains their SHA-256. \`sealift config token --subject NAME\`
  makes one and prints its entry.
- **Signed tokens** (JWT) need \`sub\` and \`exp\`. They are verified when a request begins; a running transfer
  may end after their expiry. A tier that is named but not configured counts as \`default\`. While keys cannot be fetched
  from \`jwksUrl\`, requests get 503, never access.
- **Revoking**: when a reload removes a token from the configuration, the token stops working at once, and its transfers are
  cut. The same holds for signed tokens whose key, issuer or audience is no longer accepted, and for anonymous clients when open mode
  is switched off. A single signed token cannot be revoked before it expires: give signed tokens short lives.
- **Devices**: a token may name a device (\`device\`, or the claim \`deviceClaim\`). A client may have as many as its tier's
  \`devices\`, counted over \`access.forgetDevicesAfter\`.
`

/** docs/configuration.md. */
export async function renderPage(): Promise<string> {
  const tables = Object.entries(configSchema.fields).map(([key, node]) => renderTables(key, node))
  const single = tables.filter(table => !table.startsWith('\n'))
  const sections = tables.filter(table => table.startsWith('\n'))
  const general = `\n## General\n\n${TABLE_HEAD}${single.join('')}`
  return pretty(`${PAGE_HEAD}${general}${sections.join('')}${VARIABLES_PART}`, 'markdown')
}

/** As the formatter of the project would leave it. */
async function pretty(content: string, parser: 'yaml' | 'markdown'): Promise<string> {
  return format(content, { ...(await resolveConfig(`${root}package.json`)), parser })
}

const TABLE_HEAD = '| key | default | range | what it does |\n|---|---|---|---|\n'
const VARIABLES_PART = `\n## Variables\n\n${VARIABLES.map(({ name }) => `\`${name}\``).join(' ')}\n`

function renderTables(key: string, node: Node): string {
  if (node.kind === 'field') return renderRow([key], node)
  const about = sentence(node.about)
  const entry = node.kind === 'named' ? node.entry : node
  const path = node.kind === 'named' ? [key, '*'] : [key]
  const variable = node.kind === 'named' ? `\n\nAs a whole: \`${variableName([key])}\`.` : ''
  return `\n## ${key}\n\n${about}${variable}\n\n${TABLE_HEAD}${renderRows(path, entry)}`
}

function renderRows(path: readonly string[], node: Node): string {
  if (node.kind === 'field') return renderRow(path, node)
  if (node.kind === 'named') return renderRows([...path, '*'], node.entry)
  const inner = Object.entries(node.fields).map(([key, child]) => renderRows([...path, key], child))
  const own = node.optional
    ? `| \`${path.join('.')}\` | \`null\` | \`null\` or a map | ${sentence(node.about)} |\n`
    : ''
  return own + inner.join('')
}

function renderRow(path: readonly string[], { facts }: AnyField): string {
  const value = stringify(facts.written, { collectionStyle: 'flow' }).trim()
  const marks = [facts.live ? '*live*' : '', facts.file ? '*file*' : '', facts.secret ? '*secret*' : ''].filter(Boolean)
  const range = [facts.range, facts.unit].filter(Boolean).join('; ')
  return `| \`${path.join('.')}\` | \`${value}\` | ${range} | ${sentence(facts.about)} ${marks.join(', ')} |\n`
}

/** The generated files and what they must hold. */
export async function generatedFiles(): Promise<readonly { path: string; content: string }[]> {
  return [
    { path: `${root}config/default.yaml`, content: await renderDefaultYaml() },
    { path: `${root}docs/configuration.md`, content: await renderPage() },
  ]
}

if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, content } of await generatedFiles()) {
    if (!argv.includes('--check')) writeFileSync(path, content)
    else if (readFileSync(path, 'utf8') !== content) {
      console.error(`${path.slice(root.length)} is not current: run \`npx node scripts/make-config-docs.ts\``)
      process.exitCode = 1
    }
  }
}
