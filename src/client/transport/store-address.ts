import { addressClass } from './address-class.ts'
import { isLoopback } from '../link.ts'

/** Where the store takes or gives the bytes of a part. Its URL is a secret. */
export interface StoreAddress {
  readonly url: string
  /** Sent exactly so. */
  readonly headers: Readonly<Record<string, string>>
}

/** What stores want to be told; nothing by which a server could make a client speak to something else. */
const STORE_HEADER = /^(content-(length|md5|type)|if-none-match|x-amz-[a-z0-9-]+)$/i

/**
 * Whether a presigned URL may be used, as far as its text tells: a server on the network must not send its clients to
 * services of their own machine, nor one with TLS to a store without. Where the connection leads is judged by the
 * transport, if it can.
 */
export function isUsableAddress({ url: text, headers }: StoreAddress, server: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '') return false
  const { protocol, hostname } = new URL(server)
  if (protocol === 'https:' && url.protocol !== 'https:') return false
  if (isThisMachine(url.hostname) && !isThisMachine(hostname)) return false
  return Object.keys(headers).every(name => STORE_HEADER.test(name))
}

/** Whether a host name, as `URL` gives it, means this machine in any spelling. */
function isThisMachine(hostname: string): boolean {
  return isLoopback(hostname.replace(/\.$/, '')) || addressClass(hostname) === 'loopback'
}
