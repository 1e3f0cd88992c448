/** The tiers as text, to tell them to another node, and back: checked like those of a file. */
import { ConfigError } from './config-error.ts'
import { configSchema, type ServerConfig } from './schema.ts'
import { writeValue } from './write-values.ts'

const { tiers } = configSchema.fields

export function writeTiers(config: Pick<ServerConfig, 'tiers'>): string {
  return JSON.stringify(writeValue(tiers, config.tiers))
}

/** @throws ConfigError when they are not such as this server could have in its own file */
export function readTiers(written: string): ServerConfig['tiers'] {
  const parsed = tiers.schema.safeParse(parseJson(written))
  if (parsed.success) return parsed.data
  throw new ConfigError(
    parsed.error.issues.map(({ path, message }) => ({
      key: ['tiers', ...path.map(String)].join('.'),
      message,
      origin: 'another node',
    })),
  )
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return null
  }
}
