/** File, environment and command line → one checked configuration. */
import { ConfigError, type ConfigProblem } from './config-error.ts'
import { type ReadText, readTextFile, readValueFiles, readYaml } from './config-files.ts'
import { type Environment, readEnvironment } from './environment.ts'
import type { LiveConfigHolder } from './live-config.ts'
import { parseConfig } from './parse-config.ts'
import { type Layer, mergeRaw, type Path, type RawMap } from './raw.ts'
import type { ServerConfig } from './config-schema.ts'

export interface ConfigSources {
  /** A YAML file; without one there are only defaults, environment and overrides. */
  readonly file?: string | null | undefined
  readonly environment: Environment
  /** Written values (keys as in the file) that beat all others: what the command line said. */
  readonly overrides?: RawMap | undefined
  /** Reads the file, and those that it names. */
  readonly readText?: ReadText | undefined
}

/**
 * Reads and checks everything; later sources win: defaults, file, `SEALIFT_…` variables, overrides.
 * @throws ConfigError with every mistake of every source
 */
export async function loadConfig(sources: ConfigSources): Promise<ServerConfig> {
  const read = sources.readText ?? readTextFile
  const fromFile = await readFileLayer(sources.file ?? null, read)
  const fromEnvironment = readEnvironment(sources.environment)
  const problems: ConfigProblem[] = [...fromFile.problems, ...fromEnvironment.problems]
  const layers: Layer[] = []
  for (const layer of [fromFile.layer, fromEnvironment.layer, overrideLayer(sources.overrides ?? {})]) {
    const resolved = await readValueFiles(layer, read)
    problems.push(...resolved.problems)
    layers.push(resolved.layer)
  }
  return parseAll(layers, problems)
}

function parseAll(layers: readonly Layer[], problems: readonly ConfigProblem[]): ServerConfig {
  const raw = layers.reduce<RawMap>((under, layer) => mergeRaw(under, layer.values), {})
  const config = parseOrCollect(raw, originIn(layers), problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

function parseOrCollect(
  raw: RawMap,
  originOf: (path: Path) => string | null,
  problems: readonly ConfigProblem[],
): ServerConfig {
  try {
    return parseConfig(raw, originOf)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const told = new Set(problems.map(({ key }) => key))
    // That a value is missing follows from a file that could not be read.
    throw new ConfigError([...problems, ...error.problems.filter(({ key }) => !told.has(`${key}File`))])
  }
}

/** The last layer that sets a path wins, so it is asked first. */
function originIn(layers: readonly Layer[]): (path: Path) => string | null {
  return path => {
    for (const layer of layers.toReversed()) {
      const origin = layer.originOf(path)
      if (origin !== null) return origin
    }
    return null
  }
}

async function readFileLayer(
  file: string | null,
  read: ReadText,
): Promise<{ layer: Layer; problems: readonly ConfigProblem[] }> {
  const empty: Layer = { values: {}, originOf: () => null }
  if (file === null) return { layer: empty, problems: [] }
  try {
    return readYaml(await read(file), file)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
    return { layer: empty, problems: [{ key: '', message: `the file cannot be read${code}`, origin: file }] }
  }
}

function overrideLayer(values: RawMap): Layer {
  return { values, originOf: path => (path[0] !== undefined && hasPath(values, path) ? 'command line' : null) }
}

function hasPath(values: RawMap, path: Path): boolean {
  let inner: unknown = values
  for (const key of path) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, key)) return false
    inner = (inner as Record<string | number, unknown>)[key]
  }
  return true
}

export type ReloadResult =
  | { readonly ok: true; /** Keys that differ but need a restart. */ readonly needRestart: readonly string[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] }

/** Returns a function that reloads; calls that come while one runs take their turn. */
export function createReloader(live: LiveConfigHolder, sources: ConfigSources): () => Promise<ReloadResult> {
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const mine = last.then(() => reload(live, sources))
    last = mine.catch(() => undefined)
    return mine
  }
}

async function reload(live: LiveConfigHolder, sources: ConfigSources): Promise<ReloadResult> {
  try {
    return { ok: true, needRestart: live.apply(await loadConfig(sources)) }
  } catch (error) {
    if (error instanceof ConfigError) return { ok: false, problems: error.problems }
    throw error
  }
}
