/** Units and checks that several sections of the schema share. */
import { isIP } from 'node:net'

export const KiB = 2 ** 10
export const MiB = 2 ** 20
export const TiB = 2 ** 40
export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR
export const MAX_BYTES = 2 ** 50

/** Parts hold a whole number of sealed chunks of this size. */
export const CHUNK_BYTES = 256 * KiB

const PROXY_NAMES = ['loopback', 'private']

export function checkProxy(value: string): boolean {
  if (PROXY_NAMES.includes(value)) return true
  const [address = '', bits, ...rest] = value.split('/')
  const version = isIP(address)
  if (version === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))
}

/** One name of a machine, as it stands in a Host header; addresses need not be listed. */
export function checkHostName(value: string): boolean {
  return /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*$/i.test(value)
}

export function checkHttpUrl(value: string): string | null {
  const url = URL.canParse(value) ? new URL(value) : null
  if (!url || !/^https?:$/.test(url.protocol)) return 'must be an http or https URL'
  return url.username || url.password ? 'must not carry a user name or password' : null
}

/**
 * For URLs that contain a password. An unescaped `/ ? # @` ends the password early, and the rest of it would be read
 * as host or port, which messages name.
 */
export function checkUnescaped(value: string): string | null {
  const url = URL.parse(value)
  if (url && url.hash === '' && !`${url.pathname}${url.search}`.includes('@')) return null
  return 'is no valid address; in user and password write / ? # @ % as %2F %3F %23 %40 %25'
}

export function checkPublicUrl(value: string): string | null {
  const wrong = checkHttpUrl(value)
  if (wrong !== null) return wrong
  const url = new URL(value)
  return url.search || url.hash ? 'must not have a query or a fragment' : null
}
