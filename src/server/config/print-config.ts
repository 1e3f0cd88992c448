import { stringify } from 'yaml'

import { configSchema, type ServerConfig } from './schema.ts'
import { writeValue } from './write-values.ts'

/** The configuration in force as YAML, every value written out, secrets replaced by `(hidden)`. */
export function printConfig(config: ServerConfig): string {
  return stringify(writeValue(configSchema, config), { lineWidth: 0 })
}

/** Things an operator should know about a configuration that is valid all the same. */
export function configWarnings(config: ServerConfig): readonly string[] {
  const { access, listen, admin } = config
  const warnings: string[] = []
  if (access.openMode === 'everywhere') {
    warnings.push('access.openMode is everywhere: anyone who reaches this server may store files on it')
  }
  if (access.openMode === 'off' && access.tokens.length === 0 && access.jwt === null) {
    warnings.push('access.openMode is off and there are no tokens: nobody can store anything')
  }
  if (listen.publicUrl !== null && listen.trustedProxies.length === 0) {
    warnings.push(
      'listen.publicUrl is set but listen.trustedProxies is empty: behind a proxy all clients count as one address',
    )
  }
  if (admin.enabled && ['0.0.0.0', '::'].includes(admin.host)) {
    warnings.push('admin.host takes connections from anywhere: whoever reaches it can read the metrics')
  }
  return warnings
}
