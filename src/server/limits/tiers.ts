import type { Client, Tier } from '../access/access.ts'
import type { ServerConfig } from '../config/schema.ts'

/** The tier that always exists, and that a client gets whose own is not (or no longer) in the configuration. */
export const DEFAULT_TIER = 'default'

/** What applies to a client by the configuration in force. */
export function tierOf(config: ServerConfig, client: Pick<Client, 'tier'>): Tier {
  const tier = config.tiers[knownTier(config, client.tier)]
  if (tier === undefined) throw new Error('The configuration has no default tier')
  return tier
}

/** `name` when there is such a tier, else the default one. */
export function knownTier(config: ServerConfig, name: string | null): string {
  return name !== null && Object.hasOwn(config.tiers, name) ? name : DEFAULT_TIER
}
