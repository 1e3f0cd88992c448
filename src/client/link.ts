import { isId } from '../protocol/ids.ts'
import { SealiftError } from '../protocol/errors.ts'
import { fromBase64Url, toBase64Url } from './bytes/base64url.ts'

const KEY_BYTES = 32
const LINK_PATH = /^(.*)\/p\/([a-z2-7]{26})\/?$/

/** What a link says: where the parcel is, and the key that opens its manifest. */
export interface LinkParts {
  /** Base URL of the server, without a slash at its end. */
  readonly server: string
  readonly parcelId: string
  /** 32 bytes. Never leaves the device: it is the link's fragment. */
  readonly key: Uint8Array<ArrayBuffer>
}

/** `https://host/p/<parcelId>#<key>`. */
export function formatLink(parts: LinkParts): string {
  return `${serverBase(parts.server)}/p/${parts.parcelId}#${toBase64Url(parts.key)}`
}

/**
 * Reads a link.
 * @throws invalid_link; the message never repeats the link, which is a secret
 */
export function parseLink(link: string): LinkParts {
  const url = URL.canParse(link.trim()) ? new URL(link.trim()) : null
  const match = url ? LINK_PATH.exec(url.pathname) : null
  const key = url ? fromBase64Url(url.hash.slice(1)) : null
  const parcelId = match?.[2] ?? ''
  if (!url || !isHttp(url) || !isId(parcelId)) throw notALink('It should look like https://host/p/…#…')
  if (key?.byteLength !== KEY_BYTES) throw notALink('Its key, the part behind #, is missing or incomplete')
  return { server: `${url.origin}${match?.[1] ?? ''}`, parcelId, key }
}

/**
 * A server's base URL without a slash at its end.
 * @throws invalid_request when it is not an http or https URL
 */
export function serverBase(server: string): string {
  const url = URL.canParse(server) ? new URL(server) : null
  if (!url || !isHttp(url)) {
    throw new SealiftError('invalid_request', 'The server must be a URL that begins with http:// or https://')
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** Whether something between us and the server could change bytes unnoticed: plain http to another machine. */
export function isUnprotected(server: string): boolean {
  const { protocol, hostname } = new URL(server)
  return protocol === 'http:' && !isLoopback(hostname)
}

/** Whether a host name, as `URL` gives it, means this very machine. */
export function isLoopback(hostname: string): boolean {
  return /^(.+\.)?localhost$/.test(hostname) || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname)
}

function isHttp(url: URL): boolean {
  return (url.protocol === 'https:' || url.protocol === 'http:') && url.username === '' && url.password === ''
}

function notALink(why: string): SealiftError {
  return new SealiftError('invalid_link', `This is not a Sealift link. ${why}.`)
}
