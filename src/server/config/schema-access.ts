/** The section `access` of the configuration: open mode, static tokens, signed tokens. */
import * as z from 'zod'

import {
  choiceField,
  durationField,
  listField,
  optionalSection,
  optionalTextField,
  optionalValueField,
  section,
  textField,
} from './fields.ts'
import { checkHttpUrl, DAY, HOUR, MINUTE, SECOND } from './schema-units.ts'

const token = z.strictObject(
  {
    subject: z
      .string({ error: 'must be a text' })
      .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable characters without spaces'),
    sha256: z
      .string({ error: 'must be the SHA-256 of the token as 64 hex digits' })
      .regex(/^[0-9a-f]{64}$/i, 'must be the SHA-256 of the token as 64 hex digits')
      .toLowerCase(),
    tier: z.string({ error: 'must be the name of a tier' }).prefault('default'),
    device: z
      .string({ error: 'must be a text' })
      .regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable characters without spaces')
      .nullable()
      .prefault(null),
  },
  { error: issue => (issue.code === 'unrecognized_keys' ? undefined : 'must be a map of keys') },
)

const jwks = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) }).or(
  z
    .string()
    .transform(parseJson)
    .pipe(z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })).min(1) })),
)

function parseJson(value: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(value)
  } catch {
    context.issues.push({ code: 'custom', message: 'must be a JSON Web Key Set', input: null })
    return z.NEVER
  }
}

export const JWT_ALGORITHMS = ['HS256', 'EdDSA', 'ES256', 'RS256', 'PS256'] as const

const jwt = optionalSection('Signed tokens (JWT). Exactly one of secret, publicKey, jwks and jwksUrl is required', {
  algorithms: listField({
    written: ['EdDSA'],
    item: z.enum(JWT_ALGORITHMS, { error: `must be one of ${JWT_ALGORITHMS.join(', ')}` }),
    about: 'Accepted algorithms; a token with any other is refused',
    range: JWT_ALGORITHMS.join(', '),
    live: true,
  }),
  secret: optionalTextField({
    about: 'The shared secret of HS256',
    range: 'at least 32 bytes',
    secret: true,
    file: true,
    live: true,
  }),
  publicKey: optionalTextField({
    about: 'The public key of the other algorithms',
    range: 'SPKI PEM',
    file: true,
    live: true,
    check: value => (value.includes('-----BEGIN PUBLIC KEY-----') ? null : 'must be a public key in PEM form (SPKI)'),
  }),
  jwks: optionalValueField({
    type: 'object',
    schema: jwks,
    about: 'Public keys as a JSON Web Key Set',
    range: 'a map with keys, or its JSON',
    file: true,
    live: true,
  }),
  jwksUrl: optionalTextField({
    about: 'URL of a JSON Web Key Set',
    range: 'an https URL (http on loopback only)',
    check: checkHttpUrl,
    live: true,
  }),
  jwksCache: durationField({
    written: '10m',
    min: 10 * SECOND,
    max: DAY,
    range: '10s to 1d',
    about: 'How long a fetched key set is used before it is fetched again',
    live: true,
  }),
  jwksTimeout: durationField({
    written: '5s',
    min: 100,
    max: MINUTE,
    range: '100ms to 1m',
    about: 'How long a fetch of the key set may take',
    live: true,
  }),
  issuer: optionalTextField({ about: 'The issuer (iss) that every token must name; null: any', live: true }),
  audience: optionalTextField({ about: 'The audience (aud) that every token must name; null: any', live: true }),
  tierClaim: textField({
    written: 'tier',
    about: 'The claim that names the tier; tier default when a token has none',
    live: true,
  }),
  deviceClaim: textField({ written: 'device', about: 'The claim that names the device', live: true }),
  leeway: durationField({
    written: '5s',
    min: 0,
    max: 5 * MINUTE,
    range: '0s to 5m',
    about: 'Accepted clock difference for exp and nbf',
    live: true,
  }),
})

export const accessSection = section('Access without a token, with static tokens and with JWTs', {
  openMode: choiceField({
    options: ['loopback', 'everywhere', 'off'],
    written: 'loopback',
    about:
      'Who may store without a configured token. loopback: only the user that runs the server, on this machine (`serve` writes a local token into a file of that user, which the command and sealift/node read automatically; not allowed beside listen.publicUrl or listen.trustedProxies). everywhere: anyone. off: no client',
    live: true,
  }),
  openTier: textField({
    written: 'default',
    about: 'Tier of clients without a token; each IP address is one client',
    range: 'name of a tier',
    live: true,
  }),
  downloads: choiceField({
    options: ['capability', 'token'],
    written: 'capability',
    about:
      'capability: the unguessable id of a media item or parcel permits reading it; token: a valid token is required too',
    live: true,
  }),
  tokens: listField({
    written: [],
    item: token,
    entryKeys: ['subject', 'sha256', 'tier', 'device'],
    about:
      'Static tokens: subject (the client for limits and charges), sha256 (hex, of the token), tier, device (optional)',
    range: 'a list of maps',
    secret: true,
    file: true,
    live: true,
  }),
  forgetDevicesAfter: durationField({
    written: '90d',
    min: HOUR,
    max: 3660 * DAY,
    range: '1h to 3660d',
    about: "A device not seen for this long no longer counts against the tier's devices",
    live: true,
  }),
  jwt,
})
