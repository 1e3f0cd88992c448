import * as fc from 'fast-check'
import { describe, expect, expectTypeOf, test } from 'vitest'
import type { z } from 'zod'

import * as filmReaders from '../../../src/client/manifest/film-readers.ts'
import * as manifestReaders from '../../../src/client/manifest/manifest-readers.ts'
import * as manifest from '../../../src/client/manifest/manifest-schema.ts'
import { read, type Reader } from '../../../src/protocol/reader.ts'
import * as responses from '../../../src/protocol/response-readers.ts'
import * as schemas from '../../../src/protocol/schemas.ts'
import { alteredValuesOf, hostileValue, valuesOf } from '../../support/values-of-schema.ts'

const PAIRS: readonly (readonly [name: string, schema: z.ZodType, reader: Reader<unknown>])[] = [
  ['an upload', schemas.uploadBegun, responses.uploadBegunReader],
  ['the status of an upload', schemas.uploadStatus, responses.uploadStatusReader],
  ['a presigned URL', schemas.directAddress, responses.directAddressReader],
  ['presigned URLs of parts', schemas.directRead, responses.directReadReader],
  ['a media item', schemas.media, responses.mediaReader],
  ['a problem', schemas.problem, responses.problemReader],
  ['a parcel', schemas.parcel, responses.publishedParcelReader],
  ['limits', schemas.limits, responses.limitsReader],
  ['sealed media', manifest.sealedMediaSchema, manifestReaders.sealedMediaReader],
  ['a preview', manifest.previewSchema, manifestReaders.previewReader],
  ['an item', manifest.manifestItemSchema, manifestReaders.manifestItemReader],
  ['a manifest', manifest.manifestSchema, manifestReaders.manifestReader],
  ['a film', manifest.filmSchema, filmReaders.filmDescriptionReader],
]

/** What a refusal reports, in both ways. */
const MAX_FIELDS = 5

interface Outcome {
  readonly value: unknown
  readonly refused: readonly string[]
}

function bySchema(schema: z.ZodType, given: unknown): Outcome {
  const { data = null, error } = schema.safeParse(given)
  const fields = new Set(error?.issues.map(issue => issue.path.join('.')))
  return { value: data, refused: Array.from(fields).slice(0, MAX_FIELDS) }
}

function byReader(reader: Reader<unknown>, given: unknown): Outcome {
  const { value, refused } = read(reader, given)
  return { value, refused: refused.slice(0, MAX_FIELDS) }
}

describe.each(PAIRS)('the reader of %s does what its schema does', (_name, schema, reader) => {
  test('with what the schema describes', () => {
    fc.assert(
      fc.property(valuesOf(schema), value => {
        expect(byReader(reader, value)).toStrictEqual(bySchema(schema, value))
      }),
    )
  })

  test('with fields changed, removed and added', () => {
    fc.assert(
      fc.property(alteredValuesOf(schema), value => {
        expect(byReader(reader, value)).toStrictEqual(bySchema(schema, value))
      }),
      { numRuns: 500 },
    )
  })

  test('with anything', () => {
    fc.assert(
      fc.property(hostileValue(), value => {
        expect(byReader(reader, value)).toStrictEqual(bySchema(schema, value))
      }),
      { numRuns: 300 },
    )
  })

  test('with JSON that was cut or altered', () => {
    const altered = fc.tuple(valuesOf(schema), fc.nat(), fc.constantFrom('', '0', '"', '-', '9', '{}', 'null'))
    fc.assert(
      fc.property(altered, ([value, at, put]) => {
        const json = JSON.stringify(value)
        const cut = at % json.length
        const parsed = parseOrNull(`${json.slice(0, cut)}${put}${json.slice(cut + 1)}`)
        expect(byReader(reader, parsed)).toStrictEqual(bySchema(schema, parsed))
      }),
    )
  })
})

describe('a reader', () => {
  test('accepts values that these tests accept by the hundred', () => {
    for (const [, schema, reader] of PAIRS) {
      const samples = fc.sample(valuesOf(schema), 200)
      expect(samples.filter(value => read(reader, value).value !== null).length).toBeGreaterThan(20)
    }
  })

  test.each([
    ['items', manifest.manifestSchema, manifestReaders.manifestReader, { v: 1, createdAt: '2026-01-01T00:00:00Z' }],
    ['renditions', manifest.filmSchema, filmReaders.filmDescriptionReader, { state: 'complete' }],
  ] as const)('refuses a list of %s that is too long', (field, schema, reader, rest) => {
    const [item] = fc.sample(valuesOf(schema), 60).flatMap(value => {
      const accepted = schema.safeParse(value).data as Record<string, unknown[] | undefined> | undefined
      return accepted?.[field]?.slice(0, 1) ?? []
    })
    const list = (length: number) => ({ ...rest, [field]: Array.from({ length }, () => item) })
    for (const length of [0, 1, 64, 65, 20_000, 20_001])
      expect(byReader(reader, list(length))).toStrictEqual(bySchema(schema, list(length)))
  })

  test('takes an absent field and an undefined one for the same', () => {
    const { value } = read(manifestReaders.previewReader, { width: undefined, height: 3 })
    expect(value).toStrictEqual({ height: 3 })
    expect(read(manifestReaders.previewReader, undefined)).toEqual({ value: null, refused: [''] })
  })

  test('names few of the fields of a value that is wrong everywhere, and none of what they hold', () => {
    const items = Array.from({ length: 20_000 }, () => ({ state: 'a secret' }))
    const { refused } = read(manifestReaders.manifestReader, { v: 1, createdAt: '', items })
    expect(refused.length).toBeLessThanOrEqual(20)
    expect(refused.slice(0, 2)).toEqual(['createdAt', 'items.0.state'])
    expect(JSON.stringify(refused)).not.toContain('secret')
  })

  test('changes no prototype', () => {
    const json = '{"width": 1, "__proto__": {"height": 2}, "constructor": 3}'
    const { value } = read(manifestReaders.previewReader, JSON.parse(json))
    expect(value).toStrictEqual({ width: 1, constructor: 3 })
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
  })

  test('returns the type of its schema', () => {
    expectTypeOf<responses.UploadBegun>().toEqualTypeOf<z.infer<typeof schemas.uploadBegun>>()
    expectTypeOf<responses.UploadStatus>().toEqualTypeOf<z.infer<typeof schemas.uploadStatus>>()
    expectTypeOf<responses.DirectAddress>().toEqualTypeOf<z.infer<typeof schemas.directAddress>>()
    expectTypeOf<responses.DirectRead>().toEqualTypeOf<z.infer<typeof schemas.directRead>>()
    expectTypeOf<responses.Media>().toEqualTypeOf<z.infer<typeof schemas.media>>()
    expectTypeOf<responses.Problem>().toEqualTypeOf<z.infer<typeof schemas.problem>>()
    expectTypeOf<responses.PublishedParcel>().toEqualTypeOf<z.infer<typeof schemas.parcel>>()
    expectTypeOf<responses.TierLimits>().toEqualTypeOf<z.infer<typeof schemas.tierLimits>>()
    expectTypeOf<responses.Limits>().toEqualTypeOf<z.infer<typeof schemas.limits>>()
    expectTypeOf<manifestReaders.Manifest>().toEqualTypeOf<z.infer<typeof manifest.manifestSchema>>()
    expectTypeOf<filmReaders.FilmDescription>().toEqualTypeOf<z.infer<typeof manifest.filmSchema>>()
  })
})

function parseOrNull(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return null
  }
}
